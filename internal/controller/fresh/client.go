// Package fresh has a client that reads its own writes. The manager's cache learns of a write a moment after the API server
// has answered it. A reconcile that begins in that moment, as the one after Create does, would work with the object as it
// was, do everything again, and have its own update refused as a conflict: measured with a thousand stores at once, each
// met three or four of them on its way to Ready.
package fresh

import (
	"context"
	"maps"
	"reflect"
	"sync"

	"github.com/crossplane/crossplane-runtime/v2/pkg/resource"
	"k8s.io/apimachinery/pkg/api/equality"
	kerrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// A Client reads from the cache what the cache has, and from its memory what it has written since: what the API server has
// answered. It does so for managed resources and ProviderConfigs; for Secrets, which are not cached, see [Once]. It may be
// used concurrently.
type Client struct {
	client.Client // Cached.

	mu      sync.Mutex
	written map[key]client.Object // What the cache has not shown yet.
	sent    map[key]client.Object // What the API server has not answered yet.
}

type key struct {
	kind reflect.Type
	name types.NamespacedName
}

// NewClient returns a client that reads from c, and remembers what c does not know yet.
func NewClient(c client.Client) *Client {
	return &Client{Client: c, written: map[key]client.Object{}, sent: map[key]client.Object{}}
}

// Get implements [client.Reader].
func (c *Client) Get(ctx context.Context, name client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	if m, s := secretsOf(ctx, o); m != nil {
		return m.get(name, s, func() error { return c.Client.Get(ctx, name, s, opts...) })
	}
	err := c.Client.Get(ctx, name, o, opts...)
	if !tracked(o) {
		return err
	}
	k := key{reflect.TypeOf(o), name}
	c.mu.Lock()
	last, ok := c.written[k]
	c.mu.Unlock()
	if !ok || (err == nil && !older(o.GetResourceVersion(), last.GetResourceVersion())) || kerrors.IsNotFound(err) {
		c.forget(k, last)
		return err
	}
	if last.GetDeletionTimestamp() != nil && len(last.GetFinalizers()) == 0 { // With its last finalizer it was gone.
		return kerrors.NewNotFound(schema.GroupResource{Resource: k.kind.String()}, name.Name)
	}
	reflect.ValueOf(o).Elem().Set(reflect.ValueOf(last.DeepCopyObject()).Elem())
	return nil
}

// Create implements [client.Writer].
func (c *Client) Create(ctx context.Context, o client.Object, opts ...client.CreateOption) error {
	return c.wrote(ctx, o, c.Client.Create(ctx, o, opts...))
}

// Update implements [client.Writer].
func (c *Client) Update(ctx context.Context, o client.Object, opts ...client.UpdateOption) error {
	defer c.sending(o)()
	return c.wrote(ctx, o, c.Client.Update(ctx, o, opts...))
}

// Patch implements [client.Writer].
func (c *Client) Patch(ctx context.Context, o client.Object, p client.Patch, opts ...client.PatchOption) error {
	return c.wrote(ctx, o, c.Client.Patch(ctx, o, p, opts...))
}

// Status implements [client.StatusClient].
func (c *Client) Status() client.SubResourceWriter { return status{c.Client.Status(), c} }

type status struct {
	client.SubResourceWriter
	c *Client
}

func (s status) Update(ctx context.Context, o client.Object, opts ...client.SubResourceUpdateOption) error {
	return s.c.wrote(ctx, o, s.SubResourceWriter.Update(ctx, o, opts...))
}

func (s status) Patch(ctx context.Context, o client.Object, p client.Patch, opts ...client.SubResourcePatchOption) error {
	return s.c.wrote(ctx, o, s.SubResourceWriter.Patch(ctx, o, p, opts...))
}

// wrote notes the version that a write without an error has left.
func (c *Client) wrote(ctx context.Context, o client.Object, err error) error {
	if m, s := secretsOf(ctx, o); m != nil {
		m.wrote(s, err)
	}
	if err == nil && tracked(o) {
		c.mu.Lock()
		c.written[key{reflect.TypeOf(o), client.ObjectKeyFromObject(o)}] = o.DeepCopyObject().(client.Object) //nolint:forcetypeassert // A copy has the type of its original.
		c.mu.Unlock()
	}
	return err
}

// forget drops what the cache has reached, unless something else has been written meanwhile.
func (c *Client) forget(k key, last client.Object) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.written[k] == last {
		delete(c.written, k)
	}
}

// asks reports whether a and b are the same object, and ask for the same.
func asks(a, b client.Object) bool {
	spec := func(o client.Object) any { return reflect.ValueOf(o).Elem().FieldByName("Spec").Interface() }
	return a.GetUID() == b.GetUID() && a.GetDeletionTimestamp().Equal(b.GetDeletionTimestamp()) &&
		maps.Equal(a.GetLabels(), b.GetLabels()) && maps.Equal(a.GetAnnotations(), b.GetAnnotations()) &&
		equality.Semantic.DeepEqual(spec(a), spec(b))
}

func tracked(o client.Object) bool {
	switch o.(type) {
	case resource.Managed, resource.ProviderConfig, resource.ProviderConfigUsage:
		return true
	}
	return false
}

// sending remembers an update until it is answered.
func (c *Client) sending(o client.Object) (answered func()) {
	if !tracked(o) {
		return func() {}
	}
	k, sent := key{reflect.TypeOf(o), client.ObjectKeyFromObject(o)}, o.DeepCopyObject().(client.Object) //nolint:forcetypeassert // A copy has the type of its original.
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent[k] = sent
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.sent[k] == sent {
			delete(c.sent, k)
		}
	}
}

// Wrote reports whether o is no newer than what this client wrote last. Its updates are refused if somebody else's came
// between, so whoever wrote has seen all that o shows. A watch may show what was written before the answer is there; then o
// says what was sent.
func (c *Client) Wrote(o client.Object) bool {
	k := key{reflect.TypeOf(o), client.ObjectKeyFromObject(o)}
	c.mu.Lock()
	sent, last := c.sent[k], c.written[k]
	c.mu.Unlock()
	if sent != nil && asks(sent, o) {
		return true
	}
	if last == nil || last.GetUID() != o.GetUID() {
		return false
	}
	n, err := resourceversion.CompareResourceVersion(o.GetResourceVersion(), last.GetResourceVersion())
	return err == nil && n <= 0
}

// older reports whether a is an older version than b. What cannot be compared is not: the cache knows it, and goes on.
func older(a, b string) bool {
	n, err := resourceversion.CompareResourceVersion(a, b)
	return err == nil && n < 0
}
