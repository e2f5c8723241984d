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

// measure counts requests and time.
func (f *fixture) measure(t *testing.T, what string, do func()) (requests int) {
	t.Helper()
	f.requests.take()
	begin := time.Now()
	do()
	took := time.Since(begin)
	seen, n := f.requests.take()
	var kinds []string
	for _, k := range slices.Sorted(maps.Keys(seen)) {
		kinds = append(kinds, fmt.Sprintf("%s %d", k, seen[k]))
	}
	t.Logf("%s: %s, %d requests: %s", what, took.Round(time.Millisecond), n, strings.Join(kinds, ", "))
	return n
}

func none(t *testing.T, errs []error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestScaleMeasure(t *testing.T) {
	f := startOwn(t, broker.KafkaOptions{Heap: "512m"})
	for _, tc := range []struct {
		n, partitions int
		snapshots     bool
	}{{1000, 1, false}, {1000, 1, true}} {
		c := f.crowd(fmt.Sprintf("p%d.%t", tc.partitions, tc.snapshots), tc.n, tc.partitions, tc.snapshots)
		what := fmt.Sprintf("%d stores, %d partitions, snapshots %t", tc.n, tc.partitions, tc.snapshots)
		f.measure(t, "create "+what, func() { none(t, f.backend.ApplyStores(t.Context(), c.stores)) })
		for range 3 {
			f.measure(t, "read "+what, func() {
				for i, r := range f.backend.ReadStores(t.Context(), c.names) {
					if r.Err != nil || len(r.Value.Logs) != tc.partitions || r.Value.Principal != c.stores[i].Desired.Principal {
						t.Fatalf("%s: %+v, %v", c.names[i], r.Value, r.Err)
					}
				}
			})
		}
		f.measure(t, "read 1 store", func() { f.readStore(t, c.names[0]) })
		f.measure(t, "subscribe", func() { none(t, f.backend.ApplySubscriptions(t.Context(), c.readers)) })
		for range 3 {
			f.measure(t, "read subscriptions", func() {
				for i, r := range f.backend.ReadSubscriptions(t.Context(), c.ids) {
					if r.Err != nil || len(r.Value.Groups) != tc.partitions {
						t.Fatalf("%s: %+v, %v", c.ids[i], r.Value, r.Err)
					}
				}
			})
		}
		for range 3 {
			f.measure(t, "refresh both", func() {
				f.backend.ReadStores(t.Context(), c.names)
				f.backend.ReadSubscriptions(t.Context(), c.ids)
			})
		}
		b := f.open(t, f.config(t))
		begin := time.Now()
		r := b.ReadStores(t.Context(), c.names[:1])
		t.Logf("first read of a new backend: %s, %v", time.Since(begin), r[0].Err)
		f.measure(t, "unsubscribe", func() { none(t, f.backend.DeleteSubscriptions(t.Context(), subscriptions(c.ids...))) })
		f.measure(t, "delete", func() { none(t, f.backend.DeleteStores(t.Context(), stores(c.names...))) })
	}
}
