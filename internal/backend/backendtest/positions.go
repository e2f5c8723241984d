package backendtest

import (
	"testing"

	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// testSubscriptionLostPosition loses a position, which comes back where it was: nothing is skipped.
func (s *suite) testSubscriptionLostPosition(t *testing.T) {
	if s.LosePosition == nil {
		t.Skip("positions cannot get lost")
	}
	d, id := s.withStore(t)
	d.StartFrom = plan.Start{Latest: true}
	s.mustApplySubscription(t, d)
	s.Append(t, id.Store, 1, 3)
	s.Read(t, id, 1, 1, true)
	s.Read(t, id, 1, 1, false) // Read, and not acknowledged: it must come again.
	o := s.readSubscription(t, id)
	equal(t, "lag with one acknowledged", 2, o.Lag())
	c := s.context("uid-2")
	c.KnownPositions = map[int]string{}
	for _, g := range o.Groups {
		c.KnownPositions[g.Partition] = g.Position
	}

	s.LosePosition(t, id, 1)
	_, p := s.changeSubscription(t, d, s.context("uid-2"))
	refused(t, p, plan.ReasonPositionUnknown)
	equal(t, "lag after the position was restored", 2, s.mustApplySubscriptionWith(t, d, c).Lag())
	equal(t, "records that come again", 2, len(s.Read(t, id, 1, 10, true)))

	// At the end there is no record to restore to, and yet nothing may be skipped or come again.
	for _, g := range s.readSubscription(t, id).Groups {
		c.KnownPositions[g.Partition] = g.Position
	}
	s.LosePosition(t, id, 0)
	s.LosePosition(t, id, 1)
	s.Append(t, id.Store, 0, 1)
	s.Append(t, id.Store, 1, 1)
	equal(t, "lag after the end was restored", 2, s.mustApplySubscriptionWith(t, d, c).Lag())
}

// testSubscriptionStoreMadeAgain has a subscription outlive its store, as an orphaned one does. Its resource made anew, of which
// status knows nothing, begins in the next store of that name as it asks to: the marker is about the one before.
func (s *suite) testSubscriptionStoreMadeAgain(t *testing.T) {
	d, id := s.withStore(t)
	s.mustApplySubscription(t, d)
	d.Replay = &plan.Replay{ID: "once", From: plan.Start{Latest: true}}
	s.mustApplySubscription(t, d)
	if err := s.Backend.DeleteStores(t.Context(), s.stores(id.Store))[0]; err != nil {
		t.Fatal(err)
	}
	s.mustApplyStore(t, s.store(id.Store))
	s.Append(t, id.Store, 1, 2)
	d.Owner.UID, d.Replay = "uid-of-the-new-resource", nil
	equal(t, "lag in the next store", 2, s.mustApplySubscription(t, d).Lag())
	d.Replay = &plan.Replay{ID: "once", From: plan.Start{Latest: true}}
	equal(t, "lag after its own replay", 0, s.mustApplySubscription(t, d).Lag())
}

// testSubscriptionUnowned: a position that nobody has marked is somebody's. It is adopted with a token, and stays.
func (s *suite) testSubscriptionUnowned(t *testing.T) {
	if s.LoseSubscriptionMarker == nil {
		t.Skip("markers cannot get lost")
	}
	d, id := s.withStore(t)
	s.mustApplySubscription(t, d)
	s.Read(t, id, 1, 1, true)
	s.LoseSubscriptionMarker(t, id)
	d.StartFrom = plan.Start{Latest: true}
	c := s.context("uid-9")
	_, p := s.changeSubscription(t, d, c)
	refused(t, p, plan.ReasonUnowned)
	c.Confirm = p.Refusals[0].Token
	equal(t, "lag after the adoption", 2, s.mustApplySubscriptionWith(t, d, c).Lag())
}

func (s *suite) testReplay(t *testing.T) {
	d, id := s.withStore(t)
	s.mustApplySubscription(t, d)
	s.Read(t, id, 1, 1, true)
	s.Read(t, id, 1, 1, false)
	log := s.readStore(t, id.Store).Logs[1]

	d.Replay = &plan.Replay{ID: "first", From: plan.Start{Earliest: true}}
	change, p := s.changeSubscription(t, d, s.context("uid-2"))
	equal(t, "changes", "replay", fields(p.Changes))
	if err := s.applySubscription(t, change); err != nil {
		t.Fatal(err)
	}
	o := s.readSubscription(t, id)
	equal(t, "last replay", "first", o.LastReplay)
	equal(t, "lag after the replay", 3, o.Lag())
	equal(t, "records that come again", 2, len(s.Read(t, id, 1, 2, true)))
	if err := s.applySubscription(t, change); err != nil {
		t.Fatal(err)
	}
	equal(t, "lag after the replay was made again", 1, s.readSubscription(t, id).Lag())

	for name, tc := range map[string]struct {
		from plan.Start
		want int64
	}{
		"Latest":   {from: plan.Start{Latest: true}, want: 0},
		"Time":     {from: plan.Start{Time: log.Oldest}, want: 3},
		"Position": {from: plan.Start{Positions: map[int]string{1: log.Last}}, want: 1},
	} {
		d.Replay = &plan.Replay{ID: name, From: tc.from}
		equal(t, "lag after a replay from "+name, tc.want, s.mustApplySubscription(t, d).Lag())
	}
}

// testReplayOfLostPosition replays where nobody knows the position any more, which is a way out.
func (s *suite) testReplayOfLostPosition(t *testing.T) {
	if s.LosePosition == nil {
		t.Skip("positions cannot get lost")
	}
	d, id := s.withStore(t)
	s.mustApplySubscription(t, d)
	s.Read(t, id, 1, 3, true)
	s.LosePosition(t, id, 1)
	d.Replay = &plan.Replay{ID: "rescue", From: plan.Start{Positions: map[int]string{1: s.readStore(t, id.Store).Logs[1].Last}}}
	change, p := s.changeSubscription(t, d, s.context("uid-2"))
	refused(t, p, plan.ReasonPositionUnknown)
	equal(t, "changes", "replay", fields(p.Changes))
	if err := s.applySubscription(t, change); err != nil {
		t.Fatal(err)
	}
	equal(t, "lag after the replay", 1, s.mustApplySubscription(t, d).Lag())
}

func (s *suite) testReplayWhileBusy(t *testing.T) {
	if s.Occupy == nil {
		t.Skip("consumers cannot be seen")
	}
	d, id := s.withStore(t)
	s.mustApplySubscription(t, d)
	leave := s.Occupy(t, id, 1, "worker-1")
	equal(t, "consumers", []string{"worker-1"}, s.readSubscription(t, id).Consumers)
	d.Replay = &plan.Replay{ID: "busy", From: plan.Start{Earliest: true}}
	c := s.context("uid-2")
	_, p := s.changeSubscription(t, d, c)
	refused(t, p, plan.ReasonReplayBusy)
	leave()
	waitFor(t, "the consumer to be gone", func() bool { return len(s.readSubscription(t, id).Consumers) == 0 })
	s.mustApplySubscription(t, d)
}
