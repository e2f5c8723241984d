package providerconfig

import (
	"context"

	"github.com/crossplane/crossplane-runtime/v2/pkg/controller"
	"github.com/crossplane/crossplane-runtime/v2/pkg/errors"
	"github.com/crossplane/crossplane-runtime/v2/pkg/event"
	"github.com/crossplane/crossplane-runtime/v2/pkg/ratelimiter"
	runtimeproviderconfig "github.com/crossplane/crossplane-runtime/v2/pkg/reconciler/providerconfig"
	"github.com/crossplane/crossplane-runtime/v2/pkg/resource"
	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	clusterv1alpha1 "github.com/crossplane-contrib/provider-eventstore/apis/cluster/v1alpha1"
	namespacedv1alpha1 "github.com/crossplane-contrib/provider-eventstore/apis/namespaced/v1alpha1"
)

// Kinds returns the kinds of one group that must be served before SetupCluster or SetupNamespaced.
var (
	ClusterKinds = []schema.GroupVersionKind{
		clusterv1alpha1.ProviderConfigGroupVersionKind, clusterv1alpha1.ProviderConfigUsageGroupVersionKind,
	}
	NamespacedKinds = []schema.GroupVersionKind{
		namespacedv1alpha1.ProviderConfigGroupVersionKind, namespacedv1alpha1.ClusterProviderConfigGroupVersionKind,
		namespacedv1alpha1.ProviderConfigUsageGroupVersionKind,
	}
)

// SetupCluster adds the controllers of the cluster-scoped ProviderConfig.
func SetupCluster(mgr ctrl.Manager, o controller.Options, r *Resolver) error {
	return setup(mgr, o, r, KindCluster, resource.ProviderConfigKinds{
		Config:    clusterv1alpha1.ProviderConfigGroupVersionKind,
		Usage:     clusterv1alpha1.ProviderConfigUsageGroupVersionKind,
		UsageList: clusterv1alpha1.ProviderConfigUsageListGroupVersionKind,
	}, &clusterv1alpha1.ProviderConfigUsage{}, &resource.EnqueueRequestForProviderConfig{}, &clusterv1alpha1.ProviderConfigList{})
}

// SetupNamespaced adds the controllers of the kinds that namespaced resources use: the ProviderConfig of their own
// namespace, and the ClusterProviderConfig.
func SetupNamespaced(mgr ctrl.Manager, o controller.Options, r *Resolver) error {
	kinds := resource.ProviderConfigKinds{
		Config:    namespacedv1alpha1.ProviderConfigGroupVersionKind,
		Usage:     namespacedv1alpha1.ProviderConfigUsageGroupVersionKind,
		UsageList: namespacedv1alpha1.ProviderConfigUsageListGroupVersionKind,
	}
	if err := setup(mgr, o, r, KindNamespaced, kinds, &namespacedv1alpha1.ProviderConfigUsage{},
		&resource.EnqueueRequestForProviderConfig{Kind: KindNamespaced.Name}, &namespacedv1alpha1.ProviderConfigList{}); err != nil {
		return err
	}
	kinds.Config = namespacedv1alpha1.ClusterProviderConfigGroupVersionKind
	return setup(mgr, o, r, KindNamespacedCluster, kinds, &namespacedv1alpha1.ProviderConfigUsage{},
		&resource.EnqueueRequestForProviderConfig{Kind: KindNamespacedCluster.Name}, &namespacedv1alpha1.ClusterProviderConfigList{})
}

// setup adds two controllers for a kind: the runtime's, which counts users and protects what is used, and ours, which
// looks after its connection.
func setup(mgr ctrl.Manager, o controller.Options, r *Resolver, kind Kind, of resource.ProviderConfigKinds, usage client.Object, toConfig handler.EventHandler, list client.ObjectList) error {
	name := runtimeproviderconfig.ControllerName(of.Config.GroupKind().String())
	users := runtimeproviderconfig.NewReconciler(mgr, of,
		runtimeproviderconfig.WithLogger(o.Logger.WithValues("controller", name)),
		runtimeproviderconfig.WithRecorder(event.NewAPIRecorder(mgr.GetEventRecorderFor(name)))) //nolint:staticcheck // The provider's role has no rights on events.k8s.io.
	if err := ctrl.NewControllerManagedBy(mgr).
		Named(name).
		WithOptions(o.ForControllerRuntime()).
		For(kind.object()).
		Watches(usage, toConfig).
		Complete(ratelimiter.NewReconciler(name, users, o.GlobalRateLimiter)); err != nil {
		return errors.Wrapf(err, "cannot set up the controller %s", name)
	}

	name = "health/" + of.Config.GroupKind().String()
	err := ctrl.NewControllerManagedBy(mgr).
		Named(name).
		WithOptions(o.ForControllerRuntime()).
		For(kind.object(), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WatchesMetadata(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(r.configsOf(mgr.GetClient(), kind, list))).
		Complete(&health{kind: kind, client: mgr.GetClient(), resolver: r})
	return errors.Wrapf(err, "cannot set up the controller %s", name)
}

// configsOf maps a Secret to the ProviderConfigs of a kind that a change of it concerns.
func (r *Resolver) configsOf(c client.Client, kind Kind, list client.ObjectList) handler.MapFunc {
	return func(ctx context.Context, secret client.Object) []reconcile.Request {
		l := list.DeepCopyObject().(client.ObjectList) //nolint:forcetypeassert // A copy has the type of its original.
		if err := c.List(ctx, l); err != nil {
			r.log.Debug("Cannot list ProviderConfigs", "error", err)
			return nil
		}
		var requests []reconcile.Request
		_ = apimeta.EachListItem(l, func(o runtime.Object) error { // Only fails for what is no list.
			name := client.ObjectKeyFromObject(o.(client.Object)) //nolint:forcetypeassert // ProviderConfigs have metadata.
			if r.uses(Key{Kind: kind, NamespacedName: name}, client.ObjectKeyFromObject(secret)) {
				requests = append(requests, reconcile.Request{NamespacedName: name})
			}
			return nil
		})
		return requests
	}
}
