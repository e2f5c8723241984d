package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	placementv1alpha1 "github.com/crossplane-contrib/provider-eventstore/apis/placement/v1alpha1"
	"github.com/crossplane-contrib/provider-eventstore/internal/placement"
)

// annotationName is Crossplane's for the name of a resource in its Composition.
const annotationName = "crossplane.io/composition-resource-name"

func renderCommand() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "render CLAIM.yaml --placement FILE",
		Short: "Show what a claim or composite resource would become, without a cluster",
		Long: `Show what a claim or composite resource would become by a Placement, or why it would be refused. Nothing is asked of a
cluster: what is there already, and quotas, are not known. "-" reads the claim from standard input.

Exit codes: 0 it was rendered, 1 it is refused, 2 esctl itself failed.`,
		Example: `  esctl render claim.yaml --placement placement.yaml
  kubectl get environmentconfig eventstore-placement -o yaml > placement.yaml`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			offer, err := readOffer(file)
			if err != nil {
				return err
			}
			claim, err := readClaim(cmd.InOrStdin(), args[0])
			if err != nil {
				return err
			}
			return render(cmd.OutOrStdout(), cmd.ErrOrStderr(), claim, offer)
		},
	}
	c.Flags().StringVar(&file, "placement", "", "file with the EnvironmentConfig, or the Placement, that says what claims become (required)")
	_ = c.MarkFlagRequired("placement") // Only fails for a flag that does not exist.
	return c
}

// render writes the resources by their names in the composition, so that the same claim gives the same text.
func render(out, problems io.Writer, c placement.Claim, o placementv1alpha1.Offer) error {
	result := placement.Place(c, o, nil, nil)
	if result.Refusal != nil {
		fmt.Fprintf(problems, "%s: %s\n", result.Refusal.Reason, result.Refusal.Message)
		return errFound
	}
	for _, name := range slices.Sorted(maps.Keys(result.Resources)) {
		u := result.Resources[name].Object
		a := u.GetAnnotations()
		if a == nil {
			a = map[string]string{}
		}
		a[annotationName] = name
		u.SetAnnotations(a)
		b, err := yaml.Marshal(u.Object)
		if err != nil {
			return fmt.Errorf("cannot write %s %q: %w", u.GetKind(), u.GetName(), err)
		}
		if _, err := fmt.Fprintf(out, "---\n%s", b); err != nil {
			return err
		}
	}
	return nil
}

// readClaim reads a claim or composite resource. What Crossplane would generate is a placeholder.
func readClaim(stdin io.Reader, path string) (c placement.Claim, err error) {
	var b []byte
	if path == "-" {
		b, err = io.ReadAll(stdin)
	} else {
		b, err = os.ReadFile(path)
	}
	if err != nil {
		return c, fmt.Errorf("cannot read the claim: %w", err)
	}
	u := &unstructured.Unstructured{}
	if err := yaml.Unmarshal(b, &u.Object); err != nil {
		return c, fmt.Errorf("cannot read the claim in %q: %w", path, err)
	}
	if err := bind(u); err != nil {
		return c, fmt.Errorf("cannot render %q: %w", path, err)
	}
	if err := placement.CheckSpec(u); err != nil {
		return c, fmt.Errorf("cannot render %q: %w", path, err)
	}
	return placement.ClaimOf(u)
}

// bind makes of a claim its composite resource, as Crossplane does.
func bind(u *unstructured.Unstructured) error {
	if u.GroupVersionKind().Group != "platform.eventstore.crossplane.io" {
		return fmt.Errorf("%s of %q is no claim, and no composite resource, of ours", u.GetKind(), u.GetAPIVersion())
	}
	if u.GetName() == "" {
		return errors.New("it has no metadata.name")
	}
	composite := ""
	for xr, claim := range placement.ClaimKinds {
		if claim == u.GetKind() {
			composite = xr
		}
	}
	namespaced := composite != "" || placement.ClaimKinds[u.GetKind()] == ""
	if namespaced && u.GetNamespace() == "" {
		u.SetNamespace("default")
	}
	if u.GetUID() == "" {
		u.SetUID("uid")
	}
	if composite == "" {
		return nil
	}
	labels := u.GetLabels()
	if labels == nil {
		labels = map[string]string{}
	}
	labels[placement.LabelClaimName], labels[placement.LabelClaimNamespace] = u.GetName(), u.GetNamespace()
	u.SetLabels(labels)
	u.SetKind(composite)
	u.SetName(u.GetName() + "-xxxxx")
	u.SetNamespace("")
	return nil
}

// readOffer reads the first EnvironmentConfig, or Placement, of a file.
func readOffer(path string) (o placementv1alpha1.Offer, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return o, fmt.Errorf("cannot read the Placement: %w", err)
	}
	for _, doc := range bytes.Split(append([]byte("\n"), b...), []byte("\n---")) {
		u := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(doc, &u.Object); err != nil {
			return o, fmt.Errorf("cannot read %q: %w", path, err)
		}
		switch u.GetKind() {
		case "EnvironmentConfig":
			raw, err := json.Marshal(u.Object["data"])
			if err != nil {
				return o, fmt.Errorf("cannot read %q: %w", path, err)
			}
			return placement.ParseOffer(u.GetName(), raw)
		case placementv1alpha1.Kind:
			raw, err := json.Marshal(u.Object)
			if err != nil {
				return o, fmt.Errorf("cannot read %q: %w", path, err)
			}
			p, err := placement.ParseInput(raw)
			if err != nil {
				return o, err
			}
			if p.EnvironmentConfig != "" {
				return o, fmt.Errorf("cannot use %q: its Placement is in EnvironmentConfig %q: name a file with that", path, p.EnvironmentConfig)
			}
			return p.Offer, nil
		}
	}
	return o, fmt.Errorf("cannot use %q: it has neither an EnvironmentConfig nor a Placement", path)
}
