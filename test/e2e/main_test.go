// Package e2e_test proves the whole path with the real Crossplane: packages from a registry, claims and namespaced
// composite resources, our provider with exactly the rights that its package gets, real brokers, and applications with the
// Secret that arrives. What the provider does by itself is test/provider's.
package e2e_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	kerrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/stack"
)

// patience is how long a test waits for what takes about a second on an idle machine.
const patience = 5 * time.Minute

// world is what the tests of this package share.
var world struct {
	*stack.Stack
	kube   client.Client
	orders string // The order service's binary.
	esctl  string // That of the tool.
}

func TestMain(m *testing.M) {
	// These tests wait much more than they work.
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	flag.Parse() // For testing.Short.
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	if testing.Short() {
		fmt.Fprintln(os.Stderr, "skipped: the whole control plane is not started in short mode")
		return 0, nil
	}
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "e2e-")
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	world.orders, world.esctl = filepath.Join(dir, "orders"), filepath.Join(dir, "esctl")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", dir, "../../examples/orders", "../../cmd/esctl").CombinedOutput(); err != nil {
		return 0, fmt.Errorf("cannot build the order service and esctl: %w\n%s", err, out)
	}
	// Nothing is activated but what our Configuration activates.
	world.Stack, err = stack.Start(ctx, stack.Options{
		Dir: filepath.Join(dir, "state"), Activation: "", Brokers: []string{stack.Redis, stack.Kafka, stack.Pulsar}, ProviderArgs: []string{"--drift-interval=2s"},
		// Tests change a claim more often in seconds than people do in days, which Crossplane would stop listening to.
		CrossplaneArgs: []string{"--circuit-breaker-burst=10000"},
	})
	if err != nil {
		return 0, err
	}
	defer func() {
		if serr := world.Stop(); err == nil {
			err = serr
		}
	}()
	world.kube = world.Client()
	if err := awaitCollector(ctx, world.kube); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

// eventually polls until ask says ok, and fails the test with what it was waiting for if that never comes.
func eventually(t *testing.T, what string, ask func(ctx context.Context) (ok bool, got string)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var got string
	for {
		var ok bool
		if ok, got = ask(ctx); ok {
			return
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("waited %s until %s; last seen: %s", patience, what, got)
		}
	}
}

// namespace creates a namespace for one test.
func namespace(t *testing.T) string {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "shop-"}}
	if err := world.kube.Create(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			explain(t, ns.GetName())
		}
	})
	return ns.GetName()
}

// explain logs what became of the resources of a namespace.
func explain(t *testing.T, namespace string) {
	t.Helper()
	for _, kind := range managedKinds {
		l := &unstructured.UnstructuredList{}
		l.SetGroupVersionKind(kind)
		if err := world.kube.List(context.WithoutCancel(t.Context()), l); err != nil {
			t.Log(err)
			continue
		}
		for _, u := range l.Items {
			if u.GetNamespace() == namespace || u.GetLabels()["crossplane.io/claim-namespace"] == namespace {
				t.Logf("%s %s, deleted %v, finalizers %v: %v", kind.Kind, u.GetName(), u.GetDeletionTimestamp(), u.GetFinalizers(), u.Object["status"])
			}
		}
	}
}

// example reads an example and moves it into the namespace.
func example(t *testing.T, path, namespace string) *unstructured.Unstructured {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../../examples", path))
	if err != nil {
		t.Fatal(err)
	}
	u := &unstructured.Unstructured{}
	if err := yaml.Unmarshal(b, &u.Object); err != nil {
		t.Fatalf("cannot read example %s: %v", path, err)
	}
	u.SetNamespace(namespace)
	return u
}

func create(t *testing.T, objects ...client.Object) {
	t.Helper()
	for _, o := range objects {
		if err := world.kube.Create(t.Context(), o); err != nil {
			t.Fatalf("cannot create %s: %v", o.GetName(), err)
		}
	}
}

// ready waits until the object's condition Ready is True.
func ready(t *testing.T, u *unstructured.Unstructured) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s %s is Ready", u.GetKind(), u.GetName()), func(ctx context.Context) (bool, string) {
		if err := world.kube.Get(ctx, client.ObjectKeyFromObject(u), u); err != nil {
			return false, err.Error()
		}
		conditions, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
		for _, c := range conditions {
			if m, ok := c.(map[string]any); ok && m["type"] == "Ready" && m["status"] == "True" {
				return true, ""
			}
		}
		return false, fmt.Sprint(u.Object["status"])
	})
}

// mount writes a Secret into a folder, as the kubelet does.
func mount(t *testing.T, namespace, name string) string {
	t.Helper()
	s := &corev1.Secret{}
	eventually(t, "the Secret "+name+" has a password", func(ctx context.Context) (bool, string) {
		err := world.kube.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, s)
		return err == nil && len(s.Data["password"]) > 0, fmt.Sprint(err)
	})
	dir := t.TempDir()
	for key, value := range s.Data {
		if err := os.WriteFile(filepath.Join(dir, key), value, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// file reads a key of a mounted Secret.
func file(t *testing.T, dir, key string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, key))
	if err != nil {
		t.Fatalf("the Secret lacks a key: %v", err)
	}
	return string(b)
}

// gone waits until an object does not exist any more.
func gone(t *testing.T, o client.Object) {
	t.Helper()
	eventually(t, fmt.Sprintf("%T %s is gone", o, o.GetName()), func(ctx context.Context) (bool, string) {
		err := world.kube.Get(ctx, client.ObjectKeyFromObject(o), o)
		if u, ok := o.(*unstructured.Unstructured); ok && err == nil {
			return false, fmt.Sprint(u.Object["status"])
		}
		return kerrors.IsNotFound(err), fmt.Sprint(err)
	})
}

// leavesNothing checks that neither the API server nor the broker has anything of a store and its subscriptions.
func leavesNothing(t *testing.T, b broker, namespace, store string) {
	t.Helper()
	eventually(t, "nothing is left of "+store, func(ctx context.Context) (bool, string) {
		found, err := b.traces(ctx, store)
		if err != nil {
			return false, err.Error()
		}
		for _, kind := range managedKinds {
			l := &unstructured.UnstructuredList{}
			l.SetGroupVersionKind(kind)
			if err := world.kube.List(ctx, l); err != nil {
				return false, err.Error()
			}
			for _, u := range l.Items {
				if strings.Contains(u.GetName(), namespace) || u.GetNamespace() == namespace || u.GetLabels()["crossplane.io/claim-namespace"] == namespace {
					found = append(found, u.GetKind()+" "+u.GetName())
				}
			}
		}
		secrets := &corev1.SecretList{}
		if err := world.kube.List(ctx, secrets); err != nil {
			return false, err.Error()
		}
		for _, s := range secrets.Items {
			if string(s.Data["store"]) == store {
				found = append(found, "Secret "+s.GetNamespace()+"/"+s.GetName())
			}
		}
		return len(found) == 0, strings.Join(found, ", ")
	})
}
