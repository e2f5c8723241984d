package pulsar

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// TestProvided gives rights to a role whose token somebody else has issued, and takes them back.
func TestProvided(t *testing.T) {
	f := start(t, broker.PulsarOptions{})
	token := f.password(t, "team-shop")
	c := f.config()
	c.SigningKey = nil
	f.backend = f.connect(t, c)
	if _, err := f.backend.Issue("es:shop.orders", ""); err == nil || !strings.Contains(err.Error(), "tokenSigningKey") {
		t.Errorf("Issue without a signing key: %v", err)
	}
	f.backend.key, _ = newSigningKey(f.SecretKey) // For the fixture's own use of it.
	d, pc := f.store(t, "shop.orders")
	d.Principal = f.backend.StorePrincipal(d.Name, "team-shop", token)
	f.applyStore(t, d, pc)
	s, sc := f.subscription(t, d.Name, "reader")
	s.Principal = f.backend.SubscriptionPrincipal(backend.SubscriptionID{Store: s.Store, Name: s.Name}, "team-reader", "")
	f.applySubscription(t, s, sc)
	a := f.application(t, token)
	events := layout.PulsarPartition(layout.PulsarEvents, 0)
	f.must(t, a.produce(d.Name, events)(t.Context()))
	if err := a.subscribeTo(d.Name, events, s.Name)(t.Context()); err == nil {
		t.Error("the store's role uses the subscription of another")
	}
	f.must(t, f.application(t, f.password(t, "team-reader")).subscribeTo(d.Name, events, s.Name)(t.Context()))

	d.Principal = f.backend.StorePrincipal(d.Name, "team-checkout", "")
	f.applyStore(t, d, pc)
	if err := a.produce(d.Name, events)(t.Context()); err == nil {
		t.Error("the former role still writes")
	}
}

// TestNoting says what is noted of permissions that a role gets.
func TestNoting(t *testing.T) {
	b := &Backend{}
	b.config.Tenant = "shop"
	permissions := []permission{{"events", []string{produce, consume}}}
	note := func(granted ...grant) *principalNote {
		return &principalNote{Name: "team", Digest: providedDigest, Granted: granted}
	}
	for name, tc := range map[string]struct {
		reason  string
		has     []string // On events.
		before  []grant  // By this resource.
		another []grant  // By a subscription.
		want    []grant
	}{
		"Nothing":  {reason: "All of it is new.", want: []grant{"events consume", "events produce"}},
		"Others":   {reason: "What the role could do before is not taken back.", has: []string{consume}, want: []grant{"events produce"}},
		"Again":    {reason: "What was noted stays noted.", has: []string{produce, consume}, before: []grant{"events produce"}, want: []grant{"events produce"}},
		"Inherits": {reason: "What another resource has given belongs to both.", has: []string{consume}, another: []grant{"events consume"}, want: []grant{"events consume", "events produce"}},
	} {
		t.Run(name, func(t *testing.T) {
			n := &namespace{Properties: marker[subscriptionSettings]{round: 1, settings: subscriptionSettings{Principal: note(tc.another...)}}.properties(subscriptionKeys("reader"))}
			n.Auth.Topics = map[string]map[string][]string{b.fullName("orders", "events"): {"team": tc.has}}
			got := note(tc.before...).noting(b, "orders", n, storePrefix, permissions).Granted
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s\n-want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}

// TestOneRole gives a store and two of its subscriptions to one role, which can do something else besides: none of them takes
// from the others, or what is not its own.
func TestOneRole(t *testing.T) {
	f := start(t, broker.PulsarOptions{})
	const role = "team-shop"
	d, c := f.store(t, "one.role")
	d.Principal = f.backend.StorePrincipal(d.Name, role, "")
	f.applyStore(t, d, c)
	f.must(t, f.backend.give(t.Context(), "test", d.Name, role, []permission{{layout.PulsarEvents, []string{produce, consume, "functions"}}}))
	type reader struct {
		plan.DesiredSubscription
		plan.Context
	}
	readers := map[string]reader{}
	for _, name := range []string{"first", "second"} {
		s, sc := f.subscription(t, d.Name, name)
		s.Principal = f.backend.SubscriptionPrincipal(backend.SubscriptionID{Store: s.Store, Name: name}, role, "")
		readers[name] = reader{s, sc}
		f.applySubscription(t, s, sc)
	}
	settled := func(names ...string) {
		t.Helper()
		if _, p := f.planStore(t, d, c); len(p.Changes)+len(p.Refusals) > 0 {
			t.Errorf("the store is to be changed: %+v", p)
		}
		for _, name := range names {
			if _, p := f.planSubscription(t, readers[name].DesiredSubscription, readers[name].Context); len(p.Changes)+len(p.Refusals) > 0 {
				t.Errorf("subscription %q is to be changed: %+v", name, p)
			}
		}
	}
	rights := func(want ...string) {
		t.Helper()
		n := must2(f.backend.readNamespace(t.Context(), "test", d.Name))
		if diff := cmp.Diff(want, n.rightsOf(role, f.backend.fullName(d.Name, ""))); diff != "" {
			t.Errorf("rights: -want, +got:\n%s", diff)
		}
	}
	settled("first", "second")
	rights("events: consume, functions, produce", "first-dlq: consume, produce", "second-dlq: consume, produce")
	app := f.application(t, f.password(t, role))
	events := layout.PulsarPartition(layout.PulsarEvents, 0)
	f.must(t, app.produce(d.Name, events)(t.Context()))
	f.must(t, app.subscribeTo(d.Name, events, "first")(t.Context()))

	// Somebody else may use it too.
	f.must(t, f.backend.restrict(t.Context(), backend.SubscriptionID{Store: d.Name, Name: "first"}, []string{"another", role}))
	settled("first", "second")

	f.must(t, f.backend.FenceStores(t.Context(), []string{d.Name})[0])
	rights("events: consume, functions", "first-dlq: consume, produce", "second-dlq: consume, produce")
	f.must(t, f.backend.UnfenceStores(t.Context(), []string{d.Name})[0])
	settled("first", "second")

	deletion := backend.SubscriptionDeletion{ID: backend.SubscriptionID{Store: d.Name, Name: "first"}, Owner: readers["first"].Owner}
	f.must(t, f.backend.DeleteSubscriptions(t.Context(), []backend.SubscriptionDeletion{deletion})[0])
	rights("events: consume, functions, produce", "second-dlq: consume, produce")
	settled("second")

	d.Principal = f.backend.StorePrincipal(d.Name, "team-checkout", "")
	f.applyStore(t, d, c)
	rights("events: consume, functions", "second-dlq: consume, produce")
	settled("second")

	s := readers["second"]
	s.Principal = f.backend.SubscriptionPrincipal(backend.SubscriptionID{Store: s.Store, Name: s.Name}, "team-checkout", "")
	readers["second"] = s
	f.applySubscription(t, s.DesiredSubscription, s.Context)
	rights("events: functions")
	settled("second")
}

// TestNobodyNamed has a Secret that does not say whose it is.
func TestNobodyNamed(t *testing.T) {
	b := &Backend{observe: func(string, int) {}}
	d := plan.DesiredStore{Name: "orders", Principal: b.StorePrincipal("orders", "", "an API key")}
	err := b.ApplyStores(t.Context(), []backend.StoreChange{{Desired: d, Changes: []plan.Change{{Field: plan.FieldPrincipal}}}})[0]
	if err == nil || !strings.Contains(err.Error(), "add the key principal") {
		t.Errorf("ApplyStores: %v", err)
	}
}
