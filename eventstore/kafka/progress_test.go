package kafka

import (
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestProgress(t *testing.T) {
	cases := map[string]struct {
		reason  string
		earlier []span
		take    []int64
		finish  []int64
		next    int64
		spans   []span
		pending int
		skipped []int64
	}{
		"InOrder": {
			reason: "The position follows.", take: []int64{3, 4, 5}, finish: []int64{3, 4}, next: 5, pending: 1,
		},
		"Blocked": {
			reason: "What is done behind a record that is not is known.",
			take:   []int64{3, 4, 5, 6, 7, 8}, finish: []int64{4, 8, 5}, next: 3, spans: []span{{4, 6}, {8, 9}}, pending: 3,
		},
		"Freed": {
			reason: "The position jumps over it.", take: []int64{3, 4, 5}, finish: []int64{4, 5, 3}, next: 6,
		},
		"Hole": {
			reason: "An offset without a record is neither done nor waited for.",
			take:   []int64{3, 7, 8, 12}, finish: []int64{8, 3}, next: 4, spans: []span{{8, 9}}, pending: 2,
		},
		"Earlier": {
			reason:  "What was done before is done, and is told on even before it is taken again.",
			earlier: []span{{4, 6}, {8, 10}}, take: []int64{3, 4, 5, 6}, skipped: []int64{4, 5}, finish: []int64{6}, next: 3,
			spans: []span{{4, 7}, {8, 10}}, pending: 1,
		},
		"Before": {
			reason: "What is before the position is done.", take: []int64{1, 2, 3}, skipped: []int64{1, 2}, next: 3, pending: 1,
		},
		"EarlierInPart": {
			reason:  "Of a span the rest is told on.",
			earlier: []span{{4, 8}}, take: []int64{3, 4, 5}, skipped: []int64{4, 5}, next: 3, spans: []span{{4, 8}}, pending: 1,
		},
		"EarlierGone": {
			reason:  "A position that has passed all is only a position.",
			earlier: []span{{4, 5}}, take: []int64{3, 4, 5}, skipped: []int64{4}, finish: []int64{3, 5}, next: 6,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p := progress{next: 3, earlier: tc.earlier}
			var skipped []int64
			for _, offset := range tc.take {
				if !p.take(offset, 10) {
					skipped = append(skipped, offset)
				}
			}
			for _, offset := range tc.finish {
				p.finish(offset)
			}
			if diff := cmp.Diff(tc.spans, p.spans(), cmp.AllowUnexported(span{})); diff != "" || p.next != tc.next || p.pending() != tc.pending {
				t.Errorf("%s\nposition %d, want %d; %d pending, want %d; spans -want, +got:\n%s", tc.reason, p.next, tc.next, p.pending(), tc.pending, diff)
			}
			if p.bytes != 10*tc.pending {
				t.Errorf("%s\n%d bytes are pending, want %d", tc.reason, p.bytes, 10*tc.pending)
			}
			if diff := cmp.Diff(tc.skipped, skipped); diff != "" {
				t.Errorf("%s\nskipped -want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}

// A consumer that ends and another that goes on have between them done everything, and nothing twice that was noted.
func TestProgressGoesOn(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		const records = 200
		done := map[int64]int{}
		p := progress{next: 0}
		for round := 0; p.next < records; round++ {
			taken := p.next
			for taken < records && r.IntN(60) > 0 {
				if p.take(taken, 10) {
					if r.IntN(4) > 0 {
						done[taken]++
						p.finish(taken)
					}
				}
				taken++
			}
			if round > 10_000 {
				t.Fatalf("seed %d: no progress after %d of %d", seed, p.next, records)
			}
			p = progress{next: p.next, earlier: decodeNote(note{done: p.spans()}.encode(p.next), p.next).done}
		}
		for offset := range int64(records) {
			if done[offset] != 1 {
				t.Fatalf("seed %d: record %d was done %d times, want once", seed, offset, done[offset])
			}
		}
	}
}
