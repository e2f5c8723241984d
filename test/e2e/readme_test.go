package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/controlplane"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/packages"
)

// TestREADME installs what the README says, the way that it says, in a Crossplane that has nothing of ours: only the
// registry is another, and the functions, which no test can download, come from their modules.
func TestREADME(t *testing.T) {
	cp, err := controlplane.Start(t.Context(), controlplane.Options{Dir: t.TempDir(), Activation: ""})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cp.Stop(); err != nil {
			t.Error(err)
		}
	})
	functions, err := cp.Functions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := cp.Install(t.Context(), functions...); err != nil {
		t.Fatal(err)
	}
	out := t.TempDir()
	if _, err := packages.Build(t.Context(), packages.Options{Out: out, Progress: io.Discard}); err != nil {
		t.Fatal(err)
	}
	for _, command := range blocks(t, "console") {
		for line := range strings.Lines(command) {
			if _, args, ok := strings.Cut(line, "$ crossplane xpkg push -f "); ok {
				push(t, cp, out, strings.Fields(args))
			}
		}
	}
	var installed []*unstructured.Unstructured
	for _, doc := range strings.Split(strings.Join(blocks(t, "yaml"), "\n---\n"), "\n---\n") {
		u := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(strings.ReplaceAll(doc, "registry.example.org", cp.RegistryAddr())), &u.Object); err != nil {
			t.Fatalf("cannot read the README's %s: %v", doc, err)
		}
		image, _, _ := unstructured.NestedString(u.Object, "spec", "package")
		if k := u.GetKind(); k == "Provider" || k == "Configuration" || k == "Function" && strings.HasPrefix(image, cp.RegistryAddr()) || k == "EnvironmentConfig" {
			if err := cp.Client().Create(t.Context(), u); err != nil {
				t.Fatal(err)
			}
			if k != "EnvironmentConfig" {
				installed = append(installed, u)
			}
		}
	}
	if len(installed) != 3 {
		t.Fatalf("the README installs %d packages of ours, want 3", len(installed))
	}
	for _, u := range installed {
		eventually(t, u.GetKind()+" "+u.GetName()+" is healthy", func(ctx context.Context) (bool, string) {
			if err := cp.Client().Get(ctx, client.ObjectKeyFromObject(u), u); err != nil {
				return false, err.Error()
			}
			conditions, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
			for _, c := range conditions {
				if m, ok := c.(map[string]any); ok && m["type"] == "Healthy" && m["status"] == "True" {
					return true, ""
				}
			}
			return false, fmt.Sprint(conditions)
		})
	}
}

// push pushes a package as the README's command does.
func push(t *testing.T, cp *controlplane.ControlPlane, out string, args []string) {
	t.Helper()
	file := filepath.Join(out, filepath.Base(args[0]))
	image := strings.ReplaceAll(args[1], "registry.example.org", strings.Replace(cp.RegistryAddr(), "127.0.0.1", "localhost", 1))
	if out, err := exec.CommandContext(t.Context(), cp.Crank(), "xpkg", "push", "-f", file, image).CombinedOutput(); err != nil {
		t.Fatalf("cannot push %s: %v\n%s", file, err, out)
	}
}

// blocks returns the README's code blocks of a language.
func blocks(t *testing.T, language string) []string {
	t.Helper()
	b, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for i, part := range bytes.Split(b, []byte("```")) {
		if code, ok := bytes.CutPrefix(part, []byte(language+"\n")); ok && i%2 == 1 {
			found = append(found, string(code))
		}
	}
	return found
}
