package pulsar

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

func TestRemains(t *testing.T) {
	b := &Backend{}
	b.config.Tenant = "shop"
	for name, tc := range map[string]struct {
		reason string
		topics []string
		logs   bool
		want   string
	}{
		"Empty":  {reason: "Policies and permissions are somebody's too.", want: `namespace "shop/orders" without topics`},
		"Events": {reason: "Logs speak for themselves.", topics: []string{"events-partition-0", "events-partition-1"}, logs: true},
		"Virgin": {reason: "A topic in which nothing was written is somebody's too.", topics: []string{"events-partition-0"}, want: `topic "events" without records`},
		"Other":  {reason: "Whatever is there would be taken over.", topics: []string{"payments"}, want: `topic "payments"`},
		"Whole":  {reason: "A topic that is not partitioned is not ours, whatever its name.", topics: []string{"events"}, want: `topic "events"`},
		"Many": {
			reason: "The first is named, and the others are counted.",
			topics: []string{"events-partition-0", "payments-partition-0", "a", "snapshots-partition-0"}, want: `topic "a" and 2 more`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			all := topics{}
			for _, local := range tc.topics {
				all[local] = true
			}
			if diff := cmp.Diff(tc.want, b.remains("orders", all, tc.logs)); diff != "" {
				t.Errorf("%s\n-want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestIsPartitioned(t *testing.T) {
	for local, want := range map[string]bool{
		"events": true, "snapshots": true, "owner.2": true, "reader.owner.1": true,
		"owner.": false, "owner.x": false, "payments": false, "events2": false, "a.b.owner.1": false, "reader-dlq": false,
	} {
		if got := isPartitioned(local); got != want {
			t.Errorf("isPartitioned(%q) is %t, want %t", local, got, want)
		}
	}
}

// foreign creates a namespace that no provider has marked, with policies of its own.
func (f *fixture) foreign(t *testing.T, store string) {
	t.Helper()
	f.must(t, f.backend.ensureTenant(t.Context()))
	f.must(t, f.backend.put(t.Context(), "test", f.backend.namespace(store), map[string]any{
		"retention_policies": retention{Minutes: 90, Megabytes: 100}, "message_ttl_in_seconds": 7200,
	}))
}

// TestForeignNamespace finds namespaces that are somebody else's: nothing is taken over, and nothing changed, until a person
// confirms; and even then nothing is deleted that is not the store's.
func TestForeignNamespace(t *testing.T) {
	f := start(t, broker.PulsarOptions{})
	for name, tc := range map[string]struct {
		make func(store string) error
	}{
		"empty": {make: func(string) error { return nil }},
		"topic": {make: func(s string) error {
			return f.backend.put(t.Context(), "test", f.backend.topic(s, "payments"), map[string]string{})
		}},
		"partitioned": {make: func(s string) error { return f.backend.createPartitioned(t.Context(), "test", s, "payments", 2, nil) }},
		"snapshots":   {make: func(s string) error { return f.backend.createPartitioned(t.Context(), "test", s, "snapshots", 2, nil) }},
	} {
		t.Run(name, func(t *testing.T) {
			store := "foreign." + name
			d, c := f.store(t, store)
			early, p := f.planStore(t, d, c)
			if len(p.Refusals) > 0 {
				t.Fatalf("the plan refuses: %+v", p.Refusals)
			}
			f.foreign(t, store)
			f.must(t, tc.make(store))
			before := must2(f.backend.readNamespace(t.Context(), "test", store))
			if err := f.backend.ApplyStores(t.Context(), []backend.StoreChange{early})[0]; !errors.Is(err, backend.ErrConflict) {
				t.Errorf("ApplyStores of a plan from before somebody made the namespace: %v, want ErrConflict", err)
			}
			_, p = f.planStore(t, d, c)
			if len(p.Refusals) != 1 || p.Refusals[0].Reason != plan.ReasonUnowned || len(p.Changes) > 0 {
				t.Fatalf("plan: %+v, want a refusal, Unowned", p)
			}
			f.must(t, f.backend.DeleteStores(t.Context(), []backend.StoreDeletion{{Name: store, Owner: d.Owner}})[0])
			if diff := cmp.Diff(before.policies, must2(f.backend.readNamespace(t.Context(), "test", store)).policies); diff != "" {
				t.Errorf("the namespace was changed: -before, +after:\n%s", diff)
			}

			c.Confirm = p.Refusals[0].Token
			d.Snapshots = true
			change, _ := f.planStore(t, d, c)
			f.must(t, f.backend.ApplyStores(t.Context(), []backend.StoreChange{change})[0])
			n := must2(f.backend.readNamespace(t.Context(), "test", store))
			if *n.Retention != policyOf(plan.Retention{}, 1) || *n.TTL != 0 {
				t.Errorf("what was adopted forgets: retention %+v, time to live %d s", n.Retention, *n.TTL)
			}
		})
	}
}

// TestDeletionSparesOthers deletes a store in whose namespace somebody has made a topic.
func TestDeletionSparesOthers(t *testing.T) {
	f := start(t, broker.PulsarOptions{})
	for name, tc := range map[string]struct {
		make, remove func(store string) error
	}{
		"topic": {
			make: func(s string) error {
				return f.backend.put(t.Context(), "test", f.backend.topic(s, "payments"), map[string]string{})
			},
			remove: func(s string) error { return f.backend.deleteTopic(t.Context(), "test", s, "payments") },
		},
		"partitioned": {
			make:   func(s string) error { return f.backend.createPartitioned(t.Context(), "test", s, "payments", 2, nil) },
			remove: func(s string) error { return f.backend.deletePartitioned(t.Context(), "test", s, "payments") },
		},
	} {
		t.Run(name, func(t *testing.T) {
			d, c := f.store(t, "spared."+name)
			d.Snapshots = true
			f.applyStore(t, d, c)
			f.makeSubscription(t, d.Name, "reader")
			f.append(t, d.Name, 0, 2)
			f.must(t, tc.make(d.Name))
			deletion := []backend.StoreDeletion{{Name: d.Name, Owner: d.Owner}}
			err := f.backend.DeleteStores(t.Context(), deletion)[0]
			if err == nil || !strings.Contains(err.Error(), `topic "payments`) {
				t.Fatalf("DeleteStores: %v, want the topic that is in the way", err)
			}
			if o := f.applyStore(t, d, c); o.Records() != 2 || o.Principal != d.Principal {
				t.Errorf("the store was hurt: %+v", o)
			}
			f.must(t, tc.remove(d.Name))
			f.must(t, f.backend.DeleteStores(t.Context(), deletion)[0])
			if f.readStore(t, d.Name).Exists() {
				t.Error("the store exists after it was deleted")
			}
		})
	}
}

// TestAdoptsPartitions adopts a topic that somebody has made.
func TestAdoptsPartitions(t *testing.T) {
	f := start(t, broker.PulsarOptions{})
	d, c := f.store(t, "adopted.partitions")
	f.foreign(t, d.Name)
	f.must(t, f.backend.createPartitioned(t.Context(), "test", d.Name, layout.PulsarEvents, 3, nil))
	f.append(t, d.Name, 1, 2)
	d.Partitions = 6
	_, p := f.planStore(t, d, c)
	c.Confirm = p.Refusals[0].Token
	_, p = f.planStore(t, d, c)
	if len(p.Refusals) != 1 || p.Refusals[0].Reason != plan.ReasonPartitionsChanged {
		t.Errorf("plan: %+v, want a refusal, PartitionsChanged", p)
	}
	d.Partitions = 0
	change, _ := f.planStore(t, d, c)
	f.must(t, f.backend.ApplyStores(t.Context(), []backend.StoreChange{change})[0])
	if o := f.applyStore(t, d, c); o.Partitions != 3 || o.Records() != 2 || o.Grown != 0 {
		t.Errorf("adopted: %+v, want 3 partitions with 2 records", o)
	}
}
