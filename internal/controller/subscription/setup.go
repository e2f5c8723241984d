// Package subscription reconciles Subscriptions of both scopes.
package subscription

import (
	"cmp"
	"context"

	"github.com/crossplane/crossplane-runtime/v2/pkg/errors"
	"github.com/crossplane/crossplane-runtime/v2/pkg/meta"
	"github.com/crossplane/crossplane-runtime/v2/pkg/resource"
	xpv2 "github.com/crossplane/crossplane/apis/v2/core/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	clusterv1alpha1 "github.com/crossplane-contrib/provider-eventstore/apis/cluster/v1alpha1"
	namespacedv1alpha1 "github.com/crossplane-contrib/provider-eventstore/apis/namespaced/v1alpha1"
	"github.com/crossplane-contrib/provider-eventstore/internal/controller/managed"
)

// SetupCluster adds the controller of cluster-scoped Subscriptions.
func SetupCluster(mgr ctrl.Manager, o managed.Options) error {
	s := managed.NewShell(mgr, o, clusterv1alpha1.SubscriptionGroupVersionKind)
	if err := indexStore(mgr, &clusterv1alpha1.Subscription{}); err != nil {
		return err
	}
	return managed.Setup(mgr, s, managed.Kind[*clusterv1alpha1.Subscription]{
		GVK:       clusterv1alpha1.SubscriptionGroupVersionKind,
		New:       func() *clusterv1alpha1.Subscription { return &clusterv1alpha1.Subscription{} },
		NewList:   func() resource.ManagedList { return &clusterv1alpha1.SubscriptionList{} },
		Connector: newConnector[*clusterv1alpha1.Subscription](s),
		Watch: managed.Mapped(&clusterv1alpha1.EventStore{}, readersOf(s, func() resource.ManagedList { return &clusterv1alpha1.SubscriptionList{} }),
			builder.WithPredicates(readyChanged)),
	})
}

// SetupNamespaced adds the controller of namespaced Subscriptions.
func SetupNamespaced(mgr ctrl.Manager, o managed.Options) error {
	s := managed.NewShell(mgr, o, namespacedv1alpha1.SubscriptionGroupVersionKind)
	if err := indexStore(mgr, &namespacedv1alpha1.Subscription{}); err != nil {
		return err
	}
	return managed.Setup(mgr, s, managed.Kind[*namespacedv1alpha1.Subscription]{
		GVK:       namespacedv1alpha1.SubscriptionGroupVersionKind,
		New:       func() *namespacedv1alpha1.Subscription { return &namespacedv1alpha1.Subscription{} },
		NewList:   func() resource.ManagedList { return &namespacedv1alpha1.SubscriptionList{} },
		Connector: newConnector[*namespacedv1alpha1.Subscription](s),
		Watch: managed.Mapped(&namespacedv1alpha1.EventStore{}, readersOf(s, func() resource.ManagedList { return &namespacedv1alpha1.SubscriptionList{} }),
			builder.WithPredicates(readyChanged)),
	})
}

// readyChanged lets a store through when it has come, or has become ready or unready: that is when its subscriptions
// have something to do.
var readyChanged = predicate.Funcs{
	UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok1 := e.ObjectOld.(resource.Managed)
		after, ok2 := e.ObjectNew.(resource.Managed)
		return ok1 && ok2 && before.GetCondition(xpv2.TypeReady).Status != after.GetCondition(xpv2.TypeReady).Status
	},
}

// byStore is the index of subscriptions by the store that they read. Those whose reference is not resolved yet are under
// [unresolved], which no store can be called.
const (
	byStore    = "eventStore"
	unresolved = "-"
)

func indexStore(mgr ctrl.Manager, sub client.Object) error {
	err := mgr.GetFieldIndexer().IndexField(context.Background(), sub, byStore, func(o client.Object) []string {
		return []string{cmp.Or(o.(object).EventStore(), unresolved)} //nolint:forcetypeassert // The index is of subscriptions.
	})
	return errors.Wrap(err, "cannot index Subscriptions by their store")
}

// readersOf maps a store to the subscriptions that read it, or wait for it.
func readersOf(s managed.Shell, list func() resource.ManagedList) func(context.Context, client.Object) []reconcile.Request {
	return func(ctx context.Context, store client.Object) []reconcile.Request {
		var requests []reconcile.Request
		for _, name := range []string{meta.GetExternalName(store), unresolved} {
			l := list()
			if err := s.Client.List(ctx, l, client.InNamespace(store.GetNamespace()), client.MatchingFields{byStore: name}); err != nil {
				s.Logger.Info("Cannot list the Subscriptions of a store", "eventStore", name, "error", err)
				continue
			}
			for _, mg := range l.GetItems() {
				requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(mg)})
			}
		}
		return requests
	}
}
