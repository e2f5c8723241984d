package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/crossplane-contrib/provider-eventstore/test/bench/plane"
	"github.com/crossplane-contrib/provider-eventstore/test/bench/report"
)

// floorAPI is a claim that composes a ConfigMap through the same two functions: what Crossplane alone takes.
//
//go:embed floor.yaml
var floorAPI string

// floorPatience is how long one of them may take, and the definition of its kind.
const floorPatience = 5 * time.Minute

func floor(ctx context.Context, p *plane.Plane, o options, r *report.Report) error {
	w, err := p.Workspace(ctx, "bench-")
	if err != nil {
		return err
	}
	err = measureFloor(ctx, w, o, r)
	return errors.Join(err, w.Clear(context.WithoutCancel(ctx), floorPatience))
}

func measureFloor(ctx context.Context, w *plane.Workspace, o options, r *report.Report) error {
	for _, doc := range strings.Split(floorAPI, "\n---\n") {
		u := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(doc), &u.Object); err != nil {
			return err
		}
		if err := w.Kube.Patch(ctx, u, client.Apply, client.FieldOwner("bench"), client.ForceOwnership); err != nil { //nolint:staticcheck // Typed apply configurations are for known kinds.
			return fmt.Errorf("cannot define the floor: %w", err)
		}
	}
	kind := schema.GroupVersionKind{Group: "bench.eventstore.crossplane.io", Version: "v1", Kind: "Floor"}
	if err := served(ctx, w, kind); err != nil {
		return err
	}
	times, err := sequence(ctx, w, o.one, floorPatience, func(i int) client.Object {
		u := &unstructured.Unstructured{}
		u.SetGroupVersionKind(kind)
		u.SetNamespace(w.Namespace)
		u.SetName(fmt.Sprintf("floor-%d", i))
		u.Object["spec"] = map[string]any{"name": fmt.Sprintf("%s-%d", w.Namespace, i)}
		return u
	})
	if err != nil {
		return err
	}
	b := &bench{r: r, backend: "none"}
	b.times("floor: a claim that composes a ConfigMap", "ms", times, time.Millisecond, 50, 95, 100)
	return nil
}

// served waits until a claim of a kind can be created.
func served(ctx context.Context, w *plane.Workspace, gvk schema.GroupVersionKind) error {
	return plane.Until(ctx, floorPatience, "the kind "+gvk.Kind+" is served", func(ctx context.Context) (bool, error) {
		l := &unstructured.UnstructuredList{}
		l.SetGroupVersionKind(gvk.GroupVersion().WithKind(gvk.Kind + "List"))
		return w.Kube.List(ctx, l, client.InNamespace(w.Namespace)) == nil, nil
	})
}
