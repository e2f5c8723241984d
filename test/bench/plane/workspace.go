package plane

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	xpv2 "github.com/crossplane/crossplane/apis/v2/core/v2"
	corev1 "k8s.io/api/core/v1"
	kerrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
	namespacedv1alpha1 "github.com/crossplane-contrib/provider-eventstore/apis/namespaced/v1alpha1"
	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

// A Workspace is a namespace with what is made in it. It may be used concurrently. Clear or Close ends it.
type Workspace struct {
	*Plane

	Namespace string

	cache cache.Cache
	stop  context.CancelFunc
	wg    sync.WaitGroup

	mu      sync.Mutex
	watches map[schema.GroupVersionKind]*Watch
}

// Workspace makes a namespace whose name begins with the prefix.
func (p *Plane) Workspace(ctx context.Context, prefix string) (*Workspace, error) {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: prefix}}
	if err := p.Kube.Create(ctx, ns); err != nil {
		return nil, fmt.Errorf("cannot create a namespace: %w", err)
	}
	c, err := cache.New(p.o.Config, cache.Options{
		Scheme: p.scheme, DefaultNamespaces: map[string]cache.Config{ns.GetName(): {}},
	})
	if err != nil {
		return nil, err
	}
	w := &Workspace{Plane: p, Namespace: ns.GetName(), cache: c, watches: map[schema.GroupVersionKind]*Watch{}}
	// Not with the caller's context: what was made is watched until it is gone, also when the caller was interrupted.
	ctx, w.stop = context.WithCancel(context.WithoutCancel(ctx))
	w.wg.Go(func() { _ = c.Start(ctx) }) // It ends with ctx, and what it could not do is tried again.
	return w, nil
}

// An Option changes a store that is to be made.
type Option func(*namespacedv1alpha1.EventStore)

// WithPartitions sets the number of partitions. Default: the provider's.
func WithPartitions(n int32) Option {
	return func(s *namespacedv1alpha1.EventStore) { s.Spec.ForProvider.Partitions = &n }
}

// WithSnapshots keeps snapshots, which on Kafka and Pulsar is a second topic.
func WithSnapshots(enabled bool) Option {
	return func(s *namespacedv1alpha1.EventStore) {
		if enabled {
			s.Spec.ForProvider.Snapshots = &v1alpha1.Snapshots{Enabled: true}
		}
	}
}

// Store returns an EventStore with a user, on the broker of a ClusterProviderConfig. Nothing protects what it holds.
func (w *Workspace) Store(name, config string, opts ...Option) *namespacedv1alpha1.EventStore {
	s := &namespacedv1alpha1.EventStore{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: name}}
	s.Spec.ProviderConfigReference = &xpv2.ProviderConfigReference{Kind: "ClusterProviderConfig", Name: config}
	s.Spec.WriteConnectionSecretToReference = &xpv2.LocalSecretReference{Name: name}
	s.Spec.ForProvider.DeletionProtection = v1alpha1.DeletionProtectionNever
	for _, o := range opts {
		o(s)
	}
	return s
}

// Subscription returns a Subscription to a store of this workspace, with a user.
func (w *Workspace) Subscription(name, store, config string) *namespacedv1alpha1.Subscription {
	s := &namespacedv1alpha1.Subscription{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: name}}
	s.Spec.ProviderConfigReference = &xpv2.ProviderConfigReference{Kind: "ClusterProviderConfig", Name: config}
	s.Spec.WriteConnectionSecretToReference = &xpv2.LocalSecretReference{Name: name}
	s.Spec.ForProvider.EventStoreRef = &xpv2.NamespacedReference{Name: store}
	return s
}

// External returns the name that a store of this workspace has on its broker.
func (w *Workspace) External(store string) string { return w.Namespace + "." + store }

// Secret returns the connection Secret of that name.
func (w *Workspace) Secret(ctx context.Context, name string) (eventstore.Secret, error) {
	s := &corev1.Secret{}
	if err := w.Kube.Get(ctx, client.ObjectKey{Namespace: w.Namespace, Name: name}, s); err != nil {
		return nil, err
	}
	return eventstore.Secret(s.Data), nil
}

// Clear deletes everything in the workspace, then the namespace, and waits until all of it is gone. Stores go first: a
// subscription that lags is protected while there is something to read.
func (w *Workspace) Clear(ctx context.Context, patience time.Duration) error {
	defer w.Close()
	for _, kind := range w.kinds() {
		watch, err := w.Watch(ctx, kind)
		if err != nil {
			return err
		}
		if err := w.deleteAll(ctx, kind, watch.Names()); err != nil {
			return fmt.Errorf("cannot delete what is in namespace %s: %w", w.Namespace, err)
		}
		if err := Until(ctx, patience, fmt.Sprintf("every %s of namespace %s is gone", kind.Kind, w.Namespace), func(context.Context) (bool, error) {
			return watch.Len() == 0, nil
		}); err != nil {
			return fmt.Errorf("%w: %s", err, watch.Some())
		}
	}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.Namespace}}
	if err := w.Kube.Delete(ctx, ns); err != nil {
		return fmt.Errorf("cannot delete namespace %s: %w", w.Namespace, err)
	}
	return Until(ctx, patience, fmt.Sprintf("namespace %s is gone", w.Namespace), func(ctx context.Context) (bool, error) {
		err := w.Kube.Get(ctx, client.ObjectKeyFromObject(ns), ns)
		return kerrors.IsNotFound(err), client.IgnoreNotFound(err)
	})
}

// deleteAll deletes objects one by one, because the API server ends a request to delete ten thousand before it is done.
func (w *Workspace) deleteAll(ctx context.Context, kind schema.GroupVersionKind, names []string) error {
	return Parallel(len(names), func(i int) error {
		o := newObject(kind)
		o.SetNamespace(w.Namespace)
		o.SetName(names[i])
		return client.IgnoreNotFound(w.Kube.Delete(ctx, o))
	})
}

// Close ends the watches, and leaves everything where it is. It is idempotent.
func (w *Workspace) Close() {
	w.stop()
	w.wg.Wait()
}

// Kinds of resources.
var (
	EventStore   = namespacedv1alpha1.EventStoreGroupVersionKind
	Subscription = namespacedv1alpha1.SubscriptionGroupVersionKind
)

// kinds are those that were watched, in the order to delete them: what composes stores, stores, then subscriptions.
func (w *Workspace) kinds() []schema.GroupVersionKind {
	w.mu.Lock()
	defer w.mu.Unlock()
	kinds := slices.DeleteFunc(slices.Collect(maps.Keys(w.watches)), func(k schema.GroupVersionKind) bool {
		return k == EventStore || k == Subscription
	})
	return append(kinds, EventStore, Subscription)
}

// Delete deletes an object of the workspace and waits until it is gone. What protects it is confirmed as its condition
// asks.
func (w *Workspace) Delete(ctx context.Context, o client.Object, patience time.Duration) error {
	gvk, err := w.Kube.GroupVersionKindFor(o)
	if err != nil {
		return err
	}
	watch, err := w.Watch(ctx, gvk)
	if err != nil {
		return err
	}
	if err := w.Kube.Delete(ctx, o); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("cannot delete %s %s: %w", gvk.Kind, o.GetName(), err)
	}
	confirmed := ""
	err = Until(ctx, patience, fmt.Sprintf("%s %s is gone", gvk.Kind, o.GetName()), func(ctx context.Context) (bool, error) {
		if token := tokenIn(watch.Conditions(o.GetName())); token != "" && token != confirmed {
			confirmed = token
			patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, v1alpha1.AnnotationConfirm, token)
			err := w.Kube.Patch(ctx, o, client.RawPatch(types.MergePatchType, patch))
			return false, client.IgnoreNotFound(err)
		}
		return !watch.Has(o.GetName()), nil
	})
	if err != nil {
		return fmt.Errorf("%w: %s", err, watch.Conditions(o.GetName()))
	}
	return nil
}

// tokenIn returns the token that conditions ask to confirm with.
func tokenIn(conditions string) string {
	_, after, ok := strings.Cut(conditions, "confirm with ")
	if !ok || len(after) < 8 {
		return ""
	}
	return after[:8]
}

// Protected is a store that is not deleted while it holds records, unless that is confirmed.
func Protected(s *namespacedv1alpha1.EventStore) {
	s.Spec.ForProvider.DeletionProtection = v1alpha1.DeletionProtectionWhenNotEmpty
}

// Kinds returns the kinds of resources.
func Kinds() []schema.GroupVersionKind { return []schema.GroupVersionKind{EventStore, Subscription} }
