package kafka

import (
	"testing"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

func TestWish(t *testing.T) {
	const begin, end = 5, 9
	cases := map[string]struct {
		reason string
		wish   wish
		times  map[int]int64
		want   int64
	}{
		"Earliest":        {reason: "The first that is left.", want: 5},
		"Latest":          {reason: "The next one.", wish: wish{start: plan.Start{Latest: true}}, want: 9},
		"Time":            {reason: "The first of that time or later.", wish: wish{start: plan.Start{Time: time.Unix(1, 0)}}, times: map[int]int64{0: 7}, want: 7},
		"TimeToCome":      {reason: "There is none.", wish: wish{start: plan.Start{Time: time.Unix(1, 0)}}, times: map[int]int64{0: -1}, want: 9},
		"Position":        {reason: "As it says.", wish: wish{start: plan.Start{Positions: map[int]string{0: "6"}}}, want: 6},
		"PositionGone":    {reason: "The first that is left.", wish: wish{start: plan.Start{Positions: map[int]string{0: "2"}}}, want: 5},
		"PositionToCome":  {reason: "The spec asks for what is to come.", wish: wish{start: plan.Start{Positions: map[int]string{0: "20"}}}, want: 9},
		"Restored":        {reason: "It goes on where it was.", wish: wish{start: plan.Start{Latest: true}, restore: "6"}, want: 6},
		"RestoredAtEnd":   {reason: "Everything was read.", wish: wish{restore: "9"}, want: 9},
		"RestoredGone":    {reason: "Retention took what it would have read next.", wish: wish{restore: "2"}, want: 5},
		"RestoredFromOld": {reason: "It was in another log: nothing of this one was read.", wish: wish{start: plan.Start{Latest: true}, restore: "20"}, want: 5},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := tc.wish.offset(begin, end, tc.times)
			if err != nil || got != tc.want {
				t.Errorf("%s\noffset: %d, %v, want %d", tc.reason, got, err, tc.want)
			}
		})
	}
}

// TestRestoredInAnotherLog deletes a store, makes it anew with fewer records, and has a subscription restored that had read
// more: it skips nothing.
func TestRestoredInAnotherLog(t *testing.T) {
	f := start(t)
	d, c := f.store("reborn.orders")
	f.applyStore(t, d, c)
	if err := f.backend.DeleteStores(t.Context(), stores(d.Name))[0]; err != nil {
		t.Fatal(err)
	}
	f.applyStore(t, d, c)
	f.append(t, d.Name, 0, 3)
	s, sc := f.subscription(d.Name, "reader")
	s.StartFrom = plan.Start{Latest: true}
	sc.KnownPositions = map[int]string{0: "40", 1: "7", 2: "1"}
	if o := f.applySubscription(t, s, sc); o.Lag() != 3 || o.Groups[0].Position != "1" {
		t.Errorf("a subscription of the store before: %+v", o.Groups)
	}
}
