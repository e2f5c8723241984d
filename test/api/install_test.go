package api_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/crossplane/crossplane-runtime/v2/pkg/xcrd"
	xpextv1 "github.com/crossplane/crossplane/apis/v2/apiextensions/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/yaml"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/binaries"
)

const (
	providerDir      = "../../package/provider"
	configurationDir = "../../package/configuration"
)

// installAll creates the CRDs of the provider, of Crossplane itself, and those that Crossplane derives from our XRDs.
func installAll(ctx context.Context) error {
	programs, err := binaries.Build(ctx, os.Stderr, binaries.Crossplane)
	if err != nil {
		return err
	}
	var all []*apiextensionsv1.CustomResourceDefinition
	for _, dir := range []string{filepath.Join(providerDir, "crds"), filepath.Join(programs[binaries.Crossplane].DataDir, "crds")} {
		crds, err := readAll[apiextensionsv1.CustomResourceDefinition](dir, "*.yaml")
		if err != nil {
			return err
		}
		all = append(all, crds...)
	}
	derived, err := deriveCRDs()
	if err != nil {
		return err
	}
	all = append(all, derived...)
	// The API server compiles every rule here, and estimates what it costs.
	for _, crd := range all {
		if err := kube.Create(ctx, crd); err != nil {
			return fmt.Errorf("cannot create CRD %s: %w", crd.GetName(), err)
		}
	}
	for _, crd := range all {
		if err := established(ctx, crd.GetName()); err != nil {
			return err
		}
	}
	return nil
}

// deriveCRDs does what Crossplane does with an XRD: it makes a CRD for the composite resource, and one for its claim.
func deriveCRDs() ([]*apiextensionsv1.CustomResourceDefinition, error) {
	xrds, err := definitions()
	if err != nil {
		return nil, err
	}
	var crds []*apiextensionsv1.CustomResourceDefinition
	for _, xrd := range xrds {
		crd, err := xcrd.ForCompositeResource(xrd)
		if err != nil {
			return nil, err
		}
		crds = append(crds, crd)
		if xrd.Spec.ClaimNames == nil {
			continue
		}
		if crd, err = xcrd.ForCompositeResourceClaim(xrd); err != nil {
			return nil, err
		}
		crds = append(crds, crd)
	}
	for _, crd := range crds {
		crd.SetOwnerReferences(nil) // Of an XRD that is not there.
	}
	return crds, nil
}

func definitions() ([]*xpextv1.CompositeResourceDefinition, error) {
	all, err := readAll[xpextv1.CompositeResourceDefinition](configurationDir, "apis/*/*store.yaml", "apis/*/*subscription.yaml")
	if err == nil && len(all) != 4 {
		return nil, fmt.Errorf("found %d XRDs, want 4", len(all))
	}
	return all, err
}

// readAll reads files, each with one object. Fields that T does not have are errors.
func readAll[T any](dir string, patterns ...string) ([]*T, error) {
	var all []*T
	for _, pattern := range patterns {
		paths, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return nil, err
		}
		if len(paths) == 0 {
			return nil, fmt.Errorf("there is no %s in %s", pattern, dir)
		}
		for _, p := range paths {
			b, err := os.ReadFile(p)
			if err != nil {
				return nil, err
			}
			o := new(T)
			if err := yaml.UnmarshalStrict(b, o); err != nil {
				return nil, fmt.Errorf("cannot read %s: %w", p, err)
			}
			all = append(all, o)
		}
	}
	return all, nil
}

func established(ctx context.Context, name string) error {
	err := wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		crd := &apiextensionsv1.CustomResourceDefinition{}
		if err := kube.Get(ctx, types.NamespacedName{Name: name}, crd); err != nil {
			return false, err
		}
		up := map[apiextensionsv1.CustomResourceDefinitionConditionType]bool{}
		for _, c := range crd.Status.Conditions {
			up[c.Type] = c.Status == apiextensionsv1.ConditionTrue
		}
		// Names are not accepted if two kinds of one group share a short name, for example.
		return up[apiextensionsv1.Established] && up[apiextensionsv1.NamesAccepted], nil
	})
	if err != nil {
		return fmt.Errorf("CRD %s was not established: %w", name, err)
	}
	return nil
}
