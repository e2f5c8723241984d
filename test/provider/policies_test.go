package provider_test

import (
	"slices"
	"testing"
	"time"

	xpv2 "github.com/crossplane/crossplane/apis/v2/core/v2"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
	namespacedv1alpha1 "github.com/crossplane-contrib/provider-eventstore/apis/namespaced/v1alpha1"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// TestObserveOnly: it looks, and changes nothing, neither while it is there nor when it goes.
func TestObserveOnly(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	owner, sub := store(ns, "orders"), subscription(ns, "orders", "billing")
	create(t, owner, sub)
	ready(t, owner)
	ready(t, sub)
	c := admin(t, world.redis)
	appendEvents(t, c, ns+".orders", 2)
	before := c.HGetAll(t.Context(), layout.RedisMarker(ns+".orders")).Val()

	observer := externalName(store(ns, "observer"), ns+".orders")
	observer.Spec.ManagementPolicies = xpv2.ManagementPolicies{xpv2.ManagementActionObserve}
	observer.Spec.ForProvider.Partitions = nil
	observer.Spec.ForProvider.Retention = &v1alpha1.Retention{Duration: duration(time.Hour)} // Would delete events.
	missing := store(ns, "missing")
	missing.Spec.ManagementPolicies = xpv2.ManagementPolicies{xpv2.ManagementActionObserve}
	create(t, observer, missing)
	ready(t, observer)
	fails(t, missing, "does not exist")
	condition(t, missing, xpv2.TypeReady, corev1.ConditionFalse, xpv2.ReasonUnavailable, ns+".missing", "does not exist on the broker", "allow to observe it only", "correct the external name")
	eventually(t, "status tells of the store", func() (bool, string) {
		err := world.kube.Get(t.Context(), objectKey(observer), observer)
		return err == nil && observer.Status.AtProvider.Records != nil && *observer.Status.AtProvider.Records == 2, describe(observer)
	})
	remove(t, observer)
	gone(t, observer)
	ready(t, owner)
	after := c.HGetAll(t.Context(), layout.RedisMarker(ns+".orders")).Val()
	for k, v := range before {
		if after[k] != v {
			t.Errorf("the marker's %s was %q and is %q", k, v, after[k])
		}
	}
	if n := events(t, asApplication(t, world.redis, ns, "orders"), ns+".orders"); n != 2 {
		t.Errorf("the store has %d records, want 2", n)
	}
	if l := left(t, c, ns+".missing"); len(l) > 0 {
		t.Errorf("something was created: %v", l)
	}
}

// TestPaused: nothing is done until it is over, drift included.
func TestPaused(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	s := store(ns, "orders")
	annotate(s, "crossplane.io/paused", "true")
	create(t, s)
	condition(t, s, xpv2.TypeSynced, corev1.ConditionFalse, xpv2.ReasonReconcilePaused)
	c := admin(t, world.redis)
	if l := left(t, c, ns+"."); len(l) > 0 {
		t.Errorf("something was created: %v", l)
	}
	unpause := func(s *namespacedv1alpha1.EventStore) { annotate(s, "crossplane.io/paused", "false") }
	change(t, s, unpause)
	ready(t, s)

	change(t, s, func(s *namespacedv1alpha1.EventStore) { annotate(s, "crossplane.io/paused", "true") })
	condition(t, s, xpv2.TypeSynced, corev1.ConditionFalse, xpv2.ReasonReconcilePaused)
	user := layout.StorePrincipal(ns + ".orders")
	if err := c.ACLDelUser(t.Context(), user).Err(); err != nil {
		t.Fatal(err)
	}
	steady(t, 2*driftInterval+time.Second, "the user stays away", func() (bool, string) {
		return !slices.Contains(left(t, c, ns+"."), user), "it is back"
	})
	change(t, s, unpause)
	eventually(t, "the user is back", func() (bool, string) { return slices.Contains(left(t, c, ns+"."), user), "it is not" })
	ready(t, s)
}

// TestSteadyState: while events flow and nobody changes anything, no status is written.
func TestSteadyState(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	s, sub := store(ns, "orders"), subscription(ns, "orders", "billing")
	create(t, s, sub)
	ready(t, s)
	ready(t, sub)
	c := admin(t, world.redis)
	appendEvents(t, c, ns+".orders", 1)
	readGroup(t, c, ns+".orders", "billing", 1)
	eventually(t, "the first record is in the status", func() (bool, string) { // From now on it must not be lost.
		err := world.kube.Get(t.Context(), objectKey(s), s)
		return err == nil && s.Status.AtProvider.Records != nil && *s.Status.AtProvider.Records > 0, "it is not"
	})
	ready(t, sub)
	versions := map[string]string{}
	note := func(o client.Object) string {
		if err := world.kube.Get(t.Context(), objectKey(o), o); err != nil {
			t.Fatal(err)
		}
		return o.GetResourceVersion()
	}
	versions["store"], versions["sub"] = note(s), note(sub)
	steady(t, 4*driftInterval, "no status is written", func() (bool, string) {
		appendEvents(t, c, ns+".orders", 1)
		readGroup(t, c, ns+".orders", "billing", 1)
		if v := note(s); v != versions["store"] {
			return false, "the store's was: " + describe(s)
		}
		if v := note(sub); v != versions["sub"] {
			return false, "the subscription's was: " + describe(sub)
		}
		return true, ""
	})
}
