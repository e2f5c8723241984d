package redis

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect/redisclient"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

func TestSlotOf(t *testing.T) {
	// From the Redis Cluster specification, and CLUSTER KEYSLOT.
	for key, want := range map[string]int{
		"123456789": 12739, "foo": 12182, "{user1000}.following": slotOf("user1000"), "foo{}{bar}": 8363,
		"foo{{bar}}zap": slotOf("{bar"), "foo{bar}{zap}": slotOf("bar"), "": 0,
	} {
		if got := slotOf(key); got != want {
			t.Errorf("slotOf(%q) = %d, want %d", key, got, want)
		}
	}
	for p := range 3 {
		if slotOf(layout.RedisEvents("orders", p)) != slotOf(layout.RedisLease("orders", p, "billing")) {
			t.Errorf("the keys of partition %d are in different slots", p)
		}
	}
}

// masterOf returns which server of a fixture has a key.
func (f *fixture) masterOf(t testing.TB, key string) *broker.Redis {
	t.Helper()
	top, err := f.backend.fleet.topology(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range f.nodes {
		if n := top.master(key); n != nil && n.address == r.Addr {
			return r
		}
	}
	t.Fatalf("no server has key %s", key)
	return nil
}

// small returns a store of one partition, so that not all servers have something of it.
func (f *fixture) small(name string) (plan.DesiredStore, plan.Context) {
	d, c := f.store(name)
	d.Partitions = 1
	return d, c
}

func TestClusterFailsOver(t *testing.T) {
	t.Parallel()
	f, s := startCluster(t, broker.RedisGroupOptions{ACLFile: true})
	var names []string
	for i := range 12 {
		names = append(names, fmt.Sprintf("orders-%d", i))
		d, c := f.small(names[i])
		f.applyStore(t, d, c)
	}
	f.awaitReplicas(t)
	if err := f.sameUsers(t, len(names), s.Nodes...); err != nil {
		t.Fatal(err)
	}
	// Stores come and go all the while, and each attempt either succeeds or says why not.
	ctx, stop := context.WithCancel(t.Context())
	var busy sync.WaitGroup
	for i := range 4 {
		busy.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				name := fmt.Sprintf("busy-%d", i)
				d, c := f.small(name)
				r := f.backend.ReadStores(t.Context(), []string{name})[0]
				if r.Err == nil {
					f.backend.ApplyStores(t.Context(), []backend.StoreChange{{Desired: d, Observed: r.Value, Changes: plan.Store(d, r.Value, c).Changes, Password: password(name)}})
				}
				if n%3 == 2 {
					f.backend.DeleteStores(t.Context(), stores(name))
				}
			}
		})
	}
	victim := f.masterOf(t, layout.RedisMarker(names[0]))
	if err := victim.Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the master to be missed", func() error {
		failed := 0
		for _, r := range f.backend.ReadStores(t.Context(), names) {
			if r.Err != nil {
				failed++
			}
		}
		if failed == 0 || failed == len(names) {
			return fmt.Errorf("%d of %d stores cannot be read, want some", failed, len(names))
		}
		return nil
	})
	for _, n := range names {
		d, c := f.small(n)
		eventually(t, "store "+n+" to be as it was", func() error { return f.inPlace(t, d, c) })
	}
	eventually(t, "a warning that names the old master", func() error { return f.warned(t, victim.Addr) })
	for _, n := range names[:2] { // One of them was the victim's.
		eventually(t, "the deletion of "+n+" without the old master", func() error { return f.backend.DeleteStores(t.Context(), stores(n))[0] })
	}
	if err := victim.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	stop()
	busy.Wait()
	if err := s.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	all := append(slices.Clone(names), "busy-0", "busy-1", "busy-2", "busy-3")
	eventually(t, "everything to be repaired everywhere", func() error {
		for _, n := range all {
			d, c := f.small(n)
			if err := f.repair(t, d, c); err != nil {
				return err
			}
		}
		return cmpErr(f.backend.Maintain(t.Context(), all), f.sameUsers(t, len(all), s.Nodes...))
	})
	for _, n := range all {
		eventually(t, "the deletion of "+n, func() error { return f.backend.DeleteStores(t.Context(), stores(n))[0] })
	}
	if err := f.sameUsers(t, 0, s.Nodes...); err != nil {
		t.Error(err)
	}
}

// A move is of one slot from one master to another, step by step.
type move struct {
	from, to     *redis.Client
	fromID, toID string
	slot         int
	addr         []string // Host and port of to.
	login        []any
}

func (f *fixture) move(t *testing.T, key string, to *broker.Redis) move {
	t.Helper()
	from := f.masterOf(t, key)
	m := move{from: f.server(t, from), to: f.server(t, to), slot: slotOf(key), addr: strings.Split(to.Addr, ":"), login: []any{"AUTH2", to.AdminUser, to.AdminPassword}}
	id := func(c *redis.Client) string {
		id, err := c.Do(t.Context(), "CLUSTER", "MYID").Text()
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	m.fromID, m.toID = id(m.from), id(m.to)
	m.do(t, m.to, "CLUSTER", "SETSLOT", m.slot, "IMPORTING", m.fromID)
	m.do(t, m.from, "CLUSTER", "SETSLOT", m.slot, "MIGRATING", m.toID)
	return m
}

func (m move) do(t *testing.T, c *redis.Client, args ...any) {
	t.Helper()
	if err := c.Do(t.Context(), args...).Err(); err != nil && !errors.Is(err, redis.Nil) {
		t.Fatalf("%v: %v", args, err)
	}
}

func (m move) keys(t *testing.T, keys ...string) {
	t.Helper()
	for _, k := range keys {
		m.do(t, m.from, append([]any{"MIGRATE", m.addr[0], m.addr[1], k, 0, 5000}, m.login...)...)
	}
}

func (m move) end(t *testing.T) {
	t.Helper()
	keys, err := m.from.ClusterGetKeysInSlot(t.Context(), m.slot, 1000).Result()
	if err != nil {
		t.Fatal(err)
	}
	m.keys(t, keys...)
	m.do(t, m.to, "CLUSTER", "SETSLOT", m.slot, "NODE", m.toID)
	m.do(t, m.from, "CLUSTER", "SETSLOT", m.slot, "NODE", m.toID)
}

func TestSlotsMove(t *testing.T) {
	t.Parallel()
	f, s := startCluster(t, broker.RedisGroupOptions{})
	d, c := f.store("orders")
	f.applyStore(t, d, c)
	sub, sc := f.subscription("orders", "billing")
	f.applySubscription(t, sub, sc)
	f.append(t, "orders", 0, 3)
	f.do(t, "ZADD", layout.RedisIndex("orders", 0, "order/1"), 1, "1-1")

	// A server without slots joins: it needs the users before anything moves there.
	joined, err := s.AddNode(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f.nodes = append(f.nodes, joined)
	eventually(t, "the new server to be found without users", func() error { return f.lacks(t, d, c, joined.Addr) })
	f.applyStore(t, d, c)
	f.applySubscription(t, sub, sc)
	if err := f.sameUsers(t, 2, f.nodes...); err != nil {
		t.Fatal(err)
	}

	same := func(step string) {
		t.Helper()
		if err := f.inPlace(t, d, c); err != nil {
			t.Errorf("%s: %v", step, err)
		}
		if n := f.readStore(t, "orders").Records(); n != 3 {
			t.Errorf("%s: %d records, want 3", step, n)
		}
		r := f.backend.ReadSubscriptions(t.Context(), []backend.SubscriptionID{{Store: "orders", Name: "billing"}})[0]
		if r.Err != nil && strings.Contains(r.Err.Error(), "slots of the cluster are moving") {
			return // A script that names several keys has to wait until all are on one server.
		}
		if p := plan.Subscription(sub, r.Value, sc); r.Err != nil || len(p.Changes)+len(p.Refusals) > 0 {
			t.Errorf("%s: the subscription: %+v, %v", step, p, r.Err)
		}
	}
	events := f.move(t, layout.RedisEvents("orders", 0), joined)
	same("the slot of a partition begins to move")
	events.keys(t, layout.RedisEvents("orders", 0))
	same("the events have moved, and other keys of the slot have not")
	events.end(t)
	same("the slot has moved")
	f.readSubscription(t, "orders", "billing")
	marker := f.move(t, layout.RedisMarker("orders"), joined)
	d.MaxEventBytes = 77
	f.applyStore(t, d, c)
	marker.keys(t, layout.RedisMarker("orders"))
	d.MaxEventBytes = 78
	f.applyStore(t, d, c)
	same("the marker has moved")
	marker.end(t)

	// While a slot moves, nobody can tell whether all keys were found.
	again := f.move(t, layout.RedisEvents("orders", 0), s.Nodes[0])
	if err := f.backend.DeleteStores(t.Context(), stores("orders"))[0]; !errors.Is(err, errMoving) {
		t.Errorf("DeleteStores while a slot moves: %v, want %v", err, errMoving)
	}
	again.end(t)
	eventually(t, "the deletion", func() error { return f.backend.DeleteStores(t.Context(), stores("orders"))[0] })
	if err := f.backend.DeleteSubscriptions(t.Context(), subscriptions(backend.SubscriptionID{Store: "orders", Name: "billing"}))[0]; err != nil {
		t.Error(err)
	}
	for _, r := range f.nodes {
		if keys := f.server(t, r).Keys(t.Context(), "*").Val(); len(keys) > 0 {
			t.Errorf("%s still has %v", r.Addr, keys)
		}
	}
	if err := f.sameUsers(t, 0, f.nodes...); err != nil {
		t.Error(err)
	}
}

// TestClusterWithTLS reaches servers that tell clients of nothing but their TLS ports.
func TestClusterWithTLS(t *testing.T) {
	t.Parallel()
	f, _ := startCluster(t, broker.RedisGroupOptions{TLS: true})
	d, c := f.store("orders")
	f.applyStore(t, d, c)
	if err := f.inPlace(t, d, c); err != nil {
		t.Error(err)
	}
	if h, err := f.backend.Health(t.Context()); err != nil || strings.Contains(strings.Join(h.Warnings, " "), "cannot be reached") {
		t.Errorf("Health: %+v, %v", h, err)
	}
}

// TestClusterNeedsItsMode names the setting to those who take a server of a cluster for a server alone.
func TestClusterNeedsItsMode(t *testing.T) {
	t.Parallel()
	f, s := startCluster(t, broker.RedisGroupOptions{})
	b, err := New(redisclient.Config{Addresses: []string{s.Nodes[0].Addr}, Username: f.AdminUser, Password: f.AdminPassword})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if _, err := b.Health(t.Context()); err == nil || !strings.Contains(err.Error(), "set redis.mode to Cluster") {
		t.Errorf("Health: %v, want the mode to set", err)
	}
	for _, r := range b.ReadStores(t.Context(), []string{"a", "b", "c", "d", "e"}) {
		if r.Err != nil && !strings.Contains(r.Err.Error(), "set redis.mode to Cluster") {
			t.Errorf("ReadStores: %v, want the mode to set", r.Err)
		}
	}
}

// TestMasterLosesItsMemory restarts a master that has forgotten the cluster: it says that there is nobody but itself.
func TestMasterLosesItsMemory(t *testing.T) {
	t.Parallel()
	f, s := startCluster(t, broker.RedisGroupOptions{AppendOnly: true}) // It keeps its data: the replica follows it.
	d, c := f.store("orders")
	f.applyStore(t, d, c)
	f.awaitReplicas(t)
	top, err := f.backend.fleet.topology(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(s.Nodes, func(r *broker.Redis) bool { return r.Addr == top.servers[0].address })
	alone := s.Nodes[at] // The one that is asked first.
	if err := errors.Join(alone.Kill(), os.Remove(filepath.Join(alone.Dir, "nodes.conf")), alone.Restart(t.Context())); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the slots to have no server", func() error {
		h, err := f.backend.Health(t.Context())
		if err == nil && !strings.Contains(strings.Join(h.Warnings, "\n"), "slots of the cluster have no server") {
			err = fmt.Errorf("the warnings are %q", h.Warnings)
		}
		return err
	})
	// The others do not know where it is, and elect nobody for that: a person has to.
	if err := f.server(t, s.Nodes[at+3]).Do(t.Context(), "CLUSTER", "FAILOVER", "TAKEOVER").Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "its replica to have taken its place", func() error {
		f.backend.fleet.distrust()
		top, err := f.backend.fleet.topology(t.Context())
		if err != nil || top.served() < slotCount {
			return fmt.Errorf("%d slots are served: %w", top.served(), err)
		}
		return f.backend.ReadStores(t.Context(), []string{"orders"})[0].Err
	})
	if o := f.readStore(t, "orders"); !o.Marked {
		t.Errorf("the store after the failover: %+v, want its marker", o)
	}
}
