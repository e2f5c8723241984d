package provider_test

import (
	"testing"
	"time"

	xpv2 "github.com/crossplane/crossplane/apis/v2/core/v2"
	corev1 "k8s.io/api/core/v1"

	"github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
	namespacedv1alpha1 "github.com/crossplane-contrib/provider-eventstore/apis/namespaced/v1alpha1"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

func replay(id string) func(*namespacedv1alpha1.Subscription) {
	return func(s *namespacedv1alpha1.Subscription) {
		s.Spec.ForProvider.Replay = &v1alpha1.Replay{ID: id, From: v1alpha1.Start{Position: v1alpha1.StartEarliest}}
	}
}

// lease has a consumer hold partition 0 of a subscription for a while, as the SDK does.
func lease(t *testing.T, store, sub, consumer string, d time.Duration) {
	t.Helper()
	until := time.Now().Add(d).UnixMilli()
	err := admin(t, world.redis).HSet(t.Context(), layout.RedisLease(store, 0, sub), layout.RedisLeaseConsumer, consumer, layout.RedisLeaseToken, 1, layout.RedisLeaseUntil, until).Err()
	if err != nil {
		t.Fatal(err)
	}
}

// TestReplay: once for each id, and not under the feet of a consumer.
func TestReplay(t *testing.T) {
	t.Parallel()
	ns, _, sub, ids := pair(t)
	c := admin(t, world.redis)
	name := ns + ".orders"
	readGroup(t, c, name, "billing", 10)
	change(t, sub, replay("first"))
	eventually(t, "the replay is in the status", func() (bool, string) {
		err := world.kube.Get(t.Context(), objectKey(sub), sub)
		return err == nil && sub.Status.AtProvider.LastReplay != nil && sub.Status.AtProvider.LastReplay.ID == "first", describe(sub)
	})
	happened(t, sub, "replay: first from Earliest")
	if got := readGroup(t, c, name, "billing", 10); len(got) != 3 || got[0] != ids[0] {
		t.Errorf("it reads %v, want all of %v", got, ids)
	}
	if got := sub.Status.AtProvider.LastReplay.Before; len(got) != 1 {
		t.Errorf("status does not say where the subscription was: %v", got)
	}
	annotate := func(s *namespacedv1alpha1.Subscription) { annotate(s, "test", "reconcile") }
	change(t, sub, annotate)
	ready(t, sub)
	steady(t, driftInterval+time.Second, "the replay is not done again", func() (bool, string) {
		return position(t, c, name, "billing") == ids[2], position(t, c, name, "billing")
	})

	lease(t, name, "billing", "pod-7", time.Minute)
	eventually(t, "the consumer is in the status", func() (bool, string) {
		err := world.kube.Get(t.Context(), objectKey(sub), sub)
		return err == nil && sub.Status.AtProvider.Consumers != nil && *sub.Status.AtProvider.Consumers == 1, describe(sub)
	})
	change(t, sub, replay("second"))
	if token := refused(t, sub, v1alpha1.ReasonReplayBusy, `Replay "second" waits while consumers read (pod-7)`, "stop them, or confirm with"); token == "" {
		t.Error("the message has no token")
	}
	if got := position(t, c, name, "billing"); got != ids[2] {
		t.Errorf("the position was moved to %s", got)
	}
	ready(t, sub) // It works as before.
	lease(t, name, "billing", "pod-7", -time.Second)
	accepted(t, sub)
	eventually(t, "the replay is done", func() (bool, string) {
		return position(t, c, name, "billing") != ids[2], "it is not"
	})
}

// TestSubscriptionBeforeItsStore: it waits, says for what, and is ready right after.
func TestSubscriptionBeforeItsStore(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	sub := subscription(ns, "orders", "billing")
	create(t, sub)
	fails(t, sub, "cannot find the EventStore that spec.forProvider names")
	// By external name there is no resource to find, and it is the broker that does not have it.
	byName := subscription(ns, "", "reports")
	byName.Spec.ForProvider.EventStoreRef = nil
	byName.Spec.ForProvider.EventStore = ns + ".orders"
	create(t, byName)
	condition(t, byName, xpv2.TypeReady, corev1.ConditionFalse, v1alpha1.ReasonStoreNotReady, ns+".orders", "does not exist on the broker yet", "create its EventStore")
	condition(t, byName, xpv2.TypeSynced, corev1.ConditionTrue, "")
	accepted(t, byName)

	s := store(ns, "orders")
	if err := world.kube.Create(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	ready(t, s)
	ready(t, byName)
	ready(t, sub)
	discard(t, byName)
	discard(t, sub)
	discard(t, s)
}
