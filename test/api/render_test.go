package api_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/binaries"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/process"
)

// multicloud is the folder of the examples for several clouds.
const multicloud = "../../examples/multicloud"

var update = flag.Bool("update", false, "write what was rendered to the golden files")

// functionEventStore is our own function's name.
const functionEventStore = "function-eventstore"

// TestCompositions renders composite resources with Crossplane's own command and the real functions, and compares what
// they compose with golden files. An input holds the composite resource, and then what exists already, if anything. What
// begins with Placed is composed by our function, as the examples for several clouds are; the others are composed without it.
func TestCompositions(t *testing.T) {
	programs, err := binaries.Build(t.Context(), os.Stderr, binaries.Crank, binaries.FunctionPatchAndTransform, binaries.FunctionAutoReady)
	if err != nil {
		t.Fatal(err)
	}
	functions := startFunctions(t, programs)
	inputs, err := filepath.Glob("testdata/render/*.yaml")
	if err != nil || len(inputs) == 0 {
		t.Fatalf("no inputs: %v", err)
	}
	texts := map[string]string{
		"PlacedExample":      compositeOf(t, read(t, multicloud, "app-eventstore.yaml")),
		"PlacedExampleClaim": compositeOf(t, read(t, multicloud, "claim.yaml")),
	}
	for _, path := range inputs {
		texts[strings.TrimSuffix(filepath.Base(path), ".yaml")] = read(t, path)
	}
	for name, text := range texts {
		t.Run(name, func(t *testing.T) {
			flavour := "composition"
			if strings.HasPrefix(name, "Placed") {
				flavour = "placed"
			}
			got := render(t, programs[binaries.Crank].Path, functions, flavour, text)
			for _, u := range decode(t, got)[1:] { // The first is the composite resource.
				if err := tryStrictly(t, u); err != nil {
					t.Errorf("the API server refuses what is composed: %v", err)
				}
			}
			golden := filepath.Join("testdata", "render", name+".golden")
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil { //nolint:gosec // It is source code.
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("rendered (rewrite with -update): -want, +got:\n%s", diff)
			}
		})
	}
}

// TestRefusedWithout has the Compositions that do not need our function refuse what they cannot do, and say which can.
func TestRefusedWithout(t *testing.T) {
	programs, err := binaries.Build(t.Context(), os.Stderr, binaries.Crank, binaries.FunctionPatchAndTransform, binaries.FunctionAutoReady)
	if err != nil {
		t.Fatal(err)
	}
	functions := startFunctions(t, programs)
	cases := map[string]struct {
		reason string
		spec   string
		want   string
	}{
		"Locations":     {"One resource is in one place.", "{class: fast, locations: [{cloud: aws, region: us-east-1}]}", "locations (aws, ...) need the Composition placed."},
		"Subscriptions": {"One resource is one store.", "{class: fast, subscriptions: [{name: audit}]}", "subscriptions (audit, ...) need the Composition placed."},
	}
	for name, tc := range cases {
		for _, kind := range []string{"XEventStore", "AppEventStore"} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				xr := fmt.Sprintf("apiVersion: platform.eventstore.crossplane.io/v1alpha1\nkind: %s\nmetadata: {name: orders, namespace: shop}\nspec: %s\n", kind, tc.spec)
				out, message, err := tryRender(t, programs[binaries.Crank].Path, functions, "composition", xr)
				if want := tc.want + strings.ToLower(kind) + "s.platform.eventstore.crossplane.io"; !strings.Contains(message+string(out), want) {
					t.Errorf("%s\nwant %q, got %v:\n%s\n%s", tc.reason, want, err, message, out)
				}
			})
		}
	}
}

// compositeOf returns a composite resource as it is in the API server: the one that Crossplane makes of a claim, or itself.
func compositeOf(t *testing.T, manifest string) string {
	t.Helper()
	u := decode(t, []byte(manifest))[0]
	if kind, isClaim := strings.CutSuffix(u.GetKind(), "Claim"); isClaim {
		u.SetLabels(map[string]string{"crossplane.io/claim-namespace": u.GetNamespace(), "crossplane.io/claim-name": u.GetName()})
		u.SetKind("X" + kind)
		u.SetName(u.GetName() + "-x7k2p")
		u.SetNamespace("")
	}
	u.SetUID("3f1d7a52-7f6e-4a53-9d0a-3a3c0e6f4b11")
	b, err := yaml.Marshal(u.Object)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func read(t *testing.T, path ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// startFunctions builds our function and starts it and the others, and returns the file that tells the command where they are.
func startFunctions(t *testing.T, programs map[string]binaries.Program) (file string) {
	t.Helper()
	programs[functionEventStore] = binaries.Program{Path: filepath.Join(t.TempDir(), functionEventStore)}
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", programs[functionEventStore].Path, "../../cmd/function").CombinedOutput(); err != nil {
		t.Fatalf("cannot build the function: %v\n%s", err, out)
	}
	names := []string{binaries.FunctionPatchAndTransform, binaries.FunctionAutoReady, functionEventStore}
	ports, err := process.FreePorts(len(names))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var b strings.Builder
	for i, name := range names {
		address := process.Loopback(ports[i])
		p, err := process.Start(process.Spec{
			Path: programs[name].Path, Args: []string{"--insecure", "--address=" + address},
			Dir: dir, LogFile: filepath.Join(dir, name+".log"),
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = p.Stop(time.Second) })
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := p.WaitReady(ctx, func(ctx context.Context) error { return dial(ctx, address) }); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, `---
apiVersion: pkg.crossplane.io/v1
kind: Function
metadata:
  name: crossplane-contrib-%s
  annotations:
    render.crossplane.io/runtime: Development
    render.crossplane.io/runtime-development-target: %s
spec:
  package: example.org/%s:v0
`, name, address, name)
	}
	return write(t, dir, "functions.yaml", b.String())
}

func dial(ctx context.Context, address string) error {
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return c.Close()
}

// render returns what the composite resource of an input becomes.
func render(t *testing.T, crank, functions, flavour, input string) []byte {
	t.Helper()
	out, message, err := tryRender(t, crank, functions, flavour, input)
	if err != nil {
		t.Fatalf("cannot render: %v\n%s", err, message)
	}
	return out
}

// tryRender renders an input with the Composition of a flavour. The Placement is that of the examples.
func tryRender(t *testing.T, crank, functions, flavour, input string) (out []byte, message string, err error) {
	t.Helper()
	xr, observed, hasObserved := strings.Cut(input, "\n---\n")
	dir := t.TempDir()
	args := []string{
		"render", write(t, dir, "xr.yaml", xr), compositionFor(t, flavour, xr), functions,
		"--required-resources=" + filepath.Join(multicloud, "placement.yaml"),
	}
	if hasObserved {
		args = append(args, "--observed-resources="+write(t, dir, "observed.yaml", observed))
	}
	cmd := exec.CommandContext(t.Context(), crank, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err = cmd.Output()
	return out, stderr.String(), err
}

// compositionFor returns the path of the Composition of a flavour for the kind of a composite resource.
func compositionFor(t *testing.T, flavour, xr string) string {
	t.Helper()
	kind := decode(t, []byte(xr))[0].GetKind()
	paths, err := filepath.Glob(filepath.Join(configurationDir, "apis", "*", strings.ToLower(kind)+"-"+flavour+".yaml"))
	if err != nil || len(paths) != 1 {
		t.Fatalf("there is no Composition for %s: %v", kind, err)
	}
	return paths[0]
}

func write(t *testing.T, dir, name, text string) (path string) {
	t.Helper()
	path = filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
