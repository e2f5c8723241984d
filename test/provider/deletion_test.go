package provider_test

import (
	"testing"
	"time"

	xpv2 "github.com/crossplane/crossplane/apis/v2/core/v2"
	"github.com/redis/go-redis/v9"
	corev1 "k8s.io/api/core/v1"

	"github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
	namespacedv1alpha1 "github.com/crossplane-contrib/provider-eventstore/apis/namespaced/v1alpha1"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

func TestStoreWithEventsIsNotDeleted(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	s := store(ns, "orders")
	create(t, s)
	ready(t, s)
	app := asApplication(t, world.redis, ns, "orders")
	appendEvents(t, app, ns+".orders", 1)
	remove(t, s)
	token := refused(t, s, v1alpha1.ReasonNotEmpty, ns+".orders", "holds records, which deletion would destroy", "or remove Delete from managementPolicies to keep them")
	condition(t, s, xpv2.TypeReady, corev1.ConditionFalse, xpv2.ReasonDeleting)
	appendEvents(t, app, ns+".orders", 1) // Its application goes on working.

	allow(t, s, token)
	gone(t, s)
	nothingLeft(t, admin(t, world.redis), ns)
}

func TestStoreWithEventsIsKept(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	s := store(ns, "orders")
	create(t, s)
	ready(t, s)
	c := admin(t, world.redis)
	appendEvents(t, c, ns+".orders", 1)
	remove(t, s)
	refused(t, s, v1alpha1.ReasonNotEmpty, "remove Delete from managementPolicies")
	change(t, s, func(s *namespacedv1alpha1.EventStore) { s.Spec.ManagementPolicies = orphan })
	gone(t, s)
	if n := events(t, c, ns+".orders"); n != 1 {
		t.Errorf("%d records are left, want 1", n)
	}
	s = store(ns, "orders") // Deleted for good by the test's cleanup.
	create(t, s)
	ready(t, s)
}

func TestDeletionProtection(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	always, never := store(ns, "always"), store(ns, "never")
	always.Spec.ForProvider.DeletionProtection = v1alpha1.DeletionProtectionAlways
	never.Spec.ForProvider.DeletionProtection = v1alpha1.DeletionProtectionNever
	create(t, always, never)
	ready(t, always)
	ready(t, never)
	c := admin(t, world.redis)
	appendEvents(t, c, ns+".never", 1)
	remove(t, always)
	remove(t, never)
	gone(t, never)
	nothingLeft(t, c, ns+".never")
	if token := refused(t, always, v1alpha1.ReasonDeletionProtected, ns+".always", "deletionProtection is Always", "set it to WhenNotEmpty or Never"); token != "" {
		t.Errorf("a token is offered, which cannot help: %s", token)
	}
	change(t, always, func(s *namespacedv1alpha1.EventStore) {
		s.Spec.ForProvider.DeletionProtection = v1alpha1.DeletionProtectionWhenNotEmpty
	})
	gone(t, always)
	nothingLeft(t, c, ns)
}

func TestLaggingSubscriptionIsNotDeleted(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	s, lags, reads := store(ns, "orders"), subscription(ns, "orders", "lags"), subscription(ns, "orders", "reads")
	create(t, s, lags, reads)
	ready(t, lags)
	ready(t, reads)
	c := admin(t, world.redis)
	appendEvents(t, c, ns+".orders", 3)
	remove(t, lags)
	remove(t, reads)
	token := refused(t, lags, v1alpha1.ReasonSubscriptionLags, ns+".orders/lags", "has not read everything", "let it catch up, or confirm with")
	refused(t, reads, v1alpha1.ReasonSubscriptionLags)

	allow(t, lags, token)
	gone(t, lags)
	if got := position(t, c, ns+".orders", "lags"); got != "" {
		t.Errorf("its group is still there, at %s", got)
	}
	// The other catches up.
	readGroup(t, c, ns+".orders", "reads", 10)
	gone(t, reads)
	ready(t, s)
}

func TestDeadLetters(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	s, sub := store(ns, "orders"), subscription(ns, "orders", "billing")
	create(t, s, sub)
	ready(t, sub)
	app := asApplication(t, world.redis, ns, "billing")
	dlq := layout.RedisDeadLetters(ns+".orders", 0, "billing")
	if err := app.XAdd(t.Context(), &redis.XAddArgs{Stream: dlq, Values: []string{"cause", "a test"}}).Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "status counts them", func() (bool, string) { // With the next reconcile: they are no drift.
		err := world.kube.Get(t.Context(), objectKey(sub), sub)
		n := sub.Status.AtProvider.DeadLetters
		if err == nil && n != nil && *n == 1 {
			return true, ""
		}
		change(t, sub, func(s *namespacedv1alpha1.Subscription) { annotate(s, "test", time.Now().String()) })
		return false, "it does not"
	})
	remove(t, sub)
	token := refused(t, sub, v1alpha1.ReasonDeadLettersNotEmpty, ns+".orders/billing", "has dead letters, which deletion would destroy", "handle them, or confirm with")
	allow(t, sub, token)
	gone(t, sub)
	if n := admin(t, world.redis).Exists(t.Context(), dlq).Val(); n != 0 {
		t.Error("the dead letters are still there")
	}
}
