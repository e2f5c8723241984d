package pulsar

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestStandIn(t *testing.T) {
	const word = -1 // The broker tells that the consumer is active.
	cases := map[string]struct {
		reason  string
		trusted bool
		come    []int64
		want    []int64
	}{
		"InTime":        {reason: "What comes after the word is delivered.", come: []int64{word, 4, 5, 6}, want: []int64{4, 5, 6}},
		"Redelivered":   {reason: "After a reconnection the broker goes back.", come: []int64{word, 4, 5, 4, 5, 6}, want: []int64{4, 5, 4, 5, 6}},
		"Early":         {reason: "What comes before the word would overtake.", come: []int64{6, 7, word, 4, 5, 6, 7}, want: []int64{4, 5, 6, 7}},
		"NothingLeft":   {reason: "The predecessor has acknowledged all.", come: []int64{6, 7, word, 6, 7, 8}, want: []int64{6, 7, 8}},
		"EarlyAndLate":  {reason: "What was sent too early may be behind the word.", come: []int64{6, word, 7, 8, 4, 5, 6, 7, 8}, want: []int64{4, 5, 6, 7, 8}},
		"NoWord":        {reason: "Another is active.", come: []int64{6, 7, 8}},
		"BrokerIsQuiet": {reason: "A broker that does not tell sends nothing too early.", trusted: true, come: []int64{4, 5, 6}, want: []int64{4, 5, 6}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := standIn{trusted: tc.trusted}
			var got []int64
			for _, n := range tc.come {
				if n == word {
					s.active = true
				} else if s.admits(place{Segment: 1, Offset: n}) {
					got = append(got, n)
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s\n-want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}
