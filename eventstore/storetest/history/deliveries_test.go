package history

import (
	"testing"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

func TestDeliveries(t *testing.T) {
	const a, b, c = "a", "b", "c" // Consumers.
	begin := func(consumer string, v eventstore.Version) func(*deliveries) error {
		return func(d *deliveries) error { return d.begin(consumer, stream, v) }
	}
	end := func(consumer string, handled bool) func(*deliveries) error {
		return func(d *deliveries) error { d.end(consumer, stream, handled); return nil }
	}
	die := func(consumer string) func(*deliveries) error {
		return func(d *deliveries) error { d.die(consumer); return nil }
	}
	for name, tc := range map[string]struct {
		reason  string
		overlap bool
		steps   []func(*deliveries) error
		wrong   bool // The last step is.
	}{
		"InOrder":     {reason: "One after another.", steps: []func(*deliveries) error{begin(a, 1), end(a, true), begin(a, 2)}},
		"Again":       {reason: "What was handled may come again.", steps: []func(*deliveries) error{begin(a, 1), end(a, true), begin(b, 1)}},
		"AfterFail":   {reason: "What failed comes again.", steps: []func(*deliveries) error{begin(a, 1), end(a, false), begin(a, 1)}},
		"AfterDeath":  {reason: "What a consumer had in its hands when it died comes again.", steps: []func(*deliveries) error{begin(a, 1), die(a), begin(b, 1)}},
		"Skipped":     {reason: "Nothing is left out.", steps: []func(*deliveries) error{begin(a, 1), end(a, true), begin(a, 3)}, wrong: true},
		"Overtaken":   {reason: "While an event is to be tried again, its stream waits.", steps: []func(*deliveries) error{begin(a, 1), end(a, false), begin(a, 2)}, wrong: true},
		"Lost":        {reason: "What a dead consumer did not handle is not done.", steps: []func(*deliveries) error{begin(a, 1), die(a), begin(b, 2)}, wrong: true},
		"SideBySide":  {reason: "Two of a stream are never handled at once.", steps: []func(*deliveries) error{begin(a, 1), end(a, true), begin(a, 2), begin(b, 1)}, wrong: true},
		"Overlap":     {reason: "Who is cut off goes on with what it holds.", overlap: true, steps: []func(*deliveries) error{begin(a, 1), begin(b, 1), end(b, true), begin(b, 2), end(a, true), begin(a, 2)}},
		"OverlapGap":  {reason: "All the same, nothing is left out.", overlap: true, steps: []func(*deliveries) error{begin(a, 1), begin(b, 2)}, wrong: true},
		"OverlapSame": {reason: "One consumer never has two of a stream.", overlap: true, steps: []func(*deliveries) error{begin(a, 1), end(a, true), begin(a, 2), begin(a, 1)}, wrong: true},
		"LateAnswer":  {reason: "What a dead consumer is told ends no delivery of another.", steps: []func(*deliveries) error{begin(a, 1), die(a), begin(b, 1), end(a, true), begin(c, 1)}, wrong: true},
		"SurvivedOne": {reason: "The death of one consumer ends no delivery of another.", steps: []func(*deliveries) error{begin(a, 1), die(b), begin(b, 1)}, wrong: true},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDeliveries(tc.overlap)
			for i, step := range tc.steps {
				err := step(d)
				if want := tc.wrong && i == len(tc.steps)-1; (err != nil) != want {
					t.Errorf("%s\nstep %d: %v, want an error: %t", tc.reason, i+1, err, want)
				}
			}
		})
	}
}
