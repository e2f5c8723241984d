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

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/binaries"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/process"
)

var update = flag.Bool("update", false, "write what was rendered to the golden files")

// TestCompositions renders composite resources with Crossplane's own command and the real functions, and compares what
// they compose with golden files. An input holds the composite resource, and then what exists already, if anything.
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
	for _, path := range inputs {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".yaml"), func(t *testing.T) {
			got := render(t, programs[binaries.Crank].Path, functions, path)
			for _, u := range decode(t, got)[1:] { // The first is the composite resource.
				if err := tryStrictly(t, u); err != nil {
					t.Errorf("the API server refuses what is composed: %v", err)
				}
			}
			golden := strings.TrimSuffix(path, ".yaml") + ".golden"
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

// startFunctions starts the functions, and returns the file that tells the command where they are.
func startFunctions(t *testing.T, programs map[string]binaries.Program) (file string) {
	t.Helper()
	names := []string{binaries.FunctionPatchAndTransform, binaries.FunctionAutoReady}
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
func render(t *testing.T, crank, functions, input string) []byte {
	t.Helper()
	b, err := os.ReadFile(input)
	if err != nil {
		t.Fatal(err)
	}
	xr, observed, hasObserved := strings.Cut(string(b), "\n---\n")
	dir := t.TempDir()
	args := []string{"render", write(t, dir, "xr.yaml", xr), compositionFor(t, xr), functions}
	if hasObserved {
		args = append(args, "--observed-resources="+write(t, dir, "observed.yaml", observed))
	}
	cmd := exec.CommandContext(t.Context(), crank, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("cannot render: %v\n%s", err, stderr.String())
	}
	return out
}

// compositionFor returns the path of the Composition for the kind of a composite resource.
func compositionFor(t *testing.T, xr string) string {
	t.Helper()
	_, rest, ok := strings.Cut(xr, "\nkind: ")
	if !ok {
		t.Fatal("the input has no kind")
	}
	kind, _, _ := strings.Cut(rest, "\n")
	paths, err := filepath.Glob(filepath.Join(configurationDir, "apis", "*", strings.ToLower(kind)+"-composition.yaml"))
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
