package api_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	xpextv1 "github.com/crossplane/crossplane/apis/v2/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/binaries"
)

// crossplaneImage stands for Crossplane's own CRDs, which the command looks for in its cache before it asks a registry.
const crossplaneImage = "crossplane:local"

// TestValidate validates every example, and every Placement, with Crossplane's own command: by our CRDs and XRDs, and by the
// schema of the function's input.
func TestValidate(t *testing.T) {
	programs, err := binaries.Build(t.Context(), os.Stderr, binaries.Crank, binaries.Crossplane)
	if err != nil {
		t.Fatal(err)
	}
	cache, dir := t.TempDir(), t.TempDir()
	cached := filepath.Join(cache, strings.ReplaceAll(crossplaneImage, ":", "@"))
	if err := os.CopyFS(cached, os.DirFS(filepath.Join(programs[binaries.Crossplane].DataDir, "crds"))); err != nil {
		t.Fatal(err)
	}
	var extensions []string
	for _, pattern := range []string{providerDir + "/crds/*.yaml", "../../package/function/input/*.yaml", configurationDir + "/apis/*/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("no extensions in %s: %v", pattern, err)
		}
		extensions = append(extensions, files...)
	}
	validate := func(t *testing.T, file string) (string, error) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), programs[binaries.Crank].Path, "beta", "validate", strings.Join(extensions, ","), file,
			"--cache-dir="+cache, "--crossplane-image="+crossplaneImage, "--error-on-missing-schemas", "--skip-success-results")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	for name, u := range validated(t) {
		t.Run(name, func(t *testing.T) {
			b, err := yaml.Marshal(u.Object)
			if err != nil {
				t.Fatal(err)
			}
			if out, err := validate(t, write(t, dir, strings.ReplaceAll(name, "/", "-")+".yaml", string(b))); err != nil {
				t.Errorf("crossplane beta validate: %v\n%s", err, out)
			}
		})
	}
	t.Run("Typo", func(t *testing.T) {
		text := "{apiVersion: eventstore.fn.crossplane.io/v1alpha1, kind: Placement, metadata: {name: x}, classes: [{name: fast, backend: reddis}]}"
		if out, err := validate(t, write(t, dir, "typo.yaml", text)); err == nil || !strings.Contains(out, `"reddis"`) {
			t.Errorf("crossplane beta validate lets a typo through: %v\n%s", err, out)
		}
	})
}

// validated are the objects of all examples that Crossplane or we have the schemas of, and all Placements: the inputs of our
// Compositions, and the data of an EnvironmentConfig.
func validated(t *testing.T) map[string]*unstructured.Unstructured {
	t.Helper()
	all := map[string]*unstructured.Unstructured{}
	err := filepath.WalkDir("../../examples", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".yaml" {
			return err
		}
		for _, u := range decode(t, []byte(read(t, path))) {
			if !strings.HasSuffix(u.GroupVersionKind().Group, "crossplane.io") {
				continue // Kubernetes' own.
			}
			name := strings.TrimPrefix(path, "../../examples/")
			all[name+"/"+u.GetKind()] = u
			if data, ok, _ := unstructured.NestedMap(u.Object, "data"); ok && u.GetKind() == "EnvironmentConfig" {
				all[name+"/Placement"] = placement(data)
			}
		}
		return nil
	})
	if err != nil || len(all) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	compositions, err := readAll[xpextv1.Composition](configurationDir, "apis/*/*-placed.yaml")
	if err != nil || len(compositions) == 0 {
		t.Fatalf("no Compositions: %v", err)
	}
	for _, c := range compositions {
		input := map[string]any{}
		if err := yaml.Unmarshal(c.Spec.Pipeline[0].Input.Raw, &input); err != nil {
			t.Fatal(err)
		}
		all[c.GetName()+"/Placement"] = placement(input)
	}
	return all
}

// placement returns a Placement with a name, which only an object of the API server needs.
func placement(fields map[string]any) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: fields}
	u.SetAPIVersion("eventstore.fn.crossplane.io/v1alpha1")
	u.SetKind("Placement")
	u.SetName("placement")
	return u
}
