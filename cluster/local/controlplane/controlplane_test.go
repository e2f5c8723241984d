package controlplane

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/process"
)

// progress shows on the test's log what is being done: a cold start takes minutes.
type progress struct {
	t     *testing.T
	start time.Time
}

func (p progress) Write(b []byte) (int, error) {
	p.t.Logf("%6.2fs %s", time.Since(p.start).Seconds(), b)
	return len(b), nil
}

// TestControlPlane starts one control plane, which takes ten seconds, and shares it.
func TestControlPlane(t *testing.T) {
	dir := t.TempDir()
	cp := start(t, dir)
	t.Run("Group", func(t *testing.T) { // Ends when its parallel tests do.
		t.Run("Composition", func(t *testing.T) {
			t.Parallel()
			composition(t, cp)
		})
		t.Run("Provider", func(t *testing.T) {
			t.Parallel()
			provider(t, cp)
		})
	})
	t.Run("StopLeavesNothingBehind", func(t *testing.T) {
		if err := cp.Stop(); err != nil {
			t.Fatal(err)
		}
		left, err := process.Leftovers(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range left {
			t.Errorf("%s still runs, process %d", p.Name(), p.PID())
		}
	})
	t.Run("StartedAgainItGoesOn", func(t *testing.T) {
		cp := start(t, dir)
		installFunctions(t, cp)
		waitFor(t, "a claim of before", func(ctx context.Context) error {
			return conditions(ctx, cp, object("test.example.org/v1", "Note", "default", "a"), "Ready")
		})
		claim := object("test.example.org/v1", "Note", "default", "after")
		claim.Object["spec"] = map[string]any{"text": "hello"}
		if err := cp.Client().Create(t.Context(), claim); err != nil {
			t.Fatal(err)
		}
		ready(t, cp, claim)
	})
}

func start(t *testing.T, dir string) *ControlPlane {
	t.Helper()
	cp, err := Start(t.Context(), Options{Dir: dir, Progress: progress{t, time.Now()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cp.Stop(); err != nil {
			t.Error(err)
		}
		for _, c := range []string{"crossplane-init", Crossplane, RBACManager, Runtime} {
			if t.Failed() {
				t.Logf("log of %s ends with:\n%s", c, process.Tail(cp.LogFile(c), 20))
			}
		}
	})
	return cp
}

func installFunctions(t *testing.T, cp *ControlPlane) {
	t.Helper()
	functions, err := cp.Functions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := cp.Install(t.Context(), functions...); err != nil {
		t.Fatal(err)
	}
}

// composition follows a claim and a namespaced XR that compose a ConfigMap each, through both functions.
func composition(t *testing.T, cp *ControlPlane) {
	installFunctions(t, cp)
	apply(t, cp, "apis.yaml")
	for _, name := range []string{"xnotes.test.example.org", "appnotes.test.example.org"} {
		waitFor(t, "XRD "+name, func(ctx context.Context) error {
			xrd := object("apiextensions.crossplane.io/v2", "CompositeResourceDefinition", "", name)
			return conditions(ctx, cp, xrd, "Established")
		})
	}
	t.Run("Claim", func(t *testing.T) {
		apply(t, cp, "claim.yaml")
		ready(t, cp, object("test.example.org/v1", "Note", "default", "hello"))
	})
	t.Run("NamespacedXR", func(t *testing.T) {
		apply(t, cp, "xr.yaml")
		ready(t, cp, object("test.example.org/v1", "AppNote", "default", "hello"))
	})
	t.Run("ClaimLatency", func(t *testing.T) { latency(t, cp) })
	t.Run("DeletedClaimTakesItsConfigMapAlong", func(t *testing.T) {
		if err := cp.Client().Delete(t.Context(), object("test.example.org/v1", "Note", "default", "hello")); err != nil {
			t.Fatal(err)
		}
		// The garbage collector looks for new kinds every 30 seconds.
		waitFor(t, "ConfigMap to go", func(ctx context.Context) error {
			if err := cp.Client().Get(ctx, client.ObjectKey{Namespace: "default", Name: "note-hello"}, object("v1", "ConfigMap", "", "")); err == nil {
				return errors.New("it is still there")
			}
			return nil
		})
	})
}

// latency prints how long a claim takes to become ready. The first one was paid for by the test before.
func latency(t *testing.T, cp *ControlPlane) {
	t.Helper()
	var took []time.Duration
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "i"} {
		claim := object("test.example.org/v1", "Note", "default", name)
		claim.Object["spec"] = map[string]any{"text": "hello"}
		start := time.Now()
		if err := cp.Client().Create(t.Context(), claim); err != nil {
			t.Fatal(err)
		}
		waitFor(t, "claim "+name, func(ctx context.Context) error { return conditions(ctx, cp, claim, "Ready") })
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	t.Logf("a claim is ready after %s (median of %d)", took[len(took)/2].Round(time.Millisecond), len(took))
}

// ready waits for a resource, and for the ConfigMap that it composes.
func ready(t *testing.T, cp *ControlPlane, o *unstructured.Unstructured) {
	t.Helper()
	start := time.Now()
	waitFor(t, o.GetKind()+" "+o.GetName(), func(ctx context.Context) error { return conditions(ctx, cp, o, "Ready", "Synced") })
	t.Logf("ready after %s", time.Since(start).Round(time.Millisecond))
	cm := object("v1", "ConfigMap", "", "")
	name := "note-" + o.GetName()
	if o.GetKind() == "AppNote" {
		name = "app" + name
	}
	if err := cp.Client().Get(t.Context(), client.ObjectKey{Namespace: "default", Name: name}, cm); err != nil {
		t.Fatal(err)
	}
	if got, _, _ := unstructured.NestedString(cm.Object, "data", "text"); got != "hello" {
		t.Errorf("the composed ConfigMap says %q, want %q", got, "hello")
	}
}

func apply(t *testing.T, cp *ControlPlane, file string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	if err := cp.ApplyYAML(t.Context(), b); err != nil {
		t.Fatal(err)
	}
}

func object(apiVersion, kind, namespace, name string) *unstructured.Unstructured {
	o := &unstructured.Unstructured{}
	o.SetAPIVersion(apiVersion)
	o.SetKind(kind)
	o.SetNamespace(namespace)
	o.SetName(name)
	return o
}

func conditions(ctx context.Context, cp *ControlPlane, o *unstructured.Unstructured, types ...string) error {
	if err := cp.Client().Get(ctx, client.ObjectKeyFromObject(o), o); err != nil {
		return err
	}
	if waiting := unmet(o, types...); waiting != "" {
		return errors.New(waiting)
	}
	return nil
}

func waitFor(t *testing.T, what string, done func(context.Context) error) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); {
		if err = done(t.Context()); err == nil {
			return
		}
		<-time.After(5 * time.Millisecond)
	}
	t.Fatalf("still waiting for %s after a minute: %v", what, err)
}
