package kafka

import (
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// rightsOf returns the rights that a user has on the cluster.
func (f *fixture) rightsOf(t *testing.T, user string) []acl {
	t.Helper()
	a, err := f.backend.access(t.Context(), interest{users: []string{user}})
	if err != nil {
		t.Fatal(err)
	}
	return a.of(user)
}

// rightsBy returns the rights of a user by several lists, sorted.
func rightsBy(user string, lists ...[]layout.KafkaACL) []acl {
	return slices.Compact(rightsOf(user, slices.Concat(lists...)))
}

// provideSubscription makes the subscription of a user that exists already.
func (f *fixture) provideSubscription(store, name, user string) (plan.DesiredSubscription, plan.Context) {
	d, c := f.subscription(store, name)
	d.Principal = f.backend.SubscriptionPrincipal(backend.SubscriptionID{Store: store, Name: name}, user, "")
	return d, c
}

// TestSharedUser gives one provided user to a store and two of its subscriptions, as an application with one account has it.
// Nobody takes away what another has given, and what is left at the end is what the user had before.
func TestSharedUser(t *testing.T) {
	f := start(t)
	const app = "shared-app"
	elsewhere := right(app, layout.KafkaACL{Type: "TOPIC", Name: "shared.else", Operation: "READ"})
	f.rights(t, elsewhere, true)
	d, c := f.provide("shared.orders", app)
	mail, mc := f.provideSubscription(d.Name, "mail", app)
	index, ic := f.provideSubscription(d.Name, "index", app)
	store, mails, indexes := layout.KafkaStoreACL(d.Name), layout.KafkaSubscriptionACL(d.Name, "mail"), layout.KafkaSubscriptionACL(d.Name, "index")

	f.applyStore(t, d, c)
	f.applySubscription(t, mail, mc)
	f.applySubscription(t, index, ic)
	check := func(when string, lists ...[]layout.KafkaACL) {
		t.Helper()
		want := append(rightsBy(app, lists...), elsewhere)
		slices.SortFunc(want, compareACLs)
		if got := f.rightsOf(t, app); !slices.Equal(got, want) {
			t.Errorf("%s %s has\n%v, want\n%v", when, app, got, want)
		}
	}
	check("after all were made", store, mails, indexes)
	if _, p := f.change(t, d, c); len(p.Changes) > 0 {
		t.Errorf("plan of the store: %v", p.Changes)
	}
	if _, p := f.changeSubscription(t, mail, mc); len(p.Changes) > 0 {
		t.Errorf("plan of a subscription: %v", p.Changes)
	}

	deleteSubscription := func(name string) {
		t.Helper()
		if err := f.backend.DeleteSubscriptions(t.Context(), subscriptions(backend.SubscriptionID{Store: d.Name, Name: name}))[0]; err != nil {
			t.Fatal(err)
		}
	}
	deleteSubscription("mail")
	check("after one was deleted", store, indexes)

	d.Principal = f.backend.StorePrincipal(d.Name, "shared-other", "")
	f.applyStore(t, d, c)
	check("after the store got another user", indexes)
	d.Principal = f.backend.StorePrincipal(d.Name, app, "")
	f.applyStore(t, d, c)

	if err := f.backend.DeleteStores(t.Context(), stores(d.Name))[0]; err != nil {
		t.Fatal(err)
	}
	check("after the store was deleted", indexes)
	deleteSubscription("index")
	check("at the end")
	if got := f.rightsOf(t, "shared-other"); len(got) > 0 {
		t.Errorf("who had the store for a while has %v", got)
	}
	f.rights(t, elsewhere, false)
}

// TestQuotaOfProvidedUser has an administrator limit a user that two stores share.
func TestQuotaOfProvidedUser(t *testing.T) {
	f := start(t)
	config := f.config(t)
	config.Provided = true
	f.backend = f.open(t, config)
	const app = "limited-app"
	f.quota(t, app, "54321")
	defer f.quota(t, app, "")
	for _, name := range []string{"limited.orders", "limited.bills"} {
		d, c := f.provide(name, app)
		f.applyStore(t, d, c)
		d.Quota.BytesPerSecond = 1000
		if change, p := f.change(t, d, c); len(p.Refusals) != 1 || p.Refusals[0].Field != plan.FieldQuotaByteRate || len(change.Changes) > 0 {
			t.Errorf("plan with a quota: %+v", p)
		}
	}
	for _, err := range f.backend.DeleteStores(t.Context(), stores("limited.orders", "limited.bills")) {
		if err != nil {
			t.Error(err)
		}
	}
	a, err := f.backend.access(t.Context(), interest{users: []string{app}, quotas: true})
	if err != nil {
		t.Fatal(err)
	}
	if rate := a.quotas[app][keyByteRate]; rate != 54321 {
		t.Errorf("the administrator's quota is %v now", rate)
	}
}

// TestWithoutSCRAM gives rights to provided users where no SCRAM user can be asked for or made, and rights can. Users of ours
// cannot be had there.
func TestWithoutSCRAM(t *testing.T) {
	f := start(t)
	f.backend = f.through(t, f.config(t), func(c net.Conn) net.Conn { return &forgetful{Conn: c} })
	const app = "scramless-app"
	d, c := f.provide("scramless.orders", app)
	o := f.applyStore(t, d, c)
	if o.Principal.Name != app {
		t.Errorf("principal: %+v", o.Principal)
	}
	s, sc := f.provideSubscription(d.Name, "mail", app)
	f.applySubscription(t, s, sc)
	if got, want := f.rightsOf(t, app), rightsBy(app, layout.KafkaStoreACL(d.Name), layout.KafkaSubscriptionACL(d.Name, "mail")); !slices.Equal(got, want) {
		t.Errorf("%s has\n%v, want\n%v", app, got, want)
	}
	managed, mc := f.store("scramless.managed")
	change, _ := f.change(t, managed, mc)
	if err := f.backend.ApplyStores(t.Context(), []backend.StoreChange{change})[0]; err == nil || !strings.Contains(err.Error(), "principals: Provided") {
		t.Errorf("a store with a user of its own: %v, want what to do", err)
	}
	for i, err := range slices.Concat(
		f.backend.DeleteSubscriptions(t.Context(), subscriptions(backend.SubscriptionID{Store: d.Name, Name: "mail"})),
		f.backend.DeleteStores(t.Context(), stores(d.Name)),
	) {
		if err != nil {
			t.Errorf("deletion %d: %v", i, err)
		}
	}
	if got := f.rightsOf(t, app); len(got) > 0 {
		t.Errorf("at the end %s has %v", app, got)
	}
}
