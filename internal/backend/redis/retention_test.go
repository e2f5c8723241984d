package redis

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// fill adds records that were appended so long ago, and as many now.
func (f *fixture) fill(t *testing.T, key string, records int, ago time.Duration) {
	t.Helper()
	now, err := f.admin.Time(t.Context()).Result()
	if err != nil {
		t.Fatal(err)
	}
	old := now.Add(-ago).UnixMilli()
	p := f.admin.Pipeline()
	for i := range records {
		p.Do(t.Context(), "XADD", key, fmt.Sprintf("%d-%d", old, i+1), "d", strings.Repeat("x", 100))
	}
	for range records {
		p.Do(t.Context(), "XADD", key, "*", "d", strings.Repeat("x", 100))
	}
	if _, err := p.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestMaintainKeepsWhatTheMarkerSays(t *testing.T) {
	const records = 1000
	cases := map[string]struct {
		reason   string
		marker   plan.Retention
		fields   []any // Written into the marker afterwards.
		min, max int64 // Records that are left in the one partition.
	}{
		"Unlimited": {reason: "A store that keeps everything keeps everything.", min: 2 * records, max: 2 * records},
		"Duration": {
			reason: "What is older goes, up to the block that begins within the retention.",
			marker: plan.Retention{Duration: time.Hour}, min: records, max: records + 200,
		},
		"LongDuration": {reason: "Nothing is that old.", marker: plan.Retention{Duration: 100 * time.Hour}, min: 2 * records, max: 2 * records},
		"Bytes": {
			reason: "The oldest go until the rest fits.",
			marker: plan.Retention{Bytes: 50_000}, min: 100, max: 600,
		},
		"ManyBytes": {reason: "All of it fits.", marker: plan.Retention{Bytes: 1 << 30}, min: 2 * records, max: 2 * records},
		"SourcingWithRetention": {
			reason: "A marker that contradicts itself is no reason to destroy events: the kind decides.",
			fields: []any{fieldRetention, "1s", fieldBytes, "1"}, min: 2 * records, max: 2 * records,
		},
		"NewerLayout": {
			reason: "What a newer provider means by its fields is its own business.",
			marker: plan.Retention{Duration: time.Hour}, fields: []any{"layout", layout.Version + 1}, min: 2 * records, max: 2 * records,
		},
		"Damaged": {
			reason: "A retention that cannot be read trims nothing.",
			marker: plan.Retention{Duration: time.Hour}, fields: []any{fieldRetention, "soon"}, min: 2 * records, max: 2 * records,
		},
		"Negative": {
			reason: "A negative retention would trim the future.",
			marker: plan.Retention{Duration: time.Hour}, fields: []any{fieldRetention, "-1h"}, min: 2 * records, max: 2 * records,
		},
	}
	f := start(t, broker.RedisOptions{})
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			d, c := f.store(strings.ToLower(name))
			d.Partitions, d.Retention = 1, tc.marker
			f.applyStore(t, d, c)
			key := layout.RedisEvents(d.Name, 0)
			f.fill(t, key, records, 2*time.Hour)
			for i := 0; i < len(tc.fields); i += 2 {
				f.do(t, "HSET", layout.RedisMarker(d.Name), tc.fields[i], tc.fields[i+1])
			}
			for range 5 {
				_ = f.backend.Maintain(t.Context(), []string{d.Name}) // A damaged marker is an error, tested below.
			}
			if n := f.admin.XLen(t.Context(), key).Val(); n < tc.min || n > tc.max {
				t.Errorf("%s\n%d records are left, want %d to %d", tc.reason, n, tc.min, tc.max)
			}
		})
	}
	err := f.backend.Maintain(t.Context(), []string{"damaged", "unlimited", "absent", "Not A Name"})
	if err == nil || !strings.Contains(err.Error(), `cannot maintain store "damaged"`) || strings.Contains(err.Error(), "unlimited") {
		t.Errorf("Maintain: %v, want an error for the damaged store alone", err)
	}
}

// TestRefusedRetentionTrimsNothing applies the other changes of a spec whose shorter retention was refused.
func TestRefusedRetentionTrimsNothing(t *testing.T) {
	f := start(t, broker.RedisOptions{})
	d, c := f.store("orders")
	d.Partitions = 1
	f.applyStore(t, d, c)
	f.fill(t, layout.RedisEvents("orders", 0), 500, 2*time.Hour)

	d.Retention, d.Snapshots = plan.Retention{Duration: time.Second, Bytes: 1}, true
	o := f.readStore(t, "orders")
	p := plan.Store(d, o, c)
	if len(p.Refusals) != 2 || len(p.Changes) != 1 {
		t.Fatalf("plan: %+v, want two refusals and one change", p)
	}
	if err := f.backend.ApplyStores(t.Context(), []backend.StoreChange{{Desired: d, Observed: o, Changes: p.Changes}})[0]; err != nil {
		t.Fatal(err)
	}
	// Nor may a takeover, which writes a marker too, bring the retention in.
	heir := d
	heir.Owner.Name = "heir"
	owner := []plan.Change{{Field: plan.FieldOwner}}
	if err := f.backend.ApplyStores(t.Context(), []backend.StoreChange{{Desired: heir, Observed: f.readStore(t, "orders"), Changes: owner}})[0]; err != nil {
		t.Fatal(err)
	}
	// Nor may adopting data whose marker is lost.
	f.do(t, "DEL", layout.RedisMarker("orders"))
	if err := f.backend.ApplyStores(t.Context(), []backend.StoreChange{{Desired: d, Observed: f.readStore(t, "orders"), Changes: owner}})[0]; err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := f.backend.Maintain(t.Context(), []string{"orders"}); err != nil {
			t.Fatal(err)
		}
	}
	o = f.readStore(t, "orders")
	if o.Records() != 1000 || o.Retention != (plan.Retention{}) || o.Kind != layout.Sourcing {
		t.Errorf("%d records, retention %+v, kind %s, want 1000, none, sourcing", o.Records(), o.Retention, o.Kind)
	}
}

func TestDeadLettersPastTheirRetention(t *testing.T) {
	f := start(t, broker.RedisOptions{})
	d, c := f.store("orders")
	d.Partitions = 1
	f.applyStore(t, d, c)
	f.fill(t, layout.RedisEvents("orders", 0), 500, 2*time.Hour)
	for name, retention := range map[string]time.Duration{"short": time.Hour, "forever": 0} {
		s, c := f.subscription("orders", name)
		s.DeadLetterRetention = retention
		f.applySubscription(t, s, c)
		f.fill(t, layout.RedisDeadLetters("orders", 0, name), 500, 2*time.Hour)
	}
	if err := f.backend.Maintain(t.Context(), []string{"orders"}); err != nil {
		t.Fatal(err)
	}
	if n := f.readSubscription(t, "orders", "short").DeadLetters; n < 500 || n > 600 {
		t.Errorf("%d dead letters are left, want 500 and at most a block more", n)
	}
	if n := f.readSubscription(t, "orders", "forever").DeadLetters; n != 1000 {
		t.Errorf("%d dead letters of a subscription that keeps them are left, want 1000", n)
	}
	if n := f.readStore(t, "orders").Records(); n != 1000 {
		t.Errorf("%d records of a store that keeps them are left, want 1000", n)
	}
}
