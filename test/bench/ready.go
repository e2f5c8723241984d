package main

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/stack"
	"github.com/crossplane-contrib/provider-eventstore/test/bench/plane"
)

// oneByOne measures one EventStore at a time, with the default of six partitions, and one claim at a time: through
// Crossplane's core and the composition function.
func (b *bench) oneByOne(ctx context.Context, w *plane.Workspace) error {
	times, err := sequence(ctx, w, b.o.one, b.patience(1), func(i int) client.Object {
		return w.Store(fmt.Sprintf("one-%d", i), b.backend)
	})
	if err != nil {
		return err
	}
	b.times("EventStore of 6 partitions, create to Ready", "ms", times, time.Millisecond, 50, 95, 100)
	times, err = sequence(ctx, w, b.o.one, b.patience(1), func(i int) client.Object {
		return claim(w, fmt.Sprintf("claim-%d", i), map[string]any{"class": stack.Classes[b.backend]})
	})
	if err != nil {
		return err
	}
	b.times("EventStoreClaim, create to Ready", "ms", times, time.Millisecond, 50, 95, 100)
	return nil
}

// everywhere measures claims with a store in each of three locations, on another backend each.
func (b *bench) everywhere(ctx context.Context, w *plane.Workspace) error {
	place := func(cloud, region string) any { return map[string]any{"cloud": cloud, "region": region} }
	times, err := sequence(ctx, w, b.o.one, b.patience(1), func(i int) client.Object {
		return claim(w, fmt.Sprintf("everywhere-%d", i), map[string]any{"class": "global", "locations": []any{
			place("aws", "us-east-1"), place("azure", "eastus"), place("alibaba", "cn-hangzhou"),
		}})
	})
	if err != nil {
		return err
	}
	b.times("EventStoreClaim in three locations, create to Ready", "ms", times, time.Millisecond, 50, 95, 100)
	return nil
}

func claim(w *plane.Workspace, name string, spec map[string]any) client.Object {
	c := &unstructured.Unstructured{}
	c.SetGroupVersionKind(schema.GroupVersionKind{Group: "platform.eventstore.crossplane.io", Version: "v1alpha1", Kind: "EventStoreClaim"})
	c.SetNamespace(w.Namespace)
	c.SetName(name)
	spec["writeConnectionSecretToRef"] = map[string]any{"name": name}
	c.Object["spec"] = spec
	return c
}

// sequence creates one object after the other, and returns how long each took to become Ready.
func sequence(ctx context.Context, w *plane.Workspace, n int, patience time.Duration, object func(i int) client.Object) ([]time.Duration, error) {
	times := make([]time.Duration, 0, n)
	for i := range n {
		took, err := w.CreateReady(ctx, object(i), patience)
		if err != nil {
			return nil, err
		}
		times = append(times, took)
	}
	return times, nil
}
