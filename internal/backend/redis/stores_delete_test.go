package redis

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// crashing returns a backend that makes so many round trips, and no more.
func (f *fixture) crashing(t *testing.T, trips int) (*Backend, context.Context) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	b, err := New(f.config(f.AdminUser, f.AdminPassword), WithObserver(func(string, int) {
		if trips--; trips < 0 {
			cancel()
		}
	}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b, ctx
}

// TestDeletionIsInterrupted crashes after each round trip of a deletion. Nobody else may have what is left, and the
// resource, made anew even, finishes.
func TestDeletionIsInterrupted(t *testing.T) {
	f := start(t, broker.RedisOptions{ACLFile: true})
	for trips := 0; ; trips++ {
		d, c := f.store(fmt.Sprintf("store-%d", trips))
		f.applyStore(t, d, c)
		s, sc := f.subscription(d.Name, "reader")
		f.applySubscription(t, s, sc)
		f.append(t, d.Name, 0, 3)
		b, ctx := f.crashing(t, trips)
		if err := b.DeleteStores(ctx, stores(d.Name))[0]; err == nil {
			if trips < 4 {
				t.Errorf("a deletion took %d round trips, want at least 4", trips)
			}
			return
		}
		t.Run(fmt.Sprintf("After%d", trips), func(t *testing.T) {
			heir := d
			heir.Owner.Name, heir.Owner.UID = "heir", "uid-of-heir"
			o := f.readStore(t, d.Name)
			claim := backend.StoreChange{Desired: heir, Observed: o, Changes: []plan.Change{{Field: plan.FieldOwner}}}
			if !o.Marked {
				t.Fatal("the marker is gone, and the deletion has not succeeded")
			}
			begun := trips > 0 // The first round trip is the one that begins the deletion.
			if begun {
				if err := f.backend.ApplyStores(t.Context(), []backend.StoreChange{claim})[0]; !errors.Is(err, backend.ErrConflict) {
					t.Errorf("somebody else claims what is being deleted: %v, want ErrConflict", err)
				}
			}
			anew := stores(d.Name)
			anew[0].Owner.UID = "uid-of-the-new-resource"
			if err := f.backend.DeleteStores(t.Context(), anew)[0]; err != nil {
				t.Error(err)
			}
			if err := f.backend.DeleteSubscriptions(t.Context(), subscriptions(backend.SubscriptionID{Store: d.Name, Name: "reader"}))[0]; err != nil {
				t.Error(err)
			}
			if keys := f.admin.Keys(t.Context(), "*").Val(); len(keys) > 0 {
				t.Errorf("keys are left: %v", keys)
			}
			if users := f.admin.ACLUsers(t.Context()).Val(); len(users) != 2 {
				t.Errorf("users are left: %v", users)
			}
		})
	}
}

// TestDeletionIsCalledOff makes a resource anew whose deletion was interrupted.
func TestDeletionIsCalledOff(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		state  string
		want   error
	}{
		"Begun":     {reason: "Nothing is gone yet, so the new resource may keep everything.", state: "begun"},
		"Destroyed": {reason: "Half a store looks like a whole one that has forgotten: it is not brought back to life.", state: "destroyed", want: backend.ErrConflict},
	} {
		t.Run(name, func(t *testing.T) {
			f := start(t, broker.RedisOptions{})
			d, c := f.store("orders")
			f.applyStore(t, d, c)
			f.append(t, "orders", 0, 2)
			f.do(t, "HSET", layout.RedisMarker("orders"), fieldDeletion, tc.state)
			old := doomed{marker: layout.RedisMarker("orders"), owner: d.Owner, marked: true}

			d.Owner.UID = "uid-of-the-new-resource"
			o := f.readStore(t, "orders")
			change := backend.StoreChange{Desired: d, Observed: o, Changes: plan.Store(d, o, c).Changes, Password: password("orders")}
			if err := f.backend.ApplyStores(t.Context(), []backend.StoreChange{change})[0]; !errors.Is(err, tc.want) {
				t.Fatalf("%s\nApplyStores: %v, want %v", tc.reason, err, tc.want)
			}
			if tc.want != nil {
				return
			}
			// What is still under way of the deletion destroys nothing any more.
			errs := make([]error, 1)
			late := search{b: f.backend, doomed: []doomed{old}, errs: errs, found: map[int][]string{0: {layout.RedisEvents("orders", 0)}}}
			if err := late.destroy(t.Context()); err != nil {
				t.Error(err)
			}
			if o := f.readStore(t, "orders"); !errors.Is(errs[0], backend.ErrConflict) || o.Records() != 2 {
				t.Errorf("%s\na deletion that was called off: %v, %d records are left, want ErrConflict and 2", tc.reason, errs[0], o.Records())
			}
		})
	}
}

// TestSubscriptionWithoutMarkerLeavesTheSet deletes a store one of whose subscriptions has lost its marker.
func TestSubscriptionWithoutMarkerLeavesTheSet(t *testing.T) {
	f := start(t, broker.RedisOptions{})
	d, c := f.store("orders")
	f.applyStore(t, d, c)
	for _, n := range []string{"whole", "lost"} {
		s, c := f.subscription("orders", n)
		f.applySubscription(t, s, c)
	}
	f.do(t, "DEL", layout.RedisSubscriptionMarker("orders", "lost"))
	if err := f.backend.DeleteStores(t.Context(), stores("orders"))[0]; err != nil {
		t.Fatal(err)
	}
	if m := f.admin.SMembers(t.Context(), layout.RedisSubscriptions("orders")).Val(); len(m) != 1 || m[0] != "whole" {
		t.Errorf("subscriptions after the store was deleted: %v, want the one with a marker", m)
	}
}

// TestOnlyTheUserIsLeft deletes a store that has lost its marker: its user goes, and what is there of data stays.
func TestOnlyTheUserIsLeft(t *testing.T) {
	for name, start := range map[string]func(t *testing.T) *fixture{
		"Standalone": func(t *testing.T) *fixture { return start(t, broker.RedisOptions{ACLFile: true}) },
		"Sentinel": func(t *testing.T) *fixture {
			f, _ := startSentinel(t, broker.RedisGroupOptions{SentinelPassword: true})
			return f
		},
		"Cluster": func(t *testing.T) *fixture { f, _ := startCluster(t, broker.RedisGroupOptions{}); return f },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := start(t)
			d, c := f.store("orders")
			f.applyStore(t, d, c)
			f.append(t, "orders", 1, 2)
			f.do(t, "DEL", layout.RedisMarker("orders"))
			if err := f.backend.FenceStores(t.Context(), []string{"orders"})[0]; err != nil {
				t.Fatal(err)
			}
			login := f.loginEverywhere(t)
			if err := login(t.Context(), d.Principal.Name, password("orders")); err == nil {
				t.Error("a fenced application logs in")
			}
			if o := f.readStore(t, "orders"); o.Marked || o.Records() != 2 || o.Principal.Name != d.Principal.Name {
				t.Errorf("observed: %+v, want two records and a user without marker", o)
			}
			for range 2 {
				if err := f.backend.DeleteStores(t.Context(), stores("orders"))[0]; err != nil {
					t.Fatal(err)
				}
			}
			if err := f.sameUsers(t, 0, f.nodes...); err != nil {
				t.Error(err)
			}
			if o := f.readStore(t, "orders"); o.Records() != 2 || o.Principal != (plan.Principal{}) {
				t.Errorf("observed: %+v, want two records and no user", o)
			}
		})
	}
}
