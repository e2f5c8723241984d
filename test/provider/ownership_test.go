package provider_test

import (
	"testing"

	xpv2 "github.com/crossplane/crossplane/apis/v2/core/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
	namespacedv1alpha1 "github.com/crossplane-contrib/provider-eventstore/apis/namespaced/v1alpha1"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// orphan has o leave everything on the broker when it is deleted.
var orphan = xpv2.ManagementPolicies{
	xpv2.ManagementActionObserve, xpv2.ManagementActionCreate, xpv2.ManagementActionUpdate, xpv2.ManagementActionLateInitialize,
}

func TestSameExternalName(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	first := store(ns, "orders")
	create(t, first)
	ready(t, first)
	second := externalName(store(ns, "copy"), ns+".orders")
	create(t, second)
	token := refused(t, second, v1alpha1.ReasonConflict, ns+".orders", "belongs to EventStore", ns+"/orders", "choose another external name, or confirm with")
	condition(t, second, xpv2.TypeReady, corev1.ConditionFalse, v1alpha1.ReasonRefused)
	if token == "" {
		t.Error("the message has no token")
	}
	if second.Status.AtProvider.Records != nil || second.Status.AtProvider.Principal != nil {
		t.Errorf("status tells of another's store: %+v", second.Status.AtProvider)
	}
	ready(t, first)

	// The one that never had it goes without a trace.
	remove(t, second)
	gone(t, second)
	ready(t, first)
	if err := asApplication(t, world.redis, ns, "orders").Ping(t.Context()).Err(); err != nil {
		t.Errorf("the owner's user does not work any more: %v", err)
	}

	// As soon as the owner is gone, whoever waits gets the name.
	third := externalName(store(ns, "heir"), ns+".orders")
	create(t, third)
	refused(t, third, v1alpha1.ReasonConflict)
	remove(t, first)
	gone(t, first)
	ready(t, third)
}

// TestDataWithoutMarker: what somebody else made is not taken without a person's word.
func TestDataWithoutMarker(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	c := admin(t, world.redis)
	appendEvents(t, c, ns+".legacy", 3)
	s := store(ns, "legacy")
	create(t, s)
	token := refused(t, s, v1alpha1.ReasonUnowned, ns+".legacy", "is on the broker already, and nothing says whose it is", "to adopt it, or choose another external name")
	condition(t, s, xpv2.TypeReady, corev1.ConditionFalse, v1alpha1.ReasonRefused)
	if l := left(t, c, ns+"."); len(l) != 1 {
		t.Errorf("something was created beside the data: %v", l)
	}
	allow(t, s, token)
	ready(t, s)
	accepted(t, s)
	if n := events(t, c, ns+".legacy"); n != 3 {
		t.Errorf("the store has %d records, want 3", n)
	}
}

// TestOrphanAndImport: a store outlives its resource if that is wanted, and the next resource of its name has it all.
func TestOrphanAndImport(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	s, sub := store(ns, "orders"), subscription(ns, "orders", "billing")
	s.Spec.ManagementPolicies, sub.Spec.ManagementPolicies = orphan, orphan
	s.Spec.ForProvider.Partitions = ptr.To[int32](2)
	create(t, s, sub)
	ready(t, s)
	ready(t, sub)
	c := admin(t, world.redis)
	ids := appendEvents(t, asApplication(t, world.redis, ns, "orders"), ns+".orders", 3)
	readGroup(t, asApplication(t, world.redis, ns, "billing"), ns+".orders", "billing", 2)
	remove(t, sub)
	remove(t, s)
	gone(t, sub)
	gone(t, s)
	if n := events(t, c, ns+".orders"); n != 3 {
		t.Fatalf("%d records are left, want 3", n)
	}

	// Its number of partitions is taken over, and another one is refused before anything changes.
	other := externalName(store(ns, "other"), ns+".orders")
	other.Spec.ForProvider.Partitions = ptr.To[int32](3)
	create(t, other)
	refused(t, other, v1alpha1.ReasonPartitionsChanged, ns+".orders", "has 2 partitions and the spec 3", "set partitions to 2, or create a new store and migrate")
	change(t, other, func(s *namespacedv1alpha1.EventStore) { s.Spec.ManagementPolicies = orphan })
	remove(t, other)
	gone(t, other)

	imported, reader := externalName(store(ns, "imported"), ns+".orders"), externalName(subscription(ns, "imported", "reader"), "billing")
	imported.Spec.ForProvider.Partitions = nil
	create(t, imported, reader)
	ready(t, imported)
	ready(t, reader)
	accepted(t, imported)
	eventually(t, "the spec has the partitions that exist", func() (bool, string) {
		err := world.kube.Get(t.Context(), objectKey(imported), imported)
		return err == nil && ptr.Deref(imported.Spec.ForProvider.Partitions, 0) == 2, "it has not"
	})
	if got := events(t, asApplication(t, world.redis, ns, "imported"), ns+".orders"); got != 3 {
		t.Errorf("the imported store has %d records, want 3", got)
	}
	if got := position(t, c, ns+".orders", "billing"); got != ids[1] {
		t.Errorf("the imported subscription is at %s, want %s", got, ids[1])
	}
	happened(t, imported, "owner: EventStore.eventstore.m.crossplane.io "+ns+"/other", "-> EventStore.eventstore.m.crossplane.io "+ns+"/imported")
}

// TestRestoredControlPlane: a backup brings resources back with other UIDs. They are the same ones.
func TestRestoredControlPlane(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	s, sub := store(ns, "orders"), subscription(ns, "orders", "billing")
	create(t, s, sub)
	ready(t, s)
	ready(t, sub)
	c := admin(t, world.redis)
	ids := appendEvents(t, c, ns+".orders", 3)
	readGroup(t, c, ns+".orders", "billing", 1)
	for _, o := range []client.Object{sub, s} { // As if etcd had been lost: no finalizer has its say.
		change(t, o, func(o client.Object) { annotate(o, "crossplane.io/paused", "true") })
		remove(t, o)
		change(t, o, func(o client.Object) { o.SetFinalizers(nil) })
		gone(t, o)
	}
	s, sub = store(ns, "orders"), subscription(ns, "orders", "billing")
	create(t, s, sub)
	ready(t, s)
	ready(t, sub)
	accepted(t, s)
	happened(t, s, "owner:", "(UID "+string(s.GetUID())+")")
	happened(t, sub, "owner:", "(UID "+string(sub.GetUID())+")")
	if n := events(t, asApplication(t, world.redis, ns, "orders"), ns+".orders"); n != 3 {
		t.Errorf("the store has %d records, want 3", n)
	}
	if got := position(t, c, ns+".orders", "billing"); got != ids[0] {
		t.Errorf("the subscription is at %s, want %s", got, ids[0])
	}
}

// TestOtherControlPlane: what another cluster owns is not taken without a person's word, since that one may well live.
func TestOtherControlPlane(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	s := store(ns, "orders")
	s.Spec.ManagementPolicies = orphan
	create(t, s)
	ready(t, s)
	remove(t, s)
	gone(t, s)
	c := admin(t, world.redis)
	if err := c.HSet(t.Context(), layout.RedisMarker(ns+".orders"), "owner-control-plane", "3b1f7a52-other").Err(); err != nil {
		t.Fatal(err)
	}
	s = store(ns, "orders")
	create(t, s)
	token := refused(t, s, v1alpha1.ReasonConflict, "belongs to EventStore", "of control plane 3b1f7a52", "to take it over")
	allow(t, s, token)
	ready(t, s)
	accepted(t, s)
	happened(t, s, "owner:", "of control plane 3b1f7a52", "->")
}
