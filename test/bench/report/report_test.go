package report

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestMissed(t *testing.T) {
	cases := map[string]struct {
		reason string
		m      Measure
		want   bool
	}{
		"NoGoal":  {reason: "What has no goal is reported.", m: Measure{Value: 7}},
		"Under":   {reason: "At most means the limit too.", m: Measure{Value: 15, Goal: "<= 15"}},
		"Over":    {reason: "More than at most is too much.", m: Measure{Value: 15.01, Goal: "<= 15"}, want: true},
		"Least":   {reason: "At least means the limit too.", m: Measure{Value: 80, Goal: ">= 80"}},
		"Less":    {reason: "Less than at least is too little.", m: Measure{Value: 79.9, Goal: ">= 80"}, want: true},
		"Exact":   {reason: "A number alone is what it must be.", m: Measure{Value: 0, Goal: "0"}},
		"Another": {reason: "And nothing else.", m: Measure{Value: 1, Goal: "0"}, want: true},
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
		if got := Percentile(times, p); got != want {
			t.Errorf("Percentile(1..100, %d) = %d, want %d", p, got, want)
		}
	}
	if got := Percentile([]time.Duration{7}, 50); got != 7 {
		t.Errorf("percentile of one = %d, want 7", got)
	}
}

// TestTable: one row for each measure, one column for each backend, a gap where something was not measured.
func TestTable(t *testing.T) {
	r := &Report{}
	r.Add(Measure{Measure: "a", Backend: "redis", Value: 1, Unit: "s", Goal: "<= 2"})
	r.Add(Measure{Measure: "b", Backend: "redis", Value: 3, Unit: "ms"})
	r.Add(Measure{Measure: "a", Backend: "kafka", Value: 4, Unit: "s", Goal: "<= 2"})
	r.Add(Measure{Measure: "c", Backend: "kafka", Value: 5, Unit: "x", Table: "More"})
	var b strings.Builder
	r.Print(&b)
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
