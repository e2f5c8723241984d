package schemas

import (
	"os"
	"path/filepath"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// TestCatalogue makes each change to the schemas in the packages.
func TestCatalogue(t *testing.T) {
	schemas := map[string]*unstructured.Unstructured{}
	for _, pattern := range []string{"../../package/provider/crds/*.yaml", "../../package/configuration/apis/*/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("no files: %s (%v)", pattern, err)
		}
		for _, f := range files {
			raw, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			u := &unstructured.Unstructured{}
			if err := yaml.Unmarshal(raw, &u.Object); err != nil {
				t.Fatal(err)
			}
			schemas[u.GetName()] = u
		}
	}
	all, err := Catalogue()
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, c := range all {
		if names[c.Name] {
			t.Errorf("there are two changes %q", c.Name)
		}
		names[c.Name] = true
		u := schemas[c.Schema]
		if u == nil {
			t.Errorf("%q is on %s, which is not in the packages", c.Name, c.Schema)
			continue
		}
		if _, err := c.apply(u); err != nil {
			t.Error(err)
		}
	}
	if len(names) < 37 {
		t.Errorf("%d changes, want 37 at least", len(names))
	}
}
