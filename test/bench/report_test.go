package main

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/crossplane-contrib/provider-eventstore/test/bench/backdoor"
)

func TestMissed(t *testing.T) {
	cases := map[string]struct {
		reason string
		m      measure
		want   bool
	}{
		"NoGoal":  {reason: "What has no goal is reported.", m: measure{Value: 7}},
		"Under":   {reason: "At most means the limit too.", m: measure{Value: 15, Goal: "<= 15"}},
		"Over":    {reason: "More than at most is too much.", m: measure{Value: 15.01, Goal: "<= 15"}, want: true},
		"Exact":   {reason: "A number alone is what it must be.", m: measure{Value: 0, Goal: "0"}},
		"Another": {reason: "And nothing else.", m: measure{Value: 1, Goal: "0"}, want: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := tc.m.missed(); got != tc.want {
				t.Errorf("%s\nmissed() = %t, want %t", tc.reason, got, tc.want)
			}
		})
	}
}

func TestRound(t *testing.T) {
	for in, want := range map[float64]float64{0: 0, 0.0123456: 0.01235, 1.23456: 1.235, 99.999: 100, 12345.6: 12346, -2.00049: -2} {
		if got := round(in); got != want {
			t.Errorf("round(%v) = %v, want %v: four digits, and none of a whole number lost", in, got, want)
		}
	}
}

func TestPercentile(t *testing.T) {
	var times []time.Duration
	for i := range 100 {
		times = append(times, time.Duration(100-i))
	}
	for p, want := range map[int]time.Duration{50: 50, 99: 99, 100: 100} {
		if got := percentile(times, p); got != want {
			t.Errorf("percentile(1..100, %d) = %d, want %d", p, got, want)
		}
	}
	if got := percentile([]time.Duration{7}, 50); got != 7 {
		t.Errorf("percentile of one = %d, want 7", got)
	}
}

// TestTable: one row for each measure, one column for each backend, a gap where something was not measured.
func TestTable(t *testing.T) {
	r := &report{}
	r.add(measure{Measure: "a", Backend: "redis", Value: 1, Unit: "s", Goal: "<= 2"})
	r.add(measure{Measure: "b", Backend: "redis", Value: 3, Unit: "ms"})
	r.add(measure{Measure: "a", Backend: "kafka", Value: 4, Unit: "s", Goal: "<= 2"})
	r.add(measure{Measure: "c", Backend: "kafka", Value: 5, Unit: "x", table: "More"})
	var b strings.Builder
	r.print(&b)
	want := `MEASURE  UNIT  REDIS     KAFKA
a        s     1 (<= 2)  4 (<= 2) MISSED
b        ms    3         

More
MEASURE  UNIT  KAFKA
c        x     5
missed: a on kafka is 4 s, the goal is <= 2
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("-want, +got:\n%s", diff)
	}
}

// TestDraw: a seed says everything, and no store is changed twice while there are others.
func TestDraw(t *testing.T) {
	kinds := []backdoor.Change{{Name: "a"}, {Name: "b", Subscription: true}}
	names := func(seed uint64) (list []string, stores map[int]int) {
		stores = map[int]int{}
		for _, in := range draw(kinds, rand.New(rand.NewPCG(seed, 0)), 20, 10) {
			list = append(list, in.Name)
			stores[in.store]++
		}
		return list, stores
	}
	one, stores := names(1)
	again, _ := names(1)
	other, _ := names(2)
	if !cmp.Equal(one, again) || cmp.Equal(one, other) {
		t.Errorf("seed 1 draws %v, then %v; seed 2 draws %v", one, again, other)
	}
	for store, n := range stores {
		if n != 2 {
			t.Errorf("store %d was chosen %d times of 20, there are 10", store, n)
		}
	}
}
