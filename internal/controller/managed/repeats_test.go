package managed

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestRepeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r Repeats
		for _, step := range []struct {
			reason, changes string
			after           time.Duration
			fails           bool
		}{
			{reason: "The first time is a change.", changes: "a: 1 -> 2"},
			{reason: "At once again, it had no effect.", changes: "a: 1 -> 2", fails: true},
			{reason: "Another one is another matter.", changes: "b: 1 -> 2"},
			{reason: "Later it is drift.", changes: "b: 1 -> 2", after: tooSoon},
		} {
			time.Sleep(step.after)
			if err := r.Check("uid", step.changes); (err != nil) != step.fails {
				t.Errorf("%s\nCheck: %v", step.reason, err)
			}
		}
		r.Forget("uid")
		if err := r.Check("uid", "b: 1 -> 2"); err != nil {
			t.Errorf("Check after Forget: %v", err)
		}
	})
}
