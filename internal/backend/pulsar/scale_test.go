package pulsar

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// scaled is how many stores TestRequests makes. PULSAR_STORES is for measuring more.
func scaled() int {
	if n, err := strconv.Atoi(os.Getenv("PULSAR_STORES")); err == nil {
		return n
	}
	return 10
}

// TestRequests proves what the capabilities page says observing costs.
func TestRequests(t *testing.T) {
	const partitions, each = 6, 2
	count := scaled()
	f := start(t, broker.PulsarOptions{Config: map[string]string{"managedLedgerNewEntriesCheckDelayInMillis": "0"}, Heap: "512m"})
	f.must(t, f.backend.ensureTenant(t.Context()))
	measure := func(what string, want int, do func()) {
		t.Helper()
		f.requests.take()
		begin := time.Now()
		do()
		took := time.Since(begin)
		n := f.requests.take()
		t.Logf("%s: %d requests, %s", what, n, took.Round(time.Millisecond))
		if n > want+count/2 { // Some that were not answered in time are sent again; one more for each would be seen.
			t.Errorf("%s: %d requests, want at most %d", what, n, want)
		}
	}
	none := func(errs []error) {
		t.Helper()
		for _, err := range errs {
			f.must(t, err)
		}
	}
	var changes []backend.StoreChange
	var subChanges []backend.SubscriptionChange
	var names []string
	var ids []backend.SubscriptionID
	for i := range count {
		n := fmt.Sprintf("scale.s%d", i)
		d, c := f.store(t, n)
		d.Partitions = partitions
		d.Settings, _ = f.backend.StoreSettings(d)
		changes = append(changes, backend.StoreChange{Desired: d, Changes: plan.Store(d, plan.ObservedStore{}, c).Changes})
		names = append(names, n)
		for j := range each {
			s, c := f.subscription(t, n, fmt.Sprintf("sub-%d", j))
			s.Settings = f.backend.SubscriptionSettings(s)
			o := plan.ObservedSubscription{Partitions: partitions}
			subChanges = append(subChanges, backend.SubscriptionChange{Desired: s, Observed: o, Changes: plan.Subscription(s, o, c).Changes})
			ids = append(ids, backend.SubscriptionID{Store: n, Name: s.Name})
		}
	}
	for i := range 10 {
		d, c := f.store(t, fmt.Sprintf("single.s%d", i))
		d.Partitions = partitions
		measure("create one store, from reading it to reading that it is complete", 3+3+partitions+3+partitions+1, func() { f.applyStore(t, d, c) })
	}
	measure(fmt.Sprintf("create %d stores", count), count*(3+partitions), func() { none(f.backend.ApplyStores(t.Context(), changes)) })
	read := func() {
		for i, r := range f.backend.ReadStores(t.Context(), names) {
			if r.Err != nil || len(r.Value.Logs) != partitions || r.Value.Principal != changes[i].Desired.Principal {
				t.Fatalf("store %q: %+v, %v", names[i], r.Value, r.Err)
			}
		}
	}
	measure(fmt.Sprintf("read %d stores for the first time", count), (3+partitions)*count, read)
	measure(fmt.Sprintf("read %d stores", count), 3*count, read)
	measure(fmt.Sprintf("create %d subscriptions", count*each), count*each*(9+partitions), func() { none(f.backend.ApplySubscriptions(t.Context(), subChanges)) })
	measure(fmt.Sprintf("read %d stores after every partition has changed", count), (3+each+partitions)*count, read)
	measure(fmt.Sprintf("read %d stores with their subscriptions' dead letters", count), (3+each)*count, read)
	readSubs := func(lag int64) {
		for i, r := range f.backend.ReadSubscriptions(t.Context(), ids) {
			if r.Err != nil || r.Value.Lag() != lag || r.Value.Principal != subChanges[i].Desired.Principal {
				t.Fatalf("subscription %q: %+v, %v", ids[i], r.Value, r.Err)
			}
		}
	}
	measure(fmt.Sprintf("read %d subscriptions", count*each), (3+2*each)*count, func() { readSubs(0) })
	for _, n := range names {
		f.append(t, n, 1, 1)
	}
	measure(fmt.Sprintf("read %d stores that have a new record each", count), (3+each+2)*count, read)
	measure("read them again", (3+each)*count, read)
	measure("read subscriptions that lag", (3+2*each)*count, func() { readSubs(1) })
	var subDeletions []backend.SubscriptionDeletion
	for i, id := range ids {
		subDeletions = append(subDeletions, backend.SubscriptionDeletion{ID: id, Owner: subChanges[i].Desired.Owner})
	}
	measure(fmt.Sprintf("fence %d stores that nobody writes", count), count*4, func() { none(f.backend.FenceStores(t.Context(), names)) })
	measure(fmt.Sprintf("delete %d subscriptions", count*each), count*each*(14+partitions), func() { none(f.backend.DeleteSubscriptions(t.Context(), subDeletions)) })
	var deletions []backend.StoreDeletion
	for i, n := range names {
		deletions = append(deletions, backend.StoreDeletion{Name: n, Owner: changes[i].Desired.Owner})
	}
	measure(fmt.Sprintf("delete %d stores", count), count*12, func() { none(f.backend.DeleteStores(t.Context(), deletions)) })
	var left []string
	f.must(t, f.backend.get(t.Context(), "test", "namespaces/"+f.tenant, &left))
	if len(left) != 10 {
		t.Errorf("namespaces that are left: %v, want the 10 that were not deleted", left)
	}
}

// TestReadsNoPayload proves that observing a store does not transfer what is in it.
func TestReadsNoPayload(t *testing.T) {
	f := start(t, broker.PulsarOptions{})
	d, c := f.store(t, "big")
	f.applyStore(t, d, c)
	topic := f.backend.fullName(d.Name, layout.PulsarPartition(layout.PulsarEvents, 0))
	f.must(t, produceLarge(t, f.client, topic, 4<<20))
	if o := f.readStore(t, d.Name); o.Records() != 1 || o.Bytes() < 4<<20 || o.Logs[0].Newest.IsZero() {
		t.Errorf("store with a record of 4 MiB: %+v", o.Logs)
	}
}
