package kafka

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNote(t *testing.T) {
	var many []span
	for i := range int64(3000) {
		many = append(many, span{1000 + 300*i, 1001 + 300*i})
	}
	failed := map[string]int{}
	for i := range 100 {
		failed[fmt.Sprint(1<<40+i)] = 1000
	}
	cases := map[string]struct {
		reason string
		note   note
		want   note
	}{
		"Nothing": {reason: "There is no note."},
		"Done": {
			reason: "It says what is done.",
			note:   note{done: []span{{1001, 1004}, {1 << 40, 1<<40 + 2}}}, want: note{done: []span{{1001, 1004}, {1 << 40, 1<<40 + 2}}},
		},
		"Failed": {
			reason: "It says what has failed.",
			note:   note{failed: map[string]int{"1000": 3, "1007.2": -1}}, want: note{failed: map[string]int{"1000": 3, "1007.2": -1}},
		},
		"Both": {
			reason: "It says both.",
			note:   note{[]span{{1001, 1002}}, map[string]int{"1000": 3}}, want: note{[]span{{1001, 1002}}, map[string]int{"1000": 3}},
		},
		"Many": {reason: "What does not fit is left out.", note: note{many, failed}, want: note{many[:733], firsts(failed, failedMost)}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			text := tc.note.encode(1000)
			if len(text) > 4096 {
				t.Errorf("%s\nthe note has %d bytes, brokers take 4096", tc.reason, len(text))
			}
			if diff := cmp.Diff(tc.want, decodeNote(text, 1000), cmp.AllowUnexported(note{}, span{})); diff != "" {
				t.Errorf("%s\n-want, +got:\n%s", tc.reason, diff)
			}
			if diff := cmp.Diff(note{}, decodeNote(text, 999), cmp.AllowUnexported(note{}, span{})); diff != "" {
				t.Errorf("a note of position 1000 says something of 999:\n%s", diff)
			}
		})
	}
	for _, foreign := range []string{"", "x", "done:", "done:!", "done:6AcA", "done:6AcBAA", "done:____________", " failed:1=2"} {
		if diff := cmp.Diff(note{}, decodeNote(foreign, 1000), cmp.AllowUnexported(note{}, span{})); diff != "" {
			t.Errorf("note %q says something:\n%s", foreign, diff)
		}
	}
}

func firsts(m map[string]int, n int) map[string]int {
	out := map[string]int{}
	for i := range n {
		offset := fmt.Sprint(1<<40 + i)
		out[offset] = m[offset]
	}
	return out
}
