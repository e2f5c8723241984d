// Package eventstore reconciles EventStores of both scopes.
package eventstore

import (
	"github.com/crossplane/crossplane-runtime/v2/pkg/resource"
	ctrl "sigs.k8s.io/controller-runtime"

	clusterv1alpha1 "github.com/crossplane-contrib/provider-eventstore/apis/cluster/v1alpha1"
	namespacedv1alpha1 "github.com/crossplane-contrib/provider-eventstore/apis/namespaced/v1alpha1"
	"github.com/crossplane-contrib/provider-eventstore/internal/controller/managed"
)

// SetupCluster adds the controller of cluster-scoped EventStores.
func SetupCluster(mgr ctrl.Manager, o managed.Options) error {
	s := managed.NewShell(mgr, o, clusterv1alpha1.EventStoreGroupVersionKind)
	return managed.Setup(mgr, s, managed.Kind[*clusterv1alpha1.EventStore]{
		GVK:       clusterv1alpha1.EventStoreGroupVersionKind,
		New:       func() *clusterv1alpha1.EventStore { return &clusterv1alpha1.EventStore{} },
		NewList:   func() resource.ManagedList { return &clusterv1alpha1.EventStoreList{} },
		Connector: newConnector[*clusterv1alpha1.EventStore](s),
	})
}

// SetupNamespaced adds the controller of namespaced EventStores.
func SetupNamespaced(mgr ctrl.Manager, o managed.Options) error {
	s := managed.NewShell(mgr, o, namespacedv1alpha1.EventStoreGroupVersionKind)
	return managed.Setup(mgr, s, managed.Kind[*namespacedv1alpha1.EventStore]{
		GVK:       namespacedv1alpha1.EventStoreGroupVersionKind,
		New:       func() *namespacedv1alpha1.EventStore { return &namespacedv1alpha1.EventStore{} },
		NewList:   func() resource.ManagedList { return &namespacedv1alpha1.EventStoreList{} },
		Connector: newConnector[*namespacedv1alpha1.EventStore](s),
	})
}
