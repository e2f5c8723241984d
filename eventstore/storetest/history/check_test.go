package history

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

var stream = eventstore.StreamID{Type: "history", ID: "1"}

// at returns an operation that took from one time to another.
func at(from, to time.Duration, o Operation) Operation {
	o.Stream, o.Call, o.Return = stream, from, to
	return o
}

func appended(expected, version eventstore.Version, ids ...string) Operation {
	return Operation{IDs: ids, Expected: expected, Outcome: Succeeded, Version: version}
}

func ended(outcome string, expected, version eventstore.Version, ids ...string) Operation {
	return Operation{IDs: ids, Expected: expected, Outcome: outcome, Version: version}
}

func saw(after eventstore.Version, ids ...string) Operation {
	return Operation{After: after, Outcome: Succeeded, Version: after + eventstore.Version(len(ids)), Read: ids}
}

func TestCheck(t *testing.T) {
	const end = math.MaxInt64
	for name, tc := range map[string]struct {
		reason string
		in     []Operation
		want   string // In the error; empty: none.
	}{
		"InOrder": {
			reason: "One after another, as they are there.",
			in:     []Operation{at(1, 2, appended(0, 1, "a")), at(3, 4, saw(0, "a")), at(5, 6, appended(1, 3, "b", "c")), at(7, 8, saw(0, "a", "b", "c"))},
		},
		"AtOnce": {
			reason: "Of two at once either may be the first.",
			in:     []Operation{at(1, 9, appended(1, 2, "b")), at(2, 8, appended(0, 1, "a")), at(10, 11, saw(0, "a", "b"))},
		},
		"UnknownHappened": {
			reason: "It may happen long after its caller gave up.",
			in: []Operation{
				at(1, 2, ended(Unknown, 0, 0, "a")), at(3, 4, saw(0)), at(5, 6, saw(0)), at(7, 8, saw(0, "a")), at(9, 10, saw(0, "a")),
			},
		},
		"UnknownNever": {
			reason: "Nor must it happen.",
			in:     []Operation{at(1, 2, ended(Unknown, 0, 0, "a")), at(3, 4, appended(0, 1, "b")), at(5, 6, saw(0, "b"))},
		},
		"Lost": {
			reason: "What was acknowledged is there.",
			in:     []Operation{at(1, 2, appended(0, 1, "a")), at(3, 4, saw(0))},
			want:   "an acknowledged append is lost",
		},
		"BothWon": {
			reason: "A version is there once.",
			in:     []Operation{at(1, 2, appended(0, 1, "a")), at(1, 2, appended(0, 1, "b")), at(3, 4, saw(0, "a", "b"))},
			want:   "another version",
		},
		"IgnoredVersion": {
			reason: "An append succeeds at the expected version alone.",
			in:     []Operation{at(1, 2, appended(0, 1, "a")), at(3, 4, appended(0, 2, "b")), at(5, 6, saw(0, "a", "b"))},
			want:   "not linearizable",
		},
		"LyingConflict": {
			reason: "An append that is told of a conflict has not happened.",
			in:     []Operation{at(1, 2, appended(0, 1, "a")), at(3, 4, ended(Conflict, 0, 1, "b")), at(5, 6, saw(0, "a", "b"))},
			want:   "ended in a conflict, and is there",
		},
		"NeedlessConflict": {
			reason: "There is no conflict at the expected version.",
			in:     []Operation{at(1, 2, appended(0, 1, "a")), at(3, 4, ended(Conflict, 1, 1, "b")), at(5, 6, saw(0, "a"))},
			want:   "not linearizable",
		},
		"LyingFailure": {
			reason: "What failed for certain has not happened.",
			in:     []Operation{at(1, 2, ended(Failed, 0, 0, "a")), at(5, 6, saw(0, "a"))},
			want:   "failed for certain, and is there",
		},
		"StaleRead": {
			reason: "A read sees what was acknowledged before it began.",
			in:     []Operation{at(1, 2, appended(0, 1, "a")), at(3, 4, saw(0)), at(5, 6, saw(0, "a"))},
			want:   "not linearizable",
		},
		"SeenAndGone": {
			reason: "What was seen once is seen by all who come later.",
			in: []Operation{
				at(1, end, ended(Unknown, 0, 0, "a")), at(3, 4, saw(0, "a")), at(5, 6, saw(0)), at(7, 8, saw(0, "a")),
			},
			want: "not linearizable",
		},
		"Changed": {
			reason: "An event is never replaced.",
			in:     []Operation{at(1, 2, saw(0, "b")), at(3, 4, appended(0, 1, "a")), at(5, 6, saw(0, "a"))},
			want:   "other events",
		},
		"Torn": {
			reason: "An append is there as a whole.",
			in:     []Operation{at(1, 2, ended(Unknown, 0, 0, "a", "b")), at(3, 4, saw(0, "a"))},
			want:   "torn",
		},
		"Twice": {
			reason: "An append that was repeated is there once.",
			in:     []Operation{at(1, 2, appended(0, 1, "a")), at(3, 4, saw(0, "a", "a"))},
			want:   "twice",
		},
		"NotRead": {
			reason: "Without a last read nobody knows what happened.",
			in:     []Operation{at(1, 2, appended(0, 1, "a"))},
			want:   "not read in the end",
		},
	} {
		t.Run(name, func(t *testing.T) {
			err := Check(tc.in)
			switch {
			case tc.want == "" && err != nil:
				t.Errorf("%s\nCheck: %v", tc.reason, err)
			case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
				t.Errorf("%s\nCheck: %v, want %q", tc.reason, err, tc.want)
			}
		})
	}
}
