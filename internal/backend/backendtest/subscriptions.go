package backendtest

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

func (s *suite) testSubscriptions(t *testing.T) {
	t.Run("Lifecycle", s.testSubscriptionLifecycle)
	t.Run("StartFrom", s.testSubscriptionStart)
	t.Run("Batch", s.testSubscriptionBatch)
	t.Run("Drift", s.testSubscriptionDrift)
	t.Run("Crash", s.testSubscriptionCrash)
	t.Run("Conflict", s.testSubscriptionConflict)
	t.Run("LongestName", s.testSubscriptionLongestName)
	t.Run("LostPosition", s.testSubscriptionLostPosition)
	t.Run("LostMarker", s.testSubscriptionLostMarker)
	t.Run("Unowned", s.testSubscriptionUnowned)
	t.Run("Replay", s.testReplay)
	t.Run("ReplayOfLostPosition", s.testReplayOfLostPosition)
	t.Run("ReplayWhileBusy", s.testReplayWhileBusy)
	t.Run("DeadLetters", s.testDeadLetters)
	t.Run("Delete", s.testSubscriptionDelete)
	t.Run("TakeOver", s.testSubscriptionTakeOver)
	t.Run("DeleteOfAnother", s.testSubscriptionDeleteOfAnother)
	t.Run("DeleteOrTakeOver", s.testSubscriptionDeleteOrTakeOver)
	t.Run("DeleteUnmarked", s.testSubscriptionDeleteUnmarked)
	t.Run("StoreGone", s.testSubscriptionStoreGone)
	t.Run("StoreLostMarker", s.testSubscriptionStoreLostMarker)
	t.Run("StoreMadeAgain", s.testSubscriptionStoreMadeAgain)
}

// withStore makes a store with three records in partition 1, and returns a subscription to it that is not there yet.
func (s *suite) withStore(t *testing.T) (plan.DesiredSubscription, backend.SubscriptionID) {
	t.Helper()
	store := s.name()
	s.mustApplyStore(t, s.store(store))
	s.Append(t, store, 1, 3)
	return s.subscription(store, "reader"), backend.SubscriptionID{Store: store, Name: "reader"}
}

func (s *suite) testSubscriptionLifecycle(t *testing.T) {
	d, id := s.withStore(t)
	o := s.readSubscription(t, id)
	if o.Exists() || o.StoreGone || o.Partitions != 2 {
		t.Fatalf("a subscription that was never created: %+v", o)
	}
	create, p := s.changeSubscription(t, d, s.context("uid-2"))
	equal(t, "changes that create", "owner, position, positions, principal", madeOf(p.Changes))
	if err := s.applySubscription(t, create); err != nil {
		t.Fatal(err)
	}
	o = s.readSubscription(t, id)
	equal(t, "settings", d.SubscriptionSettings, o.SubscriptionSettings)
	equal(t, "principal", d.Principal, o.Principal)
	if o.StoreCreated == "" {
		t.Error("the subscription does not tell which store of this name it is of")
	}
	equal(t, "lag", 3, o.Lag())
	equal(t, "created", true, o.Created)
	if g := o.Groups[0]; g.Lag != 0 || !g.OldestUnread.IsZero() || g.Position == "" {
		t.Errorf("group of partition 0 without records: %+v", g)
	}
	log := s.readStore(t, id.Store).Logs[1]
	equal(t, "oldest unread", log.Oldest, o.Groups[1].OldestUnread)

	read := s.Read(t, id, 1, 2, true)
	equal(t, "records read", 2, len(read))
	if err := s.applySubscription(t, create); err != nil { // Its reply was lost, say.
		t.Errorf("applying the same changes once more: %v", err)
	}
	o = s.readSubscription(t, id)
	equal(t, "lag after two were acknowledged", 1, o.Lag())
	equal(t, "oldest unread", log.Newest, o.Groups[1].OldestUnread)
	s.Read(t, id, 1, 2, true)
	equal(t, "lag after all were acknowledged", 0, s.readSubscription(t, id).Lag())
	if _, p := s.changeSubscription(t, d, s.context("uid-2")); len(p.Changes)+len(p.Refusals) > 0 {
		t.Errorf("the plan afterwards is not empty: %+v", p)
	}
}

func (s *suite) testSubscriptionStart(t *testing.T) {
	store := s.name()
	s.mustApplyStore(t, s.store(store))
	s.Append(t, store, 1, 3)
	first := s.readStore(t, store).Logs[1]
	// Brokers keep time by the millisecond: the next records must be in a later one.
	waitFor(t, "the clock to move on", func() bool { return time.Since(first.Newest) > 5*time.Millisecond })
	between := time.Now()
	s.Append(t, store, 1, 2)
	log := s.readStore(t, store).Logs[1]

	cases := map[string]struct {
		start plan.Start
		want  int64
	}{
		"Earliest":     {start: plan.Start{Earliest: true}, want: 5},
		"Latest":       {start: plan.Start{Latest: true}, want: 0},
		"TimeBefore":   {start: plan.Start{Time: first.Oldest.Add(-time.Hour)}, want: 5},
		"TimeExactly":  {start: plan.Start{Time: first.Oldest}, want: 5},
		"TimeBetween":  {start: plan.Start{Time: between}, want: 2},
		"TimeAfter":    {start: plan.Start{Time: log.Newest.Add(time.Second)}, want: 0},
		"LastPosition": {start: plan.Start{Positions: map[int]string{1: log.Last}}, want: 1},
		"FirstOfTwo":   {start: plan.Start{Positions: map[int]string{1: log.First}}, want: 5},
		"OtherOnly":    {start: plan.Start{Positions: map[int]string{0: log.Last}}, want: 5},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			id := backend.SubscriptionID{Store: store, Name: strings.ToLower(name)}
			d := s.subscription(store, id.Name)
			d.StartFrom = tc.start
			equal(t, "lag", tc.want, s.mustApplySubscription(t, d).Lag())
			equal(t, "records read", int(tc.want), len(s.Read(t, id, 1, 10, true)))
			equal(t, "lag at the end", 0, s.readSubscription(t, id).Lag())
		})
	}
	s.Append(t, store, 1, 1)
	for name := range cases {
		o := s.readSubscription(t, backend.SubscriptionID{Store: store, Name: strings.ToLower(name)})
		if name != "TimeAfter" && o.Lag() != 1 { // Brokers differ in whether they wait for that time.
			t.Errorf("%s: lag after one record more is %d, want 1", name, o.Lag())
		}
	}
}

func (s *suite) testSubscriptionBatch(t *testing.T) {
	store, other := s.name(), s.name()
	s.mustApplyStore(t, s.store(store))
	s.mustApplyStore(t, s.store(other))
	s.Append(t, store, 0, 2)
	var changes []backend.SubscriptionChange
	var ids []backend.SubscriptionID
	for i := range 20 {
		d := s.subscription([]string{store, other}[i%2], fmt.Sprintf("sub-%d", i))
		change, _ := s.changeSubscription(t, d, s.context("uid-2"))
		changes, ids = append(changes, change), append(ids, change.ID())
	}
	changes[5].Desired.Name = "not.a.name"
	for i, err := range s.Backend.ApplySubscriptions(t.Context(), changes) {
		if (err != nil) != (i == 5) {
			t.Errorf("error of change %d: %v", i, err)
		}
	}
	ids = append(ids, backend.SubscriptionID{Store: store, Name: "not.a.name"}, backend.SubscriptionID{Store: "absent", Name: "x"})
	for i, r := range s.Backend.ReadSubscriptions(t.Context(), ids) {
		if r.Err != nil {
			t.Errorf("subscription %q: %v", ids[i], r.Err)
			continue
		}
		equal(t, ids[i].String()+" exists", i != 5 && i < 20, r.Value.Exists())
		equal(t, ids[i].String()+" has no store", i == 21, r.Value.StoreGone)
		if r.Value.Exists() {
			equal(t, ids[i].String()+" lag", int64(2*(1-i%2)), r.Value.Lag())
		}
	}
	for _, err := range s.Backend.DeleteSubscriptions(t.Context(), s.subscriptions(ids...)) {
		if err != nil {
			t.Error(err)
		}
	}
}

func (s *suite) testSubscriptionDrift(t *testing.T) {
	if len(s.SubscriptionDrifts) == 0 {
		t.Skip("the harness changes nothing")
	}
	for _, drift := range s.SubscriptionDrifts {
		t.Run(drift.Name, func(t *testing.T) {
			d, id := s.withStore(t)
			d.DeadLetterRetention = time.Hour
			s.mustApplySubscription(t, d)
			s.Read(t, id, 1, 1, true)
			drift.Make(t, id)
			_, p := s.changeSubscription(t, d, s.context("uid-2"))
			equal(t, "repairs", string(drift.Want), fields(p.Changes))
			o := s.mustApplySubscription(t, d)
			equal(t, "settings", d.SubscriptionSettings, o.SubscriptionSettings)
			equal(t, "principal", d.Principal, o.Principal)
			equal(t, "lag", 2, o.Lag())
		})
	}
}

func (s *suite) testSubscriptionCrash(t *testing.T) {
	for k := 0; ; k++ {
		d, _ := s.withStore(t)
		d.DeadLetterRetention = time.Hour
		change, p := s.changeSubscription(t, d, s.context("uid-2"))
		if k > len(p.Changes) {
			return
		}
		t.Run(fmt.Sprintf("After%dOf%d", k, len(p.Changes)), func(t *testing.T) {
			change.Changes = p.Changes[:k]
			if err := s.applySubscription(t, change); err != nil {
				t.Fatal(err)
			}
			o := s.mustApplySubscription(t, d)
			equal(t, "settings", d.SubscriptionSettings, o.SubscriptionSettings)
			equal(t, "principal", d.Principal, o.Principal)
			equal(t, "created", true, o.Created)
			equal(t, "lag", 3, o.Lag())
		})
	}
}

func (s *suite) testSubscriptionConflict(t *testing.T) {
	d, id := s.withStore(t)
	const rivals = 6
	changes := make([]backend.SubscriptionChange, rivals)
	for i := range changes {
		r := d
		r.Owner.Name = fmt.Sprintf("rival-%d", i)
		changes[i], _ = s.changeSubscription(t, r, s.context("uid-2"))
	}
	errs := make([]error, rivals)
	var wg sync.WaitGroup
	for i := range changes {
		wg.Go(func() { errs[i] = s.Backend.ApplySubscriptions(t.Context(), changes[i:i+1])[0] })
	}
	wg.Wait()
	o := s.readSubscription(t, id)
	for i, err := range errs {
		if won := o.Owner == changes[i].Desired.Owner; won != (err == nil) {
			t.Errorf("rival %d: owns the subscription: %t, error: %v", i, won, err)
		}
		if err != nil && !errors.Is(err, backend.ErrConflict) {
			t.Errorf("rival %d: %v, want ErrConflict", i, err)
		}
	}
	c := s.context("uid-2")
	_, p := s.changeSubscription(t, d, c)
	c.Confirm = refused(t, p, plan.ReasonConflict)
	equal(t, "owner after taking over", d.Owner, s.mustApplySubscriptionWith(t, d, c).Owner)
}

func (s *suite) testSubscriptionLongestName(t *testing.T) {
	store := strings.Repeat("b", layout.MaxStoreName-len(s.name())) + s.name()
	s.mustApplyStore(t, s.store(store))
	s.Append(t, store, 0, 1)
	d := s.subscription(store, strings.Repeat("c", layout.MaxSubscriptionName))
	equal(t, "lag", 1, s.mustApplySubscription(t, d).Lag())
	id := backend.SubscriptionID{Store: store, Name: d.Name}
	s.DeadLetter(t, id, 0, 1)
	equal(t, "dead letters", 1, s.readSubscription(t, id).DeadLetters)
}

func (s *suite) testSubscriptionLostMarker(t *testing.T) {
	if s.LoseSubscriptionMarker == nil {
		t.Skip("markers cannot get lost")
	}
	d, id := s.withStore(t)
	d.Replay = &plan.Replay{ID: "once", From: plan.Start{Earliest: true}}
	c := s.context("uid-2")
	change, _ := s.changeSubscription(t, d, c)
	if err := s.applySubscription(t, change); err != nil {
		t.Fatal(err)
	}
	s.mustApplySubscription(t, d)
	s.Read(t, id, 1, 2, true)
	o := s.readSubscription(t, id)
	c.KnownReplay, c.KnownPositions = o.LastReplay, map[int]string{0: o.Groups[0].Position, 1: o.Groups[1].Position}
	s.LoseSubscriptionMarker(t, id)
	equal(t, "lag after the marker was restored", 1, s.mustApplySubscriptionWith(t, d, c).Lag())
}

func (s *suite) testDeadLetters(t *testing.T) {
	d, id := s.withStore(t)
	s.mustApplySubscription(t, d)
	s.DeadLetter(t, id, 0, 1)
	s.DeadLetter(t, id, 1, 2)
	equal(t, "dead letters", 3, s.readSubscription(t, id).DeadLetters)
	d.DeadLetterRetention = time.Hour
	c := s.context("uid-2")
	_, p := s.changeSubscription(t, d, c)
	c.Confirm = refused(t, p, plan.ReasonDeadLettersNotEmpty)
	equal(t, "retention", time.Hour, s.mustApplySubscriptionWith(t, d, c).DeadLetterRetention)
	equal(t, "records of the store", 3, s.readStore(t, id.Store).Records())
	if len(plan.DeleteSubscription(d, s.readSubscription(t, id), s.context("uid-2"))) == 0 {
		t.Error("a subscription with dead letters may be deleted without confirmation")
	}
}

// testSubscriptionStoreLostMarker takes only the marker from the store: there is still something to read.
func (s *suite) testSubscriptionStoreLostMarker(t *testing.T) {
	if s.LoseMarker == nil {
		t.Skip("markers cannot get lost")
	}
	d, id := s.withStore(t)
	if o := s.mustApplySubscription(t, d); o.StoreGone || o.StoreHasLogs {
		t.Errorf("a subscription whose store is well: %+v", o)
	}
	s.LoseMarker(t, id.Store)
	o := s.readSubscription(t, id)
	if !o.StoreGone || !o.StoreHasLogs || o.Lag() != 3 {
		t.Errorf("a subscription whose store lost its marker: %+v, want logs, and a lag of 3", o)
	}
	refused(t, plan.Plan{Refusals: plan.DeleteSubscription(d, o, s.context("uid-2"))}, plan.ReasonSubscriptionLags)
	never := s.readSubscription(t, backend.SubscriptionID{Store: id.Store, Name: "never-was"})
	equal(t, "logs, seen by a subscription that was never created", true, never.StoreHasLogs)
}

func (s *suite) testSubscriptionTakeOver(t *testing.T) {
	d, id := s.withStore(t)
	equal(t, "takeovers of a new subscription", 0, s.mustApplySubscription(t, d).Takeovers)
	s.Read(t, id, 1, 1, true)
	late, _ := s.changeSubscription(t, d, s.context("uid-2"))

	anew := d
	anew.Owner.UID = "uid-of-the-new-resource"
	equal(t, "takeovers by the same resource", 0, s.mustApplySubscriptionWith(t, anew, s.context(anew.Owner.UID)).Takeovers)

	heir := d
	heir.Owner.Name, heir.Owner.UID = "heir", "uid-9"
	c := s.context("uid-9")
	_, p := s.changeSubscription(t, heir, c)
	c.Confirm = refused(t, p, plan.ReasonConflict)
	o := s.mustApplySubscriptionWith(t, heir, c)
	equal(t, "takeovers", 1, o.Takeovers)
	equal(t, "lag", 2, o.Lag())

	late.Changes, late.Password = []plan.Change{{Field: plan.FieldPrincipal}}, "of the former owner"
	if err := s.applySubscription(t, late); !errors.Is(err, backend.ErrConflict) {
		t.Errorf("the former owner resets the principal: %v, want ErrConflict", err)
	}
	if _, p := s.changeSubscription(t, heir, c); len(p.Changes) > 0 {
		t.Errorf("the former owner's late plan left to be repaired: %v", p.Changes)
	}
}

// waitFor polls until ok, which must be within a minute.
func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
