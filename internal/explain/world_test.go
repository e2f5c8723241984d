package explain

import (
	"bytes"
	"context"
	"os"
	"slices"
	"testing"

	kerrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// A world is what an API server has. It is a client.Reader for what explain reads.
type world struct {
	objects  []*unstructured.Unstructured
	unserved map[string]bool // Kinds.
	secret   map[string]bool // Kinds that may not be read.
}

// newWorld returns one in which all is well.
func newWorld(t *testing.T) *world {
	t.Helper()
	b, err := os.ReadFile("testdata/world.yaml")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{unserved: map[string]bool{}, secret: map[string]bool{}}
	for _, doc := range bytes.Split(b, []byte("\n---\n")) {
		u := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(doc, &u.Object); err != nil {
			t.Fatal(err)
		}
		w.objects = append(w.objects, u)
	}
	return w
}

// of returns the first object whose name begins so.
func (w *world) of(kind, prefix string) *unstructured.Unstructured {
	for _, u := range w.objects {
		if u.GetKind() == kind && len(u.GetName()) >= len(prefix) && u.GetName()[:len(prefix)] == prefix {
			return u
		}
	}
	panic("the world has no " + kind + " " + prefix)
}

func (w *world) remove(kind, prefix string) {
	u := w.of(kind, prefix)
	w.objects = slices.DeleteFunc(w.objects, func(o *unstructured.Unstructured) bool { return o == u })
}

// says gives an object a condition.
func (w *world) says(kind, prefix, condition, status, reason, message string) {
	u := w.of(kind, prefix)
	all, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
	all = slices.DeleteFunc(all, func(c any) bool { return c.(map[string]any)["type"] == condition }) //nolint:forcetypeassert // As in world.yaml.
	all = append(all, map[string]any{"type": condition, "status": status, "reason": reason, "message": message})
	_ = unstructured.SetNestedSlice(u.Object, all, "status", "conditions")
}

// set sets a field of an object.
func (w *world) set(kind, prefix string, value any, path ...string) {
	if err := unstructured.SetNestedField(w.of(kind, prefix).Object, value, path...); err != nil {
		panic(err)
	}
}

func (w *world) delete(kind, prefix string) {
	now := metav1.Now()
	w.of(kind, prefix).SetDeletionTimestamp(&now)
}

func (w *world) refuses(gvk schema.GroupVersionKind, name string) error {
	resource := schema.GroupResource{Group: gvk.Group, Resource: gvk.Kind}
	switch {
	case w.unserved[gvk.Kind]:
		return &apimeta.NoKindMatchError{GroupKind: gvk.GroupKind()}
	case w.secret[gvk.Kind]:
		return kerrors.NewForbidden(resource, name, nil)
	}
	return nil
}

func (w *world) Get(_ context.Context, key client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	gvk := into.GetObjectKind().GroupVersionKind()
	if err := w.refuses(gvk, key.Name); err != nil {
		return err
	}
	for _, u := range w.objects {
		if u.GroupVersionKind() != gvk || u.GetName() != key.Name || u.GetNamespace() != key.Namespace {
			continue
		}
		switch into := into.(type) {
		case *unstructured.Unstructured:
			u.DeepCopyInto(into)
		case *metav1.PartialObjectMetadata:
			into.SetName(u.GetName())
			into.SetNamespace(u.GetNamespace())
		}
		return nil
	}
	return kerrors.NewNotFound(schema.GroupResource{Group: gvk.Group, Resource: gvk.Kind}, key.Name)
}

func (w *world) List(_ context.Context, into client.ObjectList, opts ...client.ListOption) error {
	l := into.(*unstructured.UnstructuredList) //nolint:forcetypeassert // Nothing else is listed.
	gvk := l.GroupVersionKind()
	gvk.Kind = gvk.Kind[:len(gvk.Kind)-len("List")]
	if err := w.refuses(gvk, ""); err != nil {
		return err
	}
	o := (&client.ListOptions{}).ApplyOptions(opts)
	for _, u := range w.objects {
		if u.GroupVersionKind() == gvk && (o.LabelSelector == nil || o.LabelSelector.Matches(labelsOf(u))) {
			l.Items = append(l.Items, *u.DeepCopy())
		}
	}
	return nil
}

func labelsOf(u *unstructured.Unstructured) labels.Set { return u.GetLabels() }
