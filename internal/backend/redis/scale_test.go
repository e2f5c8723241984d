package redis

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// calls returns how often the server ran each command since the last CONFIG RESETSTAT, those of scripts included.
func (f *fixture) calls(t *testing.T) map[string]int {
	t.Helper()
	calls := map[string]int{}
	for k, v := range parseInfo(f.admin.Info(t.Context(), "commandstats").Val()) {
		n, _, _ := strings.Cut(strings.TrimPrefix(v, "calls="), ",")
		calls[strings.TrimPrefix(k, "cmdstat_")], _ = strconv.Atoi(n)
	}
	return calls
}

// TestRoundTrips proves that reading costs a handful of round trips for any number of resources, and no payloads.
func TestRoundTrips(t *testing.T) {
	const count, each = 1000, 2
	f := start(t, broker.RedisOptions{})
	measure := func(what string, wantTrips int, do func()) {
		t.Helper()
		f.trips.take()
		f.do(t, "CONFIG", "RESETSTAT")
		begin := time.Now()
		do()
		took := time.Since(begin)
		trips, commands := f.trips.take()
		out := parseInfo(f.admin.Info(t.Context(), "stats").Val())["total_net_output_bytes"]
		t.Logf("%s: %d round trips, %d commands, %s bytes of replies, %s", what, trips, commands, out, took.Round(time.Millisecond))
		if trips > wantTrips {
			t.Errorf("%s: %d round trips, want at most %d", what, trips, wantTrips)
		}
	}

	var changes []backend.StoreChange
	var subChanges []backend.SubscriptionChange
	var names []string
	var ids []backend.SubscriptionID
	for i := range count {
		n := fmt.Sprintf("scale.s%d", i)
		d, c := f.store(n)
		o := plan.ObservedStore{}
		changes = append(changes, backend.StoreChange{Desired: d, Changes: plan.Store(d, o, c).Changes, Password: password(n)})
		names = append(names, n)
		for j := range each {
			s, c := f.subscription(n, fmt.Sprintf("sub-%d", j))
			o := plan.ObservedSubscription{Partitions: d.Partitions}
			subChanges = append(subChanges, backend.SubscriptionChange{Desired: s, Observed: o, Changes: plan.Subscription(s, o, c).Changes, Password: password(n + s.Name)})
			ids = append(ids, backend.SubscriptionID{Store: n, Name: s.Name})
		}
	}
	none := func(errs []error) {
		t.Helper()
		for _, err := range errs {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	chunks := func(n int) int { return (n + resourcesPerPipeline - 1) / resourcesPerPipeline }
	measure("create 1,000 stores", 5*chunks(count), func() { none(f.backend.ApplyStores(t.Context(), changes)) })
	measure("create 2,000 subscriptions", 6*chunks(count*each), func() { none(f.backend.ApplySubscriptions(t.Context(), subChanges)) })
	payload := strings.Repeat("x", 10_000)
	for _, n := range names {
		f.do(t, "XADD", layout.RedisEvents(n, 1), "*", "d", payload)
	}
	measure("read 1,000 stores", 1+2*chunks(count), func() {
		for i, r := range f.backend.ReadStores(t.Context(), names) {
			if r.Err != nil || r.Value.Records() != 1 || r.Value.Principal != changes[i].Desired.Principal {
				t.Fatalf("store %q: %+v, %v", names[i], r.Value, r.Err)
			}
		}
	})
	if n := len(f.calls(t)); n > 20 {
		t.Errorf("reading stores used %d kinds of commands: %v", n, f.calls(t))
	}
	measure("read 2,000 subscriptions for the first time", 2*chunks(count*each), func() {
		for i, r := range f.backend.ReadSubscriptions(t.Context(), ids) {
			if r.Err != nil || r.Value.Lag() != 1 || r.Value.Principal != subChanges[i].Desired.Principal {
				t.Fatalf("subscription %q: %+v, %v", ids[i], r.Value, r.Err)
			}
		}
	})
	f.proveTurns(t, ids, subChanges)
	measure("read 2,000 subscriptions again", 1+2*chunks(count*each), func() { f.backend.ReadSubscriptions(t.Context(), ids) })
	measure("read one store", 2, func() { f.readStore(t, names[0]) })
	measure("read one subscription", 2, func() { f.readSubscription(t, names[0], "sub-0") })
	measure("maintain 1,000 stores", 3*chunks(count)+1, func() { none([]error{f.backend.Maintain(t.Context(), names)}) })
	measure("delete 2,000 subscriptions", 5*chunks(count*each), func() { none(f.backend.DeleteSubscriptions(t.Context(), subscriptions(ids...))) })
	measure("delete 1,000 stores", 1000, func() { none(f.backend.DeleteStores(t.Context(), stores(names...))) })
	if n := f.admin.DBSize(t.Context()).Val(); n != 0 {
		t.Errorf("%d keys are left: %.500v", n, f.admin.Keys(t.Context(), "*").Val())
	}
	users, err := f.admin.ACLList(t.Context()).Result()
	if err != nil || len(users) != 2 {
		t.Errorf("%d users are left, %v, want the administrator and default", len(users), err)
	}
}

// proveTurns changes users behind the backend's back: one that is gone is found at once, one with other rights when its
// turn comes, and one that was just written at once, although there are more than are looked at closely.
func (f *fixture) proveTurns(t *testing.T, ids []backend.SubscriptionID, changes []backend.SubscriptionChange) {
	t.Helper()
	user := func(i int) string { return layout.SubscriptionPrincipal(ids[i].Store, ids[i].Name) }
	read := func() []backend.Result[plan.ObservedSubscription] {
		return f.backend.ReadSubscriptions(t.Context(), ids)
	}
	changed := func(r []backend.Result[plan.ObservedSubscription], i int) bool {
		return r[i].Err != nil || r[i].Value.Principal != changes[i].Desired.Principal
	}
	read()
	f.do(t, "ACL", "DELUSER", user(7))
	f.do(t, "ACL", "DELUSER", user(1993))
	if r := read(); r[7].Value.Principal != (plan.Principal{}) || r[1993].Value.Principal != (plan.Principal{}) {
		t.Errorf("users that are gone were seen: %+v, %+v", r[7].Value.Principal, r[1993].Value.Principal)
	}
	f.do(t, "ACL", "SETUSER", user(11), "+flushall")
	f.do(t, "ACL", "SETUSER", user(1989), ">another")
	seen11, seen1989 := false, false
	for range (len(ids) + usersPerRead - 1) / usersPerRead {
		r := read()
		seen11, seen1989 = seen11 || changed(r, 11), seen1989 || changed(r, 1989)
	}
	if !seen11 || !seen1989 {
		t.Errorf("changed users were found within their turn: %t, %t, want both", seen11, seen1989)
	}
	for _, i := range []int{7, 11, 1989, 1993} {
		c := changes[i]
		c.Changes = []plan.Change{{Field: plan.FieldPrincipal}}
		if err := f.backend.ApplySubscriptions(t.Context(), []backend.SubscriptionChange{c})[0]; err != nil {
			t.Fatal(err)
		}
	}
	r := read()
	for _, i := range []int{7, 11, 1989, 1993} {
		if changed(r, i) {
			t.Errorf("the user of %s, just repaired: %+v", ids[i], r[i].Value.Principal)
		}
	}
}

// TestReadSendsNoPayload proves that observing a log does not transfer what is in it.
func TestReadSendsNoPayload(t *testing.T) {
	f := start(t, broker.RedisOptions{})
	d, c := f.store("big")
	f.applyStore(t, d, c)
	s, c := f.subscription("big", "reader")
	f.applySubscription(t, s, c)
	for range 3 {
		f.do(t, "XADD", layout.RedisEvents("big", 0), "*", "d", strings.Repeat("x", 1<<20))
	}
	f.do(t, "CONFIG", "RESETSTAT")
	f.readStore(t, "big")
	f.readSubscription(t, "big", "reader")
	out := parseInfo(f.admin.Info(t.Context(), "stats").Val())["total_net_output_bytes"]
	if n, err := strconv.Atoi(out); err != nil || n > 20_000 {
		t.Errorf("reading transferred %s bytes (%v), want less than 20000", out, err)
	}
}

// TestCommandsForOneStore counts what the server carries out while stores are made one by one, commands of scripts included.
func TestCommandsForOneStore(t *testing.T) {
	const count = 100
	f := start(t, broker.RedisOptions{})
	measure := func(what string, want int, do func(name string)) {
		t.Helper()
		f.readStore(t, "warm") // What the server says of itself is asked for once a second, whoever asks.
		f.do(t, "CONFIG", "RESETSTAT")
		for i := range count {
			do(fmt.Sprintf("store-%d", i))
		}
		total := 0
		calls := f.calls(t)
		for _, name := range []string{"info", "config|get", "config|resetstat", "acl|dryrun"} {
			delete(calls, name)
		}
		for _, n := range calls {
			total += n
		}
		t.Logf("%s: %d commands each: %v", what, total/count, calls)
		if total > want*count {
			t.Errorf("%s: %d commands for %d stores, want at most %d each", what, total, count, want)
		}
	}
	measure("create, and read before and after", 24, func(name string) {
		d, c := f.store(name)
		d.Partitions = 1
		f.applyStore(t, d, c)
	})
	measure("read", 6, func(name string) { f.readStore(t, name) })
}

// TestRoundTripsToServers proves that several servers cost a pipeline each, for any number of stores.
func TestRoundTripsToServers(t *testing.T) {
	t.Parallel()
	sentinel, _ := startSentinel(t, broker.RedisGroupOptions{})
	cluster, _ := startCluster(t, broker.RedisGroupOptions{})
	for name, f := range map[string]*fixture{"Sentinel": sentinel, "Cluster": cluster} {
		t.Run(name, func(t *testing.T) {
			var changes []backend.StoreChange
			var names []string
			for i := range resourcesPerPipeline {
				n := fmt.Sprintf("scale.s%d", i)
				d, c := f.store(n)
				changes = append(changes, backend.StoreChange{Desired: d, Changes: plan.Store(d, plan.ObservedStore{}, c).Changes, Password: password(n)})
				names = append(names, n)
			}
			measure := func(what string, want int, do func()) {
				t.Helper()
				f.trips.take()
				begin := time.Now()
				do()
				trips, commands := f.trips.take()
				t.Logf("%s: %d pipelines to %d servers, %d commands, %s", what, trips, len(f.nodes), commands, time.Since(begin).Round(time.Millisecond))
				if trips > want*len(f.nodes) {
					t.Errorf("%s: %d pipelines, want at most %d to each server", what, trips, want)
				}
			}
			measure("create 500 stores", 5, func() {
				if err := cmpErr(f.backend.ApplyStores(t.Context(), changes)...); err != nil {
					t.Fatal(err)
				}
			})
			measure("read 500 stores", 2, func() {
				for i, r := range f.backend.ReadStores(t.Context(), names) {
					if r.Err != nil || r.Value.Principal != changes[i].Desired.Principal {
						t.Fatalf("%+v, %v", r.Value, r.Err)
					}
				}
			})
			measure("read one store", 2, func() { f.readStore(t, names[0]) })
			measure("maintain 500 stores", 4, func() {
				if err := f.backend.Maintain(t.Context(), names); err != nil {
					t.Fatal(err)
				}
			})
		})
	}
}
