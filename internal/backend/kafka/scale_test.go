package kafka

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// A crowd is many stores, each with a subscription.
type crowd struct {
	names   []string
	ids     []backend.SubscriptionID
	stores  []backend.StoreChange
	readers []backend.SubscriptionChange
}

func (f *fixture) crowd(prefix string, n, partitions int, snapshots bool) (c crowd) {
	for i := range n {
		name := fmt.Sprintf("%s.s%d", prefix, i)
		d, pc := f.store(name)
		d.Partitions, d.Snapshots = partitions, snapshots
		d.Settings, _ = f.backend.StoreSettings(d)
		c.names = append(c.names, name)
		c.stores = append(c.stores, backend.StoreChange{Desired: d, Changes: plan.Store(d, plan.ObservedStore{}, pc).Changes, Password: passwordOf(name)})
		s, pc := f.subscription(name, "reader")
		s.Settings = f.backend.SubscriptionSettings(s)
		o := plan.ObservedSubscription{Partitions: partitions}
		c.ids = append(c.ids, backend.SubscriptionID{Store: name, Name: "reader"})
		c.readers = append(c.readers, backend.SubscriptionChange{Desired: s, Observed: o, Changes: plan.Subscription(s, o, pc).Changes, Password: passwordOf(name + "reader")})
	}
	return c
}

// measure counts requests, by kind, and logs how long they took.
func (f *fixture) measure(t *testing.T, what string, do func()) (seen map[string]int, total int) {
	t.Helper()
	f.requests.take()
	begin := time.Now()
	do()
	took := time.Since(begin)
	seen, total = f.requests.take()
	var kinds []string
	for _, k := range slices.Sorted(maps.Keys(seen)) {
		kinds = append(kinds, fmt.Sprintf("%s %d", k, seen[k]))
	}
	t.Logf("%s: %s, %d requests: %s", what, took.Round(time.Millisecond), total, strings.Join(kinds, ", "))
	return seen, total
}

func none(t *testing.T, errs []error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestRequests proves that reading costs a handful of requests for any number of resources, and that what changes goes out in
// batches. How often is asked whether the cluster is ready depends on the machine.
func TestRequests(t *testing.T) {
	const count = 1000
	f := startOwn(t, broker.KafkaOptions{Heap: "512m"})
	f.backend.shared.lifetime = time.Minute // A busy machine may take longer for the first half of a refresh.
	c := f.crowd("scale", count, 1, false)
	atMost := func(what string, seen map[string]int, limits map[string]int) {
		t.Helper()
		for kind, n := range limits {
			if seen[kind] > n {
				t.Errorf("%s: %d requests %s, want at most %d", what, seen[kind], kind, n)
			}
		}
	}
	seen, _ := f.measure(t, "create 1,000 stores", func() { none(t, f.backend.ApplyStores(t.Context(), c.stores)) })
	atMost("create", seen, map[string]int{"CreateTopics": 2 + 1, "CreateACLs": 5*count/entriesPerRequest + 1 + 1, "AlterUserSCRAMCredentials": 2, "IncrementalAlterConfigs": 0, "DescribeConfigs": 0})
	seen, _ = f.measure(t, "create 1,000 subscriptions", func() { none(t, f.backend.ApplySubscriptions(t.Context(), c.readers)) })
	atMost("subscribe", seen, map[string]int{"CreateTopics": 2, "CreateACLs": 6*count/entriesPerRequest + 1, "AlterUserSCRAMCredentials": 1, "OffsetCommit": count, "ListOffsets": 4, "IncrementalAlterConfigs": 0})

	f.measure(t, "read 1,000 stores for the first time", func() { f.backend.ReadStores(t.Context(), c.names) })
	stores := func() {
		for i, r := range f.backend.ReadStores(t.Context(), c.names) {
			if r.Err != nil || len(r.Value.Logs) != 1 || r.Value.Principal != c.stores[i].Desired.Principal || r.Value.Unavailable != "" {
				t.Fatalf("store %q: %+v, %v", c.names[i], r.Value, r.Err)
			}
		}
	}
	subscriptionsOf := func() {
		for i, r := range f.backend.ReadSubscriptions(t.Context(), c.ids) {
			if r.Err != nil || len(r.Value.Groups) != 1 || r.Value.Principal != c.readers[i].Desired.Principal || r.Value.Unavailable != "" {
				t.Fatalf("subscription %q: %+v, %v", c.ids[i], r.Value, r.Err)
			}
		}
	}
	if _, n := f.measure(t, "read 1,000 stores", stores); n > 8 {
		t.Errorf("reading stores took %d requests, want at most 8", n)
	}
	if _, n := f.measure(t, "and then 1,000 subscriptions", subscriptionsOf); n > 4 {
		t.Errorf("reading subscriptions right after stores took %d requests, want at most 4", n)
	}
	if _, n := f.measure(t, "read 1,000 subscriptions alone", subscriptionsOf); n > 9 {
		t.Errorf("reading subscriptions alone took %d requests, want at most 9", n)
	}
	if _, n := f.measure(t, "read 1 store", func() { f.readStore(t, c.names[0]) }); n > 9 {
		t.Errorf("reading one store took %d requests, want at most 9", n)
	}
	f.proveTraffic(t, c)
	seen, _ = f.measure(t, "delete 1,000 subscriptions", func() {
		none(t, f.backend.DeleteSubscriptions(t.Context(), subscriptions(c.ids...)))
	})
	atMost("unsubscribe", seen, map[string]int{"DeleteTopics": 1, "DeleteGroups": 1, "DeleteACLs": count / filtersPerRequest, "AlterUserSCRAMCredentials": 1})
	seen, _ = f.measure(t, "delete 1,000 stores", func() { none(t, f.backend.DeleteStores(t.Context(), storesOf(c))) })
	atMost("delete", seen, map[string]int{"DeleteTopics": 2, "DeleteACLs": count / filtersPerRequest, "AlterUserSCRAMCredentials": 1})
}

func storesOf(c crowd) []backend.StoreDeletion { return stores(c.names...) }

// proveTraffic appends to some of the stores. Only those are asked for anything more, in one request for each kind.
func (f *fixture) proveTraffic(t *testing.T, c crowd) {
	t.Helper()
	for _, n := range c.names[:100] {
		f.append(t, n, 0, 1)
	}
	seen, n := f.measure(t, "read 1,000 stores, of which 100 have new records", func() {
		for i, r := range f.backend.ReadStores(t.Context(), c.names) {
			var want int64
			if i < 100 {
				want = 1
			}
			if r.Value.Records() != want || want == 1 && r.Value.Logs[0].Newest.IsZero() {
				t.Fatalf("store %q: %+v, want %d records", c.names[i], r.Value, want)
			}
		}
	})
	if n > 8+3 || seen["Fetch"] > 2 || seen["ListOffsets"] > 3 || seen["DescribeLogDirs"] > 1 {
		t.Errorf("reading stores with new records took %d requests", n)
	}
	seen, n = f.measure(t, "and then 1,000 subscriptions, of which 100 lag", func() {
		for i, r := range f.backend.ReadSubscriptions(t.Context(), c.ids) {
			if want := min(1, max(0, int64(100-i))); r.Value.Lag() != want || want == 1 && r.Value.Groups[0].OldestUnread.IsZero() {
				t.Fatalf("subscription %q: %+v, want lag %d", c.ids[i], r.Value, want)
			}
		}
	})
	if n > 4+1 || seen["Fetch"] > 1 {
		t.Errorf("reading subscriptions that lag took %d requests", n)
	}
	if _, n := f.measure(t, "both again", func() {
		f.backend.ReadStores(t.Context(), c.names)
		f.backend.ReadSubscriptions(t.Context(), c.ids)
	}); n > 12 {
		t.Errorf("a refresh without anything new took %d requests, want at most 12", n)
	}
}
