package kafka

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

func TestFold(t *testing.T) {
	rec := func(offset int64, value string, seen int64) record {
		r := record{offset: offset, key: "k", seen: seen}
		if value != "" {
			r.value = []byte(value)
		}
		return r
	}
	cases := map[string]struct {
		reason string
		log    []record
		want   string // What counts in the end.
		counts []bool
		heal   bool
	}{
		"First":         {reason: "A first claim counts.", log: []record{rec(4, "a", 4)}, want: "a", counts: []bool{true}},
		"Race":          {reason: "Of two that had read equally far the first wins, and the second hides it.", log: []record{rec(4, "a", 4), rec(5, "b", 4)}, want: "a", counts: []bool{true, false}, heal: true},
		"Successor":     {reason: "Who has seen what counts may replace it.", log: []record{rec(4, "a", 4), rec(9, "b", 5)}, want: "b", counts: []bool{true, true}},
		"Late":          {reason: "Who has read less than that may not.", log: []record{rec(4, "a", 4), rec(9, "b", 5), rec(11, "c", 9)}, want: "b", counts: []bool{true, true, false}, heal: true},
		"Healed":        {reason: "What counts is written again, by who has seen what hid it.", log: []record{rec(4, "a", 4), rec(5, "b", 4), rec(6, "a", 6)}, want: "a", counts: []bool{true, false, true}},
		"HealedTooSoon": {reason: "A successor that did not see what hides heals nothing.", log: []record{rec(4, "a", 4), rec(5, "b", 4), rec(6, "c", 5)}, want: "c", counts: []bool{true, false, true}, heal: true},
		"Repeated":      {reason: "A copy of what counts hides nothing.", log: []record{rec(4, "a", 4), rec(5, "a", 4)}, want: "a", counts: []bool{true, false}},
		"Deleted":       {reason: "A record without a value deletes.", log: []record{rec(4, "a", 4), rec(5, "", 5)}, counts: []bool{true, true}},
		"DeletedLate":   {reason: "Only by who has seen what it deletes.", log: []record{rec(4, "a", 4), rec(5, "b", 5), rec(6, "", 5)}, want: "b", counts: []bool{true, true, false}, heal: true},
		"CreatedAnew":   {reason: "What was deleted can be claimed.", log: []record{rec(4, "a", 4), rec(5, "", 5), rec(6, "b", 6)}, want: "b", counts: []bool{true, true, true}},
		"UpdateOfDeleted": {
			reason: "Who updates what was deleted meanwhile does not bring it back.",
			log:    []record{rec(4, "a", 4), rec(5, "", 5), rec(6, "c", 5)}, counts: []bool{true, true, false}, heal: true,
		},
		"ByHand":        {reason: "An administrator without the header always counts.", log: []record{rec(4, "a", 4), rec(5, "b", unconditional)}, want: "b", counts: []bool{true, true}},
		"DeletedByHand": {reason: "Also to delete.", log: []record{rec(4, "a", 4), rec(5, "b", 4), rec(6, "", unconditional)}, counts: []bool{true, false, true}},
		"Compacted":     {reason: "The oldest record that is left is taken to count: what it replaced is gone.", log: []record{rec(7, "b", 5), rec(8, "c", 8)}, want: "c", counts: []bool{true, true}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			f := newFold()
			var counts []bool
			for _, r := range tc.log {
				counts = append(counts, f.add(r))
			}
			if diff := cmp.Diff(tc.counts, counts); diff != "" {
				t.Errorf("%s\nadd: -want, +got:\n%s", tc.reason, diff)
			}
			if got := string(f.value("k")); got != tc.want {
				t.Errorf("%s\nvalue: %q, want %q", tc.reason, got, tc.want)
			}
			if got := len(f.unhealed()) > 0; got != tc.heal {
				t.Errorf("%s\nto be healed: %t, want %t", tc.reason, got, tc.heal)
			}
		})
	}
}

// TestFoldCompacted writes at random, as honest writers do who may be late, and heals. Whoever reads any compacted form of
// the log that Kafka may have made of it afterwards must come to the same result.
func TestFoldCompacted(t *testing.T) {
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 7)) //nolint:gosec // To be repeated.
		var log []record
		full := newFold()
		write := func(key string, value []byte, seen int64) {
			rec := record{offset: int64(len(log)), key: key, value: value, seen: seen}
			log = append(log, rec)
			full.add(rec)
		}
		for i := range 30 {
			key := fmt.Sprintf("k%d", r.IntN(3))
			var value []byte
			if r.IntN(4) > 0 {
				value = fmt.Appendf(nil, "v%d", i)
			}
			write(key, value, max(0, int64(len(log))-r.Int64N(4)))
		}
		for keys := full.unhealed(); len(keys) > 0; keys = full.unhealed() {
			slices.Sort(keys)
			write(keys[0], full.value(keys[0]), int64(len(log)))
		}
		for boundary := range len(log) + 1 {
			compacted := newFold()
			for i, rec := range log {
				superseded := slices.ContainsFunc(log[i+1:max(boundary, i+1)], func(o record) bool { return o.key == rec.key })
				if i >= boundary || !superseded {
					compacted.add(rec)
				}
			}
			for key := range full.entries {
				if diff := cmp.Diff(full.value(key), compacted.value(key)); diff != "" {
					t.Fatalf("seed %d, compacted before %d: %s: -all of the log, +compacted:\n%s\nlog: %+v", seed, boundary, key, diff, log)
				}
			}
		}
	}
}

func TestFoldLists(t *testing.T) {
	f := newFold()
	add := func(key, value string) {
		r := record{offset: f.next, key: key, seen: f.next}
		if value != "" {
			r.value = []byte(value)
		}
		f.add(r)
	}
	add(layout.KafkaSubscriptionKey("shop.orders", "a"), `{"layout":1,"partitions":2}`)
	add(layout.KafkaSubscriptionKey("shop.orders", "b"), `{"layout":1,"partitions":2}`)
	add(layout.KafkaDeadLettersKey("shop.orders", "b"), `{}`)
	add(layout.KafkaSubscriptionKey("shop.orders", "b"), "")
	add(layout.KafkaSubscriptionKey("shop", "c"), "nonsense")
	add("of another program", "x")
	want := map[string]map[string]struct{}{"shop.orders": {"a": {}}, "shop": {"c": {}}}
	if diff := cmp.Diff(want, f.subscriptions); diff != "" {
		t.Errorf("subscriptions: -want, +got:\n%s", diff)
	}
	if diff := cmp.Diff(map[string]map[string]struct{}{"shop.orders": {"b": {}}}, f.deadLetters); diff != "" {
		t.Errorf("dead letters: -want, +got:\n%s", diff)
	}
	if m, err := f.subscriptionMarker("shop.orders", "a"); err != nil || m == nil || m.Partitions != 2 {
		t.Errorf("marker: %+v, %v", m, err)
	}
	if m, err := f.subscriptionMarker("shop.orders", "b"); err != nil || m != nil {
		t.Errorf("marker that was deleted: %+v, %v", m, err)
	}
	if _, err := f.subscriptionMarker("shop", "c"); !errors.As(err, &damagedError{}) {
		t.Errorf("a marker that is none: %v", err)
	}
}

func FuzzDecodeStore(f *testing.F) {
	f.Add([]byte(`{"layout":1,"partitions":6,"hash":"murmur2","kind":"sourcing","owner":{"name":"a"},"retention":"72h0m0.000000001s"}`))
	f.Add([]byte(`{"layout":2,"partitions":6,"owner":"someone","kind":1}`))
	f.Add([]byte(`{"layout":1,"partitions":-1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decodeStore(b)
		if err != nil || m.Layout > layout.Version {
			return
		}
		again, err := decodeStore(encode(m))
		if diff := cmp.Diff(m, again, cmp.AllowUnexported(storeMarker{})); err != nil || diff != "" {
			t.Errorf("a marker does not survive: %v\n%s", err, diff)
		}
	})
}
