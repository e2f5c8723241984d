package main

import (
	"context"
	"os"

	"github.com/crossplane/crossplane-runtime/v2/pkg/errors"
	"github.com/crossplane/crossplane-runtime/v2/pkg/gate"
	"github.com/crossplane/crossplane-runtime/v2/pkg/logging"
	"github.com/crossplane/crossplane-runtime/v2/pkg/reconciler/customresourcesgate"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	ctrl "sigs.k8s.io/controller-runtime"

	clusterv1alpha1 "github.com/crossplane-contrib/provider-eventstore/apis/cluster/v1alpha1"
	namespacedv1alpha1 "github.com/crossplane-contrib/provider-eventstore/apis/namespaced/v1alpha1"
	"github.com/crossplane-contrib/provider-eventstore/internal/controller/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/internal/controller/managed"
	"github.com/crossplane-contrib/provider-eventstore/internal/controller/providerconfig"
	"github.com/crossplane-contrib/provider-eventstore/internal/controller/subscription"
)

// gated is a controller and the kinds that it watches.
type gated struct {
	setup func() error
	needs []schema.GroupVersionKind
}

// setupControllers starts each controller as soon as the kinds that it watches are served: with Crossplane's SafeStart,
// those that nobody has activated never are. Where the provider may not look at CustomResourceDefinitions, all must be.
func setupControllers(ctx context.Context, mgr ctrl.Manager, log logging.Logger, o managed.Options) error {
	controllers := controllers(mgr, o)
	safe, err := maySeeCRDs(ctx, mgr)
	if err != nil {
		return err
	}
	if !safe {
		log.Info("Starting every controller at once: the provider may not watch CustomResourceDefinitions")
		for _, c := range controllers {
			if err := c.setup(); err != nil {
				return err
			}
		}
		return nil
	}
	g := new(gate.Gate[schema.GroupVersionKind])
	o.Gate = g
	for _, c := range controllers {
		g.Register(func() {
			if err := c.setup(); err != nil {
				log.Info("Stopping, because a controller cannot be set up", "error", err)
				os.Exit(1) // The gate takes no error, and a provider that does half of its work is worse than one that is restarted.
			}
		}, c.needs...)
	}
	return errors.Wrap(customresourcesgate.Setup(mgr, o.Options), "cannot wait for the provider's kinds")
}

func controllers(mgr ctrl.Manager, o managed.Options) []gated {
	with := func(kinds []schema.GroupVersionKind, more ...schema.GroupVersionKind) []schema.GroupVersionKind {
		return append(more, kinds...)
	}
	cluster, namespaced := providerconfig.ClusterKinds, providerconfig.NamespacedKinds
	return []gated{
		{func() error { return providerconfig.SetupCluster(mgr, o.Options, o.Resolver) }, cluster},
		{func() error { return providerconfig.SetupNamespaced(mgr, o.Options, o.Resolver) }, namespaced},
		{func() error { return eventstore.SetupCluster(mgr, o) }, with(cluster, clusterv1alpha1.EventStoreGroupVersionKind)},
		{func() error { return eventstore.SetupNamespaced(mgr, o) }, with(namespaced, namespacedv1alpha1.EventStoreGroupVersionKind)},
		{func() error { return subscription.SetupCluster(mgr, o) }, with(cluster, clusterv1alpha1.EventStoreGroupVersionKind, clusterv1alpha1.SubscriptionGroupVersionKind)},
		{func() error { return subscription.SetupNamespaced(mgr, o) }, with(namespaced, namespacedv1alpha1.EventStoreGroupVersionKind, namespacedv1alpha1.SubscriptionGroupVersionKind)},
	}
}

// maySeeCRDs reports whether the provider may watch CustomResourceDefinitions.
func maySeeCRDs(ctx context.Context, mgr ctrl.Manager) (bool, error) {
	for _, verb := range []string{"get", "list", "watch"} {
		r := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
			ResourceAttributes: &authorizationv1.ResourceAttributes{Group: "apiextensions.k8s.io", Resource: "customresourcedefinitions", Verb: verb},
		}}
		if err := mgr.GetClient().Create(ctx, r); err != nil {
			return false, errors.Wrap(err, "cannot ask what the provider may do")
		}
		if !r.Status.Allowed {
			return false, nil
		}
	}
	return true, nil
}
