package main

import (
	"context"
	_ "embed"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// floorAPI is a claim that composes a ConfigMap through the same two functions: what Crossplane alone takes.
//
//go:embed floor.yaml
var floorAPI string

func (b *bench) floor(ctx context.Context, n int) ([]measure, error) {
	for _, doc := range strings.Split(floorAPI, "\n---\n") {
		u := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(doc), &u.Object); err != nil {
			return nil, err
		}
		if err := b.kube.Patch(ctx, u, client.Apply, client.FieldOwner("bench"), client.ForceOwnership); err != nil { //nolint:staticcheck // Typed apply configurations are for known kinds.
			return nil, fmt.Errorf("cannot define the floor: %w", err)
		}
	}
	kind := schema.GroupVersionKind{Group: "bench.eventstore.crossplane.io", Version: "v1", Kind: "Floor"}
	if err := b.served(ctx, kind); err != nil {
		return nil, err
	}
	return b.oneByOne(ctx, "floor: a claim that composes a ConfigMap", "none", "", n, func(i int) client.Object {
		u := &unstructured.Unstructured{}
		u.SetGroupVersionKind(kind)
		u.SetNamespace(b.namespace)
		u.SetName(fmt.Sprintf("floor-%d", i))
		u.Object["spec"] = map[string]any{"name": fmt.Sprintf("%s-%d", b.namespace, i)}
		return u
	})
}

// served waits until a claim of a kind can be created.
func (b *bench) served(ctx context.Context, gvk schema.GroupVersionKind) error {
	return until(ctx, "the kind "+gvk.Kind+" is served", func() (bool, error) {
		l := &unstructured.UnstructuredList{}
		l.SetGroupVersionKind(gvk.GroupVersion().WithKind(gvk.Kind + "List"))
		return b.kube.List(ctx, l, client.InNamespace(b.namespace)) == nil, nil
	})
}
