package provider_test

import (
	"testing"

	xpv2 "github.com/crossplane/crossplane/apis/v2/core/v2"
	corev1 "k8s.io/api/core/v1"

	"github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
	namespacedv1alpha1 "github.com/crossplane-contrib/provider-eventstore/apis/namespaced/v1alpha1"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

const externalNameKey = "crossplane.io/external-name"

func TestNameWithIllegalCharacter(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	s := externalName(store(ns, "orders"), "Orders_1")
	sub := externalName(subscription(ns, "other", "billing"), "billing.v2")
	create(t, s, store(ns, "other"), sub)
	refused(t, s, v1alpha1.ReasonInvalidName, `"Orders_1"`, "lower case letters", "crossplane.io/external-name")
	refused(t, sub, v1alpha1.ReasonInvalidName, `"billing.v2"`, "lower case letters, digits and '-'", "crossplane.io/external-name")
	condition(t, s, xpv2.TypeReady, corev1.ConditionFalse, v1alpha1.ReasonRefused)
	condition(t, sub, xpv2.TypeReady, corev1.ConditionFalse, v1alpha1.ReasonRefused)

	change(t, s, func(s *namespacedv1alpha1.EventStore) { annotate(s, externalNameKey, ns+".orders-1") })
	change(t, sub, func(s *namespacedv1alpha1.Subscription) { annotate(s, externalNameKey, "billing-v2") })
	ready(t, s)
	ready(t, sub)
	if got := string(connection(t, ns, "billing")[layout.SecretSubscription]); got != "billing-v2" {
		t.Errorf("the Secret names subscription %q", got)
	}
}

// TestNameOutsideOfTheNamespace: a namespace gets at its own stores only, unless it was granted others.
func TestNameOutsideOfTheNamespace(t *testing.T) {
	t.Parallel()
	ns, other := namespace(t), namespace(t)
	victim := store(other, "orders")
	create(t, victim)
	ready(t, victim)

	s := externalName(store(ns, "orders"), other+".orders")
	sub := subscription(ns, "", "spy")
	sub.Spec.ForProvider.EventStoreRef = nil
	sub.Spec.ForProvider.EventStore = other + ".orders"
	create(t, s, sub)
	refused(t, s, v1alpha1.ReasonNamePrefix, other+".orders", "outside of namespace "+ns, `begins with "`+ns+`."`, "spec.externalNames")
	refused(t, sub, v1alpha1.ReasonNamePrefix, other+".orders", "outside of namespace "+ns)
	if l := left(t, admin(t, world.redis), ":spy"); len(l) > 0 {
		t.Errorf("something was created: %v", l)
	}

	// Granted, the name is free to use, and the store is still its owner's.
	pc := sharedConfig(ns, world.redis.Addr, "crossplane-system", "redis")
	pc.Spec.ExternalNames = []namespacedv1alpha1.ExternalNameGrant{{Namespace: ns}}
	create(t, pc)
	granted := externalName(use(store(ns, "granted"), "ClusterProviderConfig", ns), "granted-"+ns)
	reader := use(subscription(ns, "", "reader"), "ClusterProviderConfig", ns)
	reader.Spec.ForProvider.EventStoreRef = nil
	reader.Spec.ForProvider.EventStore = other + ".orders"
	create(t, granted, reader)
	ready(t, granted)
	ready(t, reader)
	thief := externalName(use(store(ns, "thief"), "ClusterProviderConfig", ns), other+".orders")
	create(t, thief)
	refused(t, thief, v1alpha1.ReasonConflict, other+".orders", "belongs to EventStore", other+"/orders")

	// The grant is taken back: what was made stays, and is nobody's business any more.
	change(t, pc, func(pc *namespacedv1alpha1.ClusterProviderConfig) { pc.Spec.ExternalNames = nil })
	refused(t, granted, v1alpha1.ReasonNamePrefix, "granted-"+ns, "outside of namespace "+ns)
}
