// Package schemas breaks the schemas of a control plane with live stores, one after the other and each in another way, puts
// each back, and sees whether everything comes back.
package schemas

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"
)

//go:embed catalogue.yaml
var catalogue []byte

// A Change breaks a schema.
type Change struct {
	Name string `json:"name"`

	// Schema is the name of a CustomResourceDefinition, or of a CompositeResourceDefinition if XRD is true.
	Schema string `json:"schema"`
	XRD    bool   `json:"xrd,omitempty"`

	// Patch is a JSON patch, in which $spec, $for and $status stand for places in the schema of the first version.
	Patch []map[string]any `json:"patch"`
}

// Catalogue returns all changes.
func Catalogue() ([]Change, error) {
	var all []Change
	if err := yaml.UnmarshalStrict(catalogue, &all); err != nil {
		return nil, fmt.Errorf("cannot read the catalogue: %w", err)
	}
	return all, nil
}

// object returns an empty object of what the change is made on.
func (c Change) object() *unstructured.Unstructured {
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"})
	if c.XRD {
		u.SetGroupVersionKind(schema.GroupVersionKind{Group: "apiextensions.crossplane.io", Version: "v2", Kind: "CompositeResourceDefinition"})
	}
	u.SetName(c.Schema)
	return u
}

// places are what the short names in patches stand for.
var places = strings.NewReplacer(
	"$spec", "/spec/versions/0/schema/openAPIV3Schema/properties/spec",
	"$for", "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/forProvider",
	"$status", "/spec/versions/0/schema/openAPIV3Schema/properties/status",
)

// apply returns what the change makes of an object. It is an error if that is the same.
func (c Change) apply(u *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	ops := make([]map[string]any, len(c.Patch))
	for i, op := range c.Patch {
		ops[i] = map[string]any{}
		for k, v := range op {
			ops[i][k] = v
		}
		ops[i]["path"] = places.Replace(fmt.Sprint(op["path"]))
	}
	raw, err := json.Marshal(ops)
	if err != nil {
		return nil, err
	}
	patch, err := jsonpatch.DecodePatch(raw)
	if err != nil {
		return nil, err
	}
	before, err := u.MarshalJSON()
	if err != nil {
		return nil, err
	}
	after, err := patch.Apply(before)
	if err != nil {
		return nil, fmt.Errorf("cannot make the change %q to %s: %w", c.Name, c.Schema, err)
	}
	if jsonpatch.Equal(before, after) {
		return nil, fmt.Errorf("the change %q to %s is none", c.Name, c.Schema)
	}
	changed := &unstructured.Unstructured{}
	return changed, changed.UnmarshalJSON(after)
}
