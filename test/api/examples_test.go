package api_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	xpmetav1 "github.com/crossplane/crossplane/apis/v2/pkg/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// TestExamples applies every example as a user would, with strict validation: a field that does not exist is an error.
func TestExamples(t *testing.T) {
	applyFolder(t, "../../examples", "cluster", "namespaced", "providerconfigs", "claims", "servicebinding", "orders")
}

// TestDocumentation applies the manifests in the documentation in the same way. Those of Crossplane's own kinds, and parts
// of manifests, are left out.
func TestDocumentation(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range append(pages, "../../README.md") {
		b, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for i, block := range yamlBlock.FindAllSubmatch(b, -1) {
			for _, u := range decode(t, block[1]) {
				if !strings.Contains(u.GroupVersionKind().Group, "eventstore") {
					continue
				}
				t.Run(fmt.Sprintf("%s/%d-%s", filepath.Base(page), i, u.GetKind()), func(t *testing.T) {
					if err := tryStrictly(t, u); err != nil {
						t.Error(err)
					}
				})
			}
		}
	}
}

var yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```")

// TestPackageObjects applies what the packages carry.
func TestPackageObjects(t *testing.T) {
	applyFolder(t, configurationDir, "apis", "activation.yaml")
}

// TestPackageMetadata reads the packages' metadata with Crossplane's own types.
func TestPackageMetadata(t *testing.T) {
	p, err := readAll[xpmetav1.Provider](providerDir, "crossplane.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if !xpmetav1.CapabilitiesContainFuzzyMatch(p[0].Spec.Capabilities, xpmetav1.ProviderCapabilitySafeStart) {
		t.Error("the provider waits for its CRDs, and does not say so: capabilities must list SafeStart")
	}
	if _, err := readAll[xpmetav1.Configuration](configurationDir, "crossplane.yaml"); err != nil {
		t.Error(err)
	}
}

func applyFolder(t *testing.T, root string, names ...string) {
	t.Helper()
	count := 0
	for _, n := range names {
		err := filepath.WalkDir(filepath.Join(root, n), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(path) != ".yaml" {
				return err
			}
			count++
			t.Run(strings.TrimPrefix(path, root+"/"), func(t *testing.T) { applyFile(t, path) })
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if count == 0 {
		t.Errorf("no YAML below %s in %v", root, names)
	}
}

func applyFile(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(b, []byte("# ")) {
		t.Error("the file must begin with a comment that says what it shows")
	}
	for _, u := range decode(t, b) {
		if err := tryStrictly(t, u); err != nil {
			t.Errorf("%s %s: %v", u.GetKind(), u.GetName(), err)
		}
	}
}

// decode reads the objects of a YAML file.
func decode(t *testing.T, b []byte) (objects []*unstructured.Unstructured) {
	t.Helper()
	d := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(b), 4096)
	for {
		u := &unstructured.Unstructured{}
		if err := d.Decode(&u.Object); errors.Is(err, io.EOF) {
			return objects
		} else if err != nil {
			t.Fatal(err)
		}
		if len(u.Object) > 0 {
			objects = append(objects, u)
		}
	}
}

// tryStrictly creates an object without keeping it. A field that does not exist is an error.
func tryStrictly(t *testing.T, u *unstructured.Unstructured) error {
	t.Helper()
	return retry(t, func() error {
		return client.WithFieldValidation(kube, "Strict").Create(t.Context(), u.DeepCopy(), client.DryRunAll)
	})
}
