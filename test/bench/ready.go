package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"slices"
	"sync"
	"time"

	xpv2 "github.com/crossplane/crossplane/apis/v2/core/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/crossplane-contrib/provider-eventstore/apis"
	namespacedv1alpha1 "github.com/crossplane-contrib/provider-eventstore/apis/namespaced/v1alpha1"
)

// patience is how long anything may take before the benchmark gives up.
const patience = 5 * time.Minute

// class is the ProviderConfig and ClusterProviderConfig of the local control plane's Redis.
const class = "fast"

// bench runs against one control plane, in a namespace of its own.
type bench struct {
	kube      client.WithWatch
	namespace string
}

func newBench(ctx context.Context, kubeconfig string) (*bench, error) {
	cfg, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("cannot find the control plane (is it up?): %w", err)
	}
	cfg.QPS, cfg.Burst = 2000, 4000
	scheme := clientgoscheme.Scheme
	if err := apis.AddToScheme(scheme); err != nil {
		return nil, err
	}
	kube, err := client.NewWithWatch(cfg, client.Options{Scheme: scheme})
	if err != nil {
		return nil, err
	}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "bench-"}}
	if err := kube.Create(ctx, ns); err != nil {
		return nil, err
	}
	return &bench{kube: kube, namespace: ns.GetName()}, nil
}

// close removes the namespace with all that is in it. The stores are empty, so nothing protects them.
func (b *bench) close() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: b.namespace}}
	if err := b.kube.Delete(ctx, ns); err != nil {
		fmt.Fprintln(os.Stderr, "bench: cannot clean up:", err)
	}
}

// store returns an EventStore on the local Redis.
func (b *bench) store(name string, partitions int32) *namespacedv1alpha1.EventStore {
	s := &namespacedv1alpha1.EventStore{ObjectMeta: metav1.ObjectMeta{Namespace: b.namespace, Name: name}}
	s.Spec.ProviderConfigReference = &xpv2.ProviderConfigReference{Kind: "ClusterProviderConfig", Name: class}
	s.Spec.WriteConnectionSecretToReference = &xpv2.LocalSecretReference{Name: name}
	if partitions > 0 {
		s.Spec.ForProvider.Partitions = &partitions
	}
	return s
}

// stores measures one EventStore at a time, with the default of six partitions.
func (b *bench) stores(ctx context.Context, n int) ([]measure, error) {
	return b.oneByOne(ctx, "EventStore, create to Ready", "redis", "p50 <= 300", n, func(i int) client.Object {
		return b.store(fmt.Sprintf("one-%d", i), 0)
	})
}

// claims measures one claim at a time: through Crossplane's core and both functions.
func (b *bench) claims(ctx context.Context, n int) ([]measure, error) {
	return b.oneByOne(ctx, "EventStoreClaim, create to Ready", "redis", "p50 <= 1000", n, func(i int) client.Object {
		c := &unstructured.Unstructured{}
		c.SetGroupVersionKind(schema.GroupVersionKind{Group: "platform.eventstore.crossplane.io", Version: "v1alpha1", Kind: "EventStoreClaim"})
		c.SetNamespace(b.namespace)
		c.SetName(fmt.Sprintf("claim-%d", i))
		c.Object["spec"] = map[string]any{"class": class, "writeConnectionSecretToRef": map[string]any{"name": c.GetName()}}
		return c
	})
}

func (b *bench) oneByOne(ctx context.Context, what, backend, goal string, n int, object func(i int) client.Object) ([]measure, error) {
	times := make([]time.Duration, 0, n)
	for i := range n {
		o := object(i)
		took, err := b.ready(ctx, o)
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", what, o.GetName(), err)
		}
		times = append(times, took)
		if (i+1)%10 == 0 {
			fmt.Fprintf(os.Stderr, "%s: %d of %d\n", what, i+1, n)
		}
	}
	return []measure{
		{what + ", p50", backend, milliseconds(percentile(times, 50)), "ms", goal},
		{what + ", p95", backend, milliseconds(percentile(times, 95)), "ms", ""},
		{what + ", max", backend, milliseconds(percentile(times, 100)), "ms", ""},
	}, nil
}

// ready creates o and returns how long it took until a watcher has seen it Ready.
func (b *bench) ready(ctx context.Context, o client.Object) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	list := &unstructured.UnstructuredList{}
	gvk, err := b.kube.GroupVersionKindFor(o)
	if err != nil {
		return 0, err
	}
	list.SetGroupVersionKind(gvk.GroupVersion().WithKind(gvk.Kind + "List"))
	w, err := b.kube.Watch(ctx, list, client.InNamespace(o.GetNamespace()), client.MatchingFieldsSelector{Selector: fields.OneTermEqualSelector("metadata.name", o.GetName())})
	if err != nil {
		return 0, err
	}
	defer w.Stop()
	began := time.Now()
	if err := b.kube.Create(ctx, o); err != nil {
		return 0, err
	}
	last := ""
	for {
		select {
		case e := <-w.ResultChan():
			if u, ok := e.Object.(*unstructured.Unstructured); ok && e.Type != watch.Deleted {
				var is bool
				if is, last = isReady(u); is {
					return time.Since(began), nil
				}
			}
		case <-ctx.Done():
			return 0, fmt.Errorf("not Ready after %s: %s", patience, last)
		}
	}
}

// isReady reports whether an object is Ready, and what its conditions say.
func isReady(u *unstructured.Unstructured) (ready bool, conditions string) {
	list, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
	for _, c := range list {
		if m, ok := c.(map[string]any); ok {
			ready = ready || (m["type"] == "Ready" && m["status"] == "True")
		}
	}
	return ready, fmt.Sprint(list)
}

// until asks until ok, and says what it was waiting for if that never comes.
func until(ctx context.Context, what string, ask func() (ok bool, err error)) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		if ok, err := ask(); ok || err != nil {
			return err
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("waited %s until %s", patience, what)
		}
	}
}

// parallel calls fn for 0..n-1, at most 50 at a time, and returns the first error.
func parallel(n int, fn func(i int) error) error {
	var wg sync.WaitGroup
	errs := make([]error, n)
	slots := make(chan struct{}, 50)
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			errs[i] = fn(i)
			<-slots
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func percentile(times []time.Duration, p int) time.Duration {
	sorted := slices.Sorted(slices.Values(times))
	if len(sorted) == 0 {
		return 0
	}
	return sorted[max(0, int(math.Ceil(float64(len(sorted)*p)/100))-1)]
}

func milliseconds(d time.Duration) float64 { return math.Round(float64(d.Microseconds())/100) / 10 }
