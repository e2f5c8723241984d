package plane

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// A Watch knows which objects of a kind are Ready, and since when. It watches, because listing a thousand objects again
// and again would take from the API server what is to be measured.
type Watch struct {
	mu      sync.Mutex
	objects map[string]watched
	first   map[string]time.Time // When an object was first seen Ready.
}

type watched struct {
	ready      bool
	version    string
	conditions string
}

func newObject(gvk schema.GroupVersionKind) *unstructured.Unstructured {
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(gvk)
	return u
}

// Watch returns the watch of a kind, which begins with the first call.
func (w *Workspace) Watch(ctx context.Context, gvk schema.GroupVersionKind) (*Watch, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if known, ok := w.watches[gvk]; ok {
		return known, nil
	}
	i, err := w.cache.GetInformer(ctx, newObject(gvk))
	if err != nil {
		return nil, fmt.Errorf("cannot watch %s: %w", gvk.Kind, err)
	}
	watch := &Watch{objects: map[string]watched{}, first: map[string]time.Time{}}
	_, err = i.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { watch.saw(o) },
		UpdateFunc: func(_, o any) { watch.saw(o) },
		DeleteFunc: func(o any) { watch.gone(o) },
	})
	if err != nil {
		return nil, fmt.Errorf("cannot watch %s: %w", gvk.Kind, err)
	}
	w.watches[gvk] = watch
	return watch, nil
}

func (w *Watch) saw(o any) {
	u, ok := o.(*unstructured.Unstructured)
	if !ok {
		return
	}
	at := time.Now()
	ready, conditions := isReady(u)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.objects[u.GetName()] = watched{ready: ready, version: u.GetResourceVersion(), conditions: conditions}
	if _, ok := w.first[u.GetName()]; ready && !ok {
		w.first[u.GetName()] = at
	}
}

func (w *Watch) gone(o any) {
	if d, ok := o.(toolscache.DeletedFinalStateUnknown); ok {
		o = d.Obj
	}
	if u, ok := o.(*unstructured.Unstructured); ok {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.objects, u.GetName())
		delete(w.first, u.GetName())
	}
}

// isReady reports whether an object is Ready, and what its conditions say.
func isReady(u *unstructured.Unstructured) (ready bool, conditions string) {
	list, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
	var all []string
	for _, c := range list {
		m, ok := c.(map[string]any)
		if !ok {
			continue
		}
		ready = ready || (m["type"] == "Ready" && m["status"] == string(corev1.ConditionTrue))
		all = append(all, strings.TrimSpace(fmt.Sprintf("%v=%v %v %v", m["type"], m["status"], m["reason"], m["message"])))
	}
	return ready, strings.Join(all, "; ")
}

// FirstReady returns when an object was first seen Ready.
func (w *Watch) FirstReady(name string) (time.Time, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	at, ok := w.first[name]
	return at, ok
}

// Ready returns how many objects are Ready now.
func (w *Watch) Ready() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, o := range w.objects {
		if o.ready {
			n++
		}
	}
	return n
}

// Len returns how many objects there are.
func (w *Watch) Len() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.objects)
}

// Names returns the sorted names of the objects.
func (w *Watch) Names() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return sortedKeys(w.objects)
}

// Has reports whether an object is there.
func (w *Watch) Has(name string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, ok := w.objects[name]
	return ok
}

// Last returns when the last of the objects that are there was first seen Ready.
func (w *Watch) Last() (last time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, at := range w.first {
		if at.After(last) {
			last = at
		}
	}
	return last
}

// Versions returns the objects' resource versions, by name.
func (w *Watch) Versions() map[string]string {
	w.mu.Lock()
	defer w.mu.Unlock()
	versions := make(map[string]string, len(w.objects))
	for name, o := range w.objects {
		versions[name] = o.version
	}
	return versions
}

// Some says what the conditions of up to three objects are, those that are not Ready first.
func (w *Watch) Some() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var bad, good []string
	for _, name := range sortedKeys(w.objects) {
		o := w.objects[name]
		text := name + ": " + o.conditions
		if o.ready {
			good = append(good, text)
		} else {
			bad = append(bad, text)
		}
	}
	all := append(bad, good...)
	return strings.Join(all[:min(3, len(all))], " | ")
}

// Conditions says what the conditions of an object are.
func (w *Watch) Conditions(name string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.objects[name].conditions
}

// AwaitReady waits until at least n objects of a kind are Ready, and all that there are.
func (w *Workspace) AwaitReady(ctx context.Context, gvk schema.GroupVersionKind, n int, patience time.Duration, progress func(ready int)) error {
	watch, err := w.Watch(ctx, gvk)
	if err != nil {
		return err
	}
	told := time.Now()
	err = Until(ctx, patience, fmt.Sprintf("%d of kind %s are Ready", n, gvk.Kind), func(context.Context) (bool, error) {
		ready := watch.Ready()
		if progress != nil && time.Since(told) > 5*time.Second {
			told = time.Now()
			progress(ready)
		}
		return ready >= n && ready == watch.Len(), nil
	})
	if err != nil {
		return fmt.Errorf("%w: %d are; %s", err, watch.Ready(), watch.Some())
	}
	return nil
}

// CreateReady creates an object and returns how long it took until it was seen Ready.
func (w *Workspace) CreateReady(ctx context.Context, o client.Object, patience time.Duration) (time.Duration, error) {
	gvk, err := w.Kube.GroupVersionKindFor(o)
	if err != nil {
		return 0, err
	}
	watch, err := w.Watch(ctx, gvk)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if err := w.Kube.Create(ctx, o); err != nil {
		return 0, err
	}
	var at time.Time
	err = Until(ctx, patience, fmt.Sprintf("%s %s is Ready", gvk.Kind, o.GetName()), func(context.Context) (ok bool, err error) {
		at, ok = watch.FirstReady(o.GetName())
		return ok, nil
	})
	if err != nil {
		return 0, fmt.Errorf("%w: %s", err, watch.Conditions(o.GetName()))
	}
	return at.Sub(began), nil
}
