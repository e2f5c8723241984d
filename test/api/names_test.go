package api_test

import (
	"path/filepath"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// kubectl takes a category for all of its kinds, even where a name follows: "kubectl get eventstore orders" must mean the kind.
func TestNoCategoryIsAKind(t *testing.T) {
	crds, err := readAll[apiextensionsv1.CustomResourceDefinition](filepath.Join(providerDir, "crds"), "*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	derived, err := deriveCRDs()
	if err != nil {
		t.Fatal(err)
	}
	crds = append(crds, derived...)
	kinds := map[string]string{}
	for _, c := range crds {
		n := c.Spec.Names
		for _, name := range append(n.ShortNames, n.Plural, n.Singular) {
			kinds[name] = c.GetName()
		}
	}
	for _, c := range crds {
		for _, category := range c.Spec.Names.Categories {
			if kind, ok := kinds[category]; ok {
				t.Errorf("category %q of %s is a name of %s", category, c.GetName(), kind)
			}
		}
	}
}
