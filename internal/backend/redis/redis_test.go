package redis

import (
	"context"
	"fmt"
	"os/exec"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect/redisclient"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// A fixture is a real server, a backend that administers it, and a client of its administrator.
type fixture struct {
	*broker.Redis // One of them, if there are several.

	connection redisclient.Config // Without user.
	nodes      []*broker.Redis

	backend *Backend
	admin   redis.UniversalClient
	trips   *counter
}

// counter counts round trips and commands.
type counter struct {
	mu              sync.Mutex
	trips, commands int
}

func (c *counter) observe(_ string, commands int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trips++
	c.commands += commands
}

func (c *counter) take() (trips, commands int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	trips, commands = c.trips, c.commands
	c.trips, c.commands = 0, 0
	return trips, commands
}

func start(t testing.TB, o broker.RedisOptions) *fixture {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("redis-server is not installed")
	}
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	r, err := broker.StartRedis(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Stop() })
	return fixtureOf(t, redisclient.Config{Addresses: []string{r.Addr}}, r)
}

func fixtureOf(t testing.TB, c redisclient.Config, nodes ...*broker.Redis) *fixture {
	t.Helper()
	f := &fixture{Redis: nodes[0], nodes: nodes, connection: c, trips: &counter{}}
	f.backend = f.connect(t, f.AdminUser, f.AdminPassword)
	var err error
	if f.admin, err = f.config(f.AdminUser, f.AdminPassword).Client(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.admin.Close() })
	return f
}

func (f *fixture) config(user, password string) redisclient.Config {
	c := f.connection
	c.Username, c.Password = user, password
	return c
}

func (f *fixture) connect(t testing.TB, user, password string) *Backend {
	t.Helper()
	b, err := New(f.config(user, password), WithObserver(f.trips.observe))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func owner(kind, name string) plan.Owner {
	return plan.Owner{
		ControlPlane: "0f0e0d0c-0000-4000-8000-000000000001", Group: "eventstore.m.crossplane.io", Kind: kind,
		Namespace: "shop", Name: name, UID: "uid-of-" + name,
	}
}

// store returns what a resource of that name asks for, and the context of its plans.
func (f *fixture) store(name string) (plan.DesiredStore, plan.Context) {
	return plan.DesiredStore{
		StoreSettings: plan.StoreSettings{Owner: owner("EventStore", name), Partitions: 3},
		Name:          name,
		Principal:     f.backend.StorePrincipal(name, "", password(name)),
		Protection:    plan.ProtectWhenNotEmpty,
	}, plan.Context{Capabilities: Capabilities(), UID: "uid-of-" + name}
}

func (f *fixture) subscription(store, name string) (plan.DesiredSubscription, plan.Context) {
	return plan.DesiredSubscription{
		SubscriptionSettings: plan.SubscriptionSettings{Owner: owner("Subscription", store+"-"+name)},
		Store:                store, Name: name,
		StartFrom: plan.Start{Earliest: true},
		Principal: f.backend.SubscriptionPrincipal(backend.SubscriptionID{Store: store, Name: name}, "", password(store+name)),
	}, plan.Context{Capabilities: Capabilities(), UID: "uid-of-" + store + "-" + name}
}

// stores returns the deletions of stores on behalf of their resources.
func stores(names ...string) []backend.StoreDeletion {
	deletions := make([]backend.StoreDeletion, len(names))
	for i, n := range names {
		deletions[i] = backend.StoreDeletion{Name: n, Owner: owner("EventStore", n)}
	}
	return deletions
}

// subscriptions returns the deletions of subscriptions on behalf of their resources.
func subscriptions(ids ...backend.SubscriptionID) []backend.SubscriptionDeletion {
	deletions := make([]backend.SubscriptionDeletion, len(ids))
	for i, id := range ids {
		deletions[i] = backend.SubscriptionDeletion{ID: id, Owner: owner("Subscription", id.Store+"-"+id.Name)}
	}
	return deletions
}

func password(name string) string { return "correct horse " + name }

// applyStore plans, applies, and fails the test if something is refused or goes wrong.
func (f *fixture) applyStore(t testing.TB, d plan.DesiredStore, c plan.Context) plan.ObservedStore {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	o := f.readStore(t, d.Name)
	p := plan.Store(d, o, c)
	if len(p.Refusals) > 0 {
		t.Fatalf("plan for store %q refuses: %+v", d.Name, p.Refusals)
	}
	err := f.backend.ApplyStores(ctx, []backend.StoreChange{{Desired: d, Observed: o, Changes: p.Changes, Password: password(d.Name)}})[0]
	if err != nil {
		t.Fatal(err)
	}
	return f.readStore(t, d.Name)
}

func (f *fixture) readStore(t testing.TB, name string) plan.ObservedStore {
	t.Helper()
	r := f.backend.ReadStores(t.Context(), []string{name})[0]
	if r.Err != nil {
		t.Fatal(r.Err)
	}
	return r.Value
}

func (f *fixture) applySubscription(t testing.TB, d plan.DesiredSubscription, c plan.Context) plan.ObservedSubscription {
	t.Helper()
	o := f.readSubscription(t, d.Store, d.Name)
	p := plan.Subscription(d, o, c)
	if len(p.Refusals) > 0 {
		t.Fatalf("plan for subscription %q refuses: %+v", d, p.Refusals)
	}
	err := f.backend.ApplySubscriptions(t.Context(), []backend.SubscriptionChange{{
		Desired: d, Observed: o, Changes: p.Changes, Password: password(d.Store + d.Name), Restore: c.KnownPositions,
	}})[0]
	if err != nil {
		t.Fatal(err)
	}
	return f.readSubscription(t, d.Store, d.Name)
}

func (f *fixture) readSubscription(t testing.TB, store, name string) plan.ObservedSubscription {
	t.Helper()
	r := f.backend.ReadSubscriptions(t.Context(), []backend.SubscriptionID{{Store: store, Name: name}})[0]
	if r.Err != nil {
		t.Fatal(r.Err)
	}
	return r.Value
}

func TestPlanApplyPlanIsEmpty(t *testing.T) {
	f := start(t, broker.RedisOptions{ACLFile: true})
	d, c := f.store("shop.orders")
	if p := plan.Store(d, f.applyStore(t, d, c), c); len(p.Changes)+len(p.Refusals) > 0 {
		t.Errorf("plan after apply: %+v", p)
	}
	s, c := f.subscription("shop.orders", "billing")
	if p := plan.Subscription(s, f.applySubscription(t, s, c), c); len(p.Changes)+len(p.Refusals) > 0 {
		t.Errorf("plan after apply: %+v", p)
	}
	h, err := f.backend.Health(t.Context())
	if err != nil || h.Version == "" {
		t.Errorf("Health: %+v, %v", h, err)
	}
	if err := f.backend.Maintain(t.Context(), []string{"shop.orders"}); err != nil {
		t.Error(err)
	}
	id := backend.SubscriptionID{Store: "shop.orders", Name: "billing"}
	if err := f.backend.DeleteSubscriptions(t.Context(), subscriptions(id))[0]; err != nil {
		t.Error(err)
	}
	if err := f.backend.FenceStores(t.Context(), []string{"shop.orders"})[0]; err != nil {
		t.Error(err)
	}
	if err := f.backend.DeleteStores(t.Context(), stores("shop.orders"))[0]; err != nil {
		t.Error(err)
	}
	if n := f.admin.DBSize(t.Context()).Val(); n != 0 {
		t.Errorf("after deletion %d keys are left: %v", n, f.admin.Keys(t.Context(), "*").Val())
	}
}

// TestConcurrently does everything at once, for the race detector, and to see that batches do not mix.
func TestConcurrently(t *testing.T) {
	f := start(t, broker.RedisOptions{ACLFile: true})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			n := fmt.Sprintf("store-%d", i)
			d, c := f.store(n)
			s, sc := f.subscription(n, "reader")
			id := []backend.SubscriptionID{{Store: n, Name: "reader"}}
			for range 5 {
				f.applyStore(t, d, c)
				if p := plan.Store(d, f.readStore(t, n), c); len(p.Changes) > 0 {
					t.Errorf("%s: plan after apply: %v", n, p.Changes)
				}
				f.applySubscription(t, s, sc)
				if p := plan.Subscription(s, f.readSubscription(t, n, "reader"), sc); len(p.Changes) > 0 {
					t.Errorf("%s/reader: plan after apply: %v", n, p.Changes)
				}
				errs := f.backend.DeleteSubscriptions(t.Context(), subscriptions(id...))
				errs = append(errs, f.backend.FenceStores(t.Context(), []string{n})...)
				errs = append(errs, f.backend.Maintain(t.Context(), []string{n}))
				errs = append(errs, f.backend.DeleteStores(t.Context(), stores(n))...)
				for _, err := range errs {
					if err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	if keys := f.admin.Keys(t.Context(), "*").Val(); len(keys) > 0 {
		t.Errorf("keys are left: %v", keys)
	}
	if users := f.admin.ACLUsers(t.Context()).Val(); len(users) != 2 {
		t.Errorf("users: %v, want the administrator and default", users)
	}
}

// TestConnectionsComeBack restarts the server under a backend, which must not need to be made anew.
func TestConnectionsComeBack(t *testing.T) {
	f := start(t, broker.RedisOptions{AppendOnly: true, ACLFile: true})
	d, c := f.store("orders")
	f.applyStore(t, d, c)
	if err := f.Stop(); err != nil {
		t.Fatal(err)
	}
	if r := f.backend.ReadStores(t.Context(), []string{"orders"}); r[0].Err == nil {
		t.Error("a store was read from a server that is down")
	}
	for what, errs := range map[string][]error{
		"ApplyStores":   f.backend.ApplyStores(t.Context(), []backend.StoreChange{{Desired: d, Changes: plan.Store(d, plan.ObservedStore{}, c).Changes, Password: "x"}}),
		"DeleteStores":  f.backend.DeleteStores(t.Context(), stores("orders")),
		"UnfenceStores": f.backend.UnfenceStores(t.Context(), []string{"orders"}),
		"FenceStores":   f.backend.FenceStores(t.Context(), []string{"orders"}),
		"Maintain":      {f.backend.Maintain(t.Context(), []string{"orders"})},
	} {
		if errs[0] == nil {
			t.Errorf("%s succeeds on a server that is down", what)
		}
	}
	if err := f.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p := plan.Store(d, f.readStore(t, "orders"), c); len(p.Changes) > 0 {
		t.Errorf("plan after the restart: %v", p.Changes)
	}
}
