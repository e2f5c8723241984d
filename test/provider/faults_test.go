package provider_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	xpv2 "github.com/crossplane/crossplane/apis/v2/core/v2"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
	namespacedv1alpha1 "github.com/crossplane-contrib/provider-eventstore/apis/namespaced/v1alpha1"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/test/bench/backdoor"
)

// A siege is a broker that goes away and comes back, with a store and a subscription that were there before.
type siege struct {
	*anyBroker

	ns     string
	config *namespacedv1alpha1.ClusterProviderConfig
	store  *namespacedv1alpha1.EventStore
	sub    *namespacedv1alpha1.Subscription
	app    backdoor.Application
	ids    []string // Of the records that the store holds.
}

// besiege makes a store with five records, and a subscription that has read none of the last two: neither its beginning nor
// its end is where it is.
func besiege(t *testing.T, backend v1alpha1.Backend) *siege {
	t.Helper()
	s := &siege{ns: namespace(t)}
	s.anyBroker, s.config = behindProxies(t, backend, s.ns)
	s.store = use(store(s.ns, "orders"), "ClusterProviderConfig", s.ns)
	create(t, s.store)
	ready(t, s.store)
	s.app = s.application(t, s.ns, "orders")
	s.append(t, "r1", "r2", "r3")
	s.sub = use(subscription(s.ns, "orders", "billing"), "ClusterProviderConfig", s.ns)
	s.sub.Spec.ForProvider.StartFrom = &v1alpha1.Start{Position: v1alpha1.StartLatest}
	create(t, s.sub)
	ready(t, s.sub)
	s.append(t, "r4", "r5")
	seen(t, s.store, 5, 2)
	return s
}

func (s *siege) append(t *testing.T, ids ...string) {
	t.Helper()
	write(t, s.app, ids...)
	s.ids = append(s.ids, ids...)
}

// A fault is a way for a broker to be gone, and to come back.
type fault struct {
	name       string
	begin, end func(t *testing.T)
	answers    bool // Who goes past the proxies gets an answer meanwhile.
}

// TestBrokerFaults: whatever way a broker is gone, it is said, nothing is made up meanwhile, and when it is back the provider
// goes on by itself. One that is slow gets done what is to be done. One after another, as each is a fault of the same broker.
func TestBrokerFaults(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, backend v1alpha1.Backend) {
		s := besiege(t, backend)
		ok := t.Run("slow", s.testSlow)
		for _, f := range []fault{
			{"refuse", s.all(broker.Refuse), s.all(broker.Pass), true},
			{"hang", s.all(broker.Hang), s.all(broker.Pass), true},
			{"restart", s.halts, s.restarts, false},
		} {
			ok = ok && t.Run(f.name, func(t *testing.T) { s.testAway(t, f) })
		}
	})
}

func (s *siege) testSlow(t *testing.T) {
	for _, p := range s.proxies {
		p.Slow(200 * time.Millisecond)
		defer p.Slow(0)
	}
	s.append(t, "slow")
	inv := s.inspect(t)
	late := use(store(s.ns, "slow"), "ClusterProviderConfig", s.ns)
	create(t, late)
	inv.damage(t)
	s.recovers(t, late, inv)
}

func (s *siege) testAway(t *testing.T, f fault) {
	t.Helper()
	inv := s.inspect(t)
	away := true
	t.Cleanup(func() { // What was made is to be deleted, whatever went wrong.
		if away {
			f.end(t)
		}
	})
	f.begin(t)
	late := use(store(s.ns, f.name), "ClusterProviderConfig", s.ns)
	create(t, late)
	if f.answers {
		inv.damage(t)
	}
	s.says(t, f, late, inv)
	if f.answers {
		if l := s.traces(t, s.ns+"."+f.name); len(l) > 0 {
			t.Errorf("something of the new store is there already: %v", l)
		}
	}
	f.end(t)
	away = false
	if !f.answers {
		inv.damage(t)
	}
	s.recovers(t, late, inv)
}

// all has all proxies do the same.
func (s *siege) all(m broker.ProxyMode) func(t *testing.T) {
	return func(t *testing.T) {
		t.Helper()
		for _, p := range s.proxies {
			if err := p.Set(m); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func (s *siege) halts(t *testing.T) {
	if err := s.halt(); err != nil {
		t.Fatal(err)
	}
}

func (s *siege) restarts(t *testing.T) {
	if err := s.restart(context.WithoutCancel(t.Context())); err != nil { // The broker outlives a part of the test.
		t.Fatal(err)
	}
}

// says waits until a broker that is gone is told of wherever somebody may look, in the same words for as long as it is gone.
// What was ready stays so: applications may still reach what the provider does not. Only a broker that stops may have said
// itself, as the last thing, that a partition is without a leader now.
func (s *siege) says(t *testing.T, f fault, late *namespacedv1alpha1.EventStore, before inventory) {
	t.Helper()
	began := time.Now()
	condition(t, s.config, v1alpha1.TypeHealthy, corev1.ConditionFalse, v1alpha1.ReasonUnreachable, "cannot reach")
	t.Logf("unhealthy after %s", time.Since(began).Round(100*time.Millisecond))
	for _, o := range []conditioned{s.store, s.sub, late} {
		fails(t, o, "cannot reach")
	}
	t.Logf("told on resources after %s", time.Since(began).Round(100*time.Millisecond))
	said := map[string]bool{}
	steady(t, 5*time.Second, "what was Ready stays so, and the new store waits", func() (bool, string) {
		for _, o := range []conditioned{s.store, s.sub, late, s.config} {
			if err := world.kube.Get(t.Context(), objectKey(o), o); err != nil {
				return false, err.Error()
			}
		}
		said[s.store.GetCondition(xpv2.TypeSynced).Message] = true
		for o, was := range before.ready {
			is := o.GetCondition(xpv2.TypeReady)
			stays := is.Status == corev1.ConditionTrue && is.LastTransitionTime.Equal(&was.LastTransitionTime)
			if lastWord := !f.answers && is.Reason == xpv2.ReasonUnavailable; !stays && !lastWord {
				return false, describe(o)
			}
		}
		return late.GetCondition(xpv2.TypeReady).Status != corev1.ConditionTrue && s.config.GetCondition(v1alpha1.TypeHealthy).Status == corev1.ConditionFalse, describe(late)
	})
	if len(said) > 2 { // One for what broke, and one for what stays so.
		t.Errorf("the message changes while the problem is the same: %q", slices.Collect(maps.Keys(said)))
	}
}

// A damage is what somebody does behind the provider's back, and what was there before.
type damage struct {
	backdoor.Change
	target backdoor.Target
	before string
}

// inventory is what the broker had of store and subscription, and what will be damaged of it.
type inventory struct {
	damages []damage
	traces  []string
	ready   map[conditioned]xpv2.Condition // Of store and subscription.
}

// inspect looks at what is there: users, a position, and everything by its name.
func (s *siege) inspect(t *testing.T) inventory {
	t.Helper()
	name := s.ns + ".orders"
	inv := inventory{traces: s.ofOrders(t), ready: map[conditioned]xpv2.Condition{}, damages: []damage{
		{Change: s.lostPrincipal(t, false), target: backdoor.Target{Store: name}},
		{Change: s.lostPrincipal(t, true), target: backdoor.Target{Store: name, Subscription: "billing"}},
		{Change: s.lostPosition(t), target: backdoor.Target{Store: name, Subscription: "billing"}},
	}}
	for _, o := range []conditioned{s.store, s.sub} {
		ready(t, o)
		inv.ready[o] = o.GetCondition(xpv2.TypeReady)
	}
	for i, d := range inv.damages {
		var err error
		if inv.damages[i].before, err = d.See(t.Context(), d.target); err != nil {
			t.Fatalf("cannot see %s before %q: %v", d.target, d.Name, err)
		}
	}
	return inv
}

// ofOrders lists what the broker has of the store and its subscription.
func (s *siege) ofOrders(t *testing.T) []string {
	t.Helper()
	return slices.DeleteFunc(s.traces(t, s.ns+"."), func(trace string) bool { return !strings.Contains(trace, s.ns+".orders") })
}

// damage destroys what was inspected, and is still there. A broker that has just started may need a moment for that.
func (inv inventory) damage(t *testing.T) {
	t.Helper()
	var left []damage
	for _, d := range inv.damages {
		eventually(t, fmt.Sprintf("%s can be seen", d.target), func() (bool, string) {
			now, err := d.See(t.Context(), d.target)
			if err == nil && now == d.before {
				left = append(left, d)
			}
			return err == nil, fmt.Sprint(err)
		})
	}
	for _, d := range left {
		eventually(t, fmt.Sprintf("%q is made of %s", d.Name, d.target), func() (bool, string) {
			err := d.Make(t.Context(), d.target)
			return err == nil, fmt.Sprint(err)
		})
	}
}

// recovers waits until everything is as it was, and the new store is ready, and looks whether anything is there twice or
// not any more.
func (s *siege) recovers(t *testing.T, late *namespacedv1alpha1.EventStore, inv inventory) {
	t.Helper()
	began := time.Now()
	var took []string
	for _, d := range inv.damages {
		eventually(t, fmt.Sprintf("%q of %s is repaired", d.Name, d.target), func() (bool, string) {
			now, err := d.See(t.Context(), d.target)
			return err == nil && now == d.before, fmt.Sprintf("there is %q, and there was %q (%v); %s; %s", now, d.before, err, describe(s.store), describe(s.sub))
		})
		took = append(took, fmt.Sprintf("%s of %s after %s", d.Name, d.target, time.Since(began).Round(100*time.Millisecond)))
	}
	for _, o := range []conditioned{s.store, s.sub, late} {
		ready(t, o)
		accepted(t, o)
	}
	t.Logf("repaired: %s; all ready after %s", strings.Join(took, ", "), time.Since(began).Round(100*time.Millisecond))
	condition(t, s.config, v1alpha1.TypeHealthy, corev1.ConditionTrue, "")
	t.Logf("healthy after %s", time.Since(began).Round(100*time.Millisecond))

	if diff := cmp.Diff(inv.traces, s.ofOrders(t)); diff != "" {
		t.Errorf("the broker has something else of the store than before: -before, +now:\n%s", diff)
	}
	seen(t, s.store, int64(len(s.ids)), int64(len(s.ids)-3))
	holds(t, s.app, s.ids...)
	write(t, s.application(t, s.ns, "orders"), "again-"+late.GetName()) // With the password of the Secret, as any new application.
	s.ids = append(s.ids, "again-"+late.GetName())
}
