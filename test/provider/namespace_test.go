package provider_test

import (
	"strings"
	"testing"

	xpv2 "github.com/crossplane/crossplane/apis/v2/core/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
	namespacedv1alpha1 "github.com/crossplane-contrib/provider-eventstore/apis/namespaced/v1alpha1"
)

// tenant is all that a team has in its namespace.
type tenant struct {
	ns         *corev1.Namespace
	full       *namespacedv1alpha1.EventStore // Holds events.
	empty      *namespacedv1alpha1.EventStore
	lags, read *namespacedv1alpha1.Subscription // Of the full store.
}

func newTenant(t *testing.T) tenant {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "team-"}}
	if err := world.kube.Create(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	n := ns.GetName()
	a := tenant{
		ns: ns, full: use(store(n, "full"), "ProviderConfig", "redis"), empty: use(store(n, "empty"), "ProviderConfig", "redis"),
		lags: use(subscription(n, "full", "lags"), "ProviderConfig", "redis"), read: use(subscription(n, "full", "read"), "ProviderConfig", "redis"),
	}
	// What the test leaves behind is deleted in the order that always works.
	create(t, passwordSecret(n, "redis", world.redis.AdminPassword), localConfig(n, "redis", world.redis.Addr, "redis"), a.full, a.empty, a.lags, a.read)
	ready(t, a.lags)
	ready(t, a.read)
	ready(t, a.empty)
	c := admin(t, world.redis)
	appendEvents(t, c, n+".full", 3)
	readGroup(t, c, n+".full", "read", 3)
	return a
}

// TestNamespaceDeletedInOneGo: Kubernetes deletes the credentials first. What may go goes, and what holds events stays,
// says why, and goes when a person says so.
func TestNamespaceDeletedInOneGo(t *testing.T) {
	t.Parallel()
	a := newTenant(t)
	n := a.ns.GetName()
	remove(t, a.ns)
	token := refused(t, a.full, v1alpha1.ReasonNotEmpty, n+".full", "holds records", "confirm with")
	gone(t, a.empty)
	gone(t, a.read)
	refused(t, a.lags, v1alpha1.ReasonSubscriptionLags, n+".full/lags")
	eventually(t, "the namespace says what it waits for", func() (bool, string) {
		if err := world.kube.Get(t.Context(), objectKey(a.ns), a.ns); err != nil {
			return false, err.Error()
		}
		var all []string
		for _, c := range a.ns.Status.Conditions {
			all = append(all, c.Message)
		}
		s := strings.Join(all, "; ")
		return strings.Contains(s, "eventstores.eventstore.m.crossplane.io has 1 resource instances"), s
	})
	allow(t, a.full, token)
	gone(t, a.full)
	gone(t, a.lags) // Its store is gone, so there is nothing left to read.
	gone(t, a.ns)
	nothingLeft(t, admin(t, world.redis), n)
}

// TestNamespaceDeletedAndProviderRestarted: nobody knows the credentials any more, and nothing can be created in the
// namespace. Not parallel: it stops the provider.
func TestNamespaceDeletedAndProviderRestarted(t *testing.T) {
	a := newTenant(t)
	n := a.ns.GetName()
	remove(t, a.ns)
	refused(t, a.full, v1alpha1.ReasonNotEmpty)
	gone(t, a.empty)
	gone(t, a.read)
	restartProvider(t)
	fails(t, a.full, "ProviderConfig "+n+"/redis", "the credentials to delete this with are gone", "remove Delete from spec.managementPolicies", "leaves the data on the broker")
	fails(t, a.lags, "remove Delete from spec.managementPolicies")

	keep := xpv2.ManagementPolicies{xpv2.ManagementActionObserve}
	change(t, a.full, func(s *namespacedv1alpha1.EventStore) { s.Spec.ManagementPolicies = keep })
	change(t, a.lags, func(s *namespacedv1alpha1.Subscription) { s.Spec.ManagementPolicies = keep })
	gone(t, a.full)
	gone(t, a.lags)
	gone(t, a.ns)

	// The events are where they were, for the next resource of that name.
	c := admin(t, world.redis)
	if got := events(t, c, n+".full"); got != 3 {
		t.Errorf("the store has %d records, want 3", got)
	}
	again := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: n}}
	create(t, again)
	s, sub := store(n, "full"), subscription(n, "full", "lags")
	create(t, s, sub)
	ready(t, s)
	ready(t, sub)
}
