package backendtest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

func (s *suite) testStoreFence(t *testing.T) {
	d := s.store(s.name())
	s.mustApplyStore(t, d)
	for range 2 {
		if err := s.Backend.FenceStores(t.Context(), []string{d.Name})[0]; err != nil {
			t.Fatal(err)
		}
	}
	_, p := s.change(t, d, s.context("uid-1"))
	equal(t, "what gives the rights back", "principal", fields(p.Changes))
	s.mustApplyStore(t, d)
	if s.Login != nil {
		if err := s.Login(t.Context(), d.Principal.Name, s.password(layout.StorePrincipal(d.Name))); err != nil {
			t.Errorf("login after the rights were given back: %v", err)
		}
	}
}

func (s *suite) testStoreUnfence(t *testing.T) {
	d := s.store(s.name())
	s.mustApplyStore(t, d)
	do := func(what string, f func(context.Context, []string) []error) {
		t.Helper()
		for _, err := range f(t.Context(), []string{d.Name, "never-was", "Not A Name"}) {
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
	do("unfencing what was never fenced", s.Backend.UnfenceStores)
	do("fencing", s.Backend.FenceStores)
	if s.Login != nil {
		if err := s.Login(t.Context(), d.Principal.Name, s.password(layout.StorePrincipal(d.Name))); err == nil {
			t.Error("a fenced principal logs in")
		}
	}
	for range 2 {
		do("unfencing", s.Backend.UnfenceStores)
		if _, p := s.change(t, d, s.context("uid-1")); len(p.Changes)+len(p.Refusals) > 0 {
			t.Errorf("after unfencing there is something to repair: %+v", p)
		}
	}
	if s.Login != nil {
		if err := s.Login(t.Context(), d.Principal.Name, s.password(layout.StorePrincipal(d.Name))); err != nil {
			t.Errorf("login with the old password after unfencing: %v", err)
		}
	}
	equal(t, "principal of a store that was never there", plan.Principal{}, s.readStore(t, "never-was").Principal)
}

// testStoreDeadLetters counts what all subscriptions have in all partitions, and nothing of a neighbour.
func (s *suite) testStoreDeadLetters(t *testing.T) {
	d, other := s.store(s.name()), s.store(s.name())
	for _, d := range []plan.DesiredStore{d, other} {
		equal(t, "dead letters without subscriptions", 0, s.mustApplyStore(t, d).DeadLetters)
		for i, n := range []string{"a", "b"} {
			sub := s.subscription(d.Name, n)
			s.mustApplySubscription(t, sub)
			equal(t, "dead letters of subscriptions without any", int64(3*i), s.readStore(t, d.Name).DeadLetters)
			s.DeadLetter(t, backend.SubscriptionID{Store: d.Name, Name: n}, 0, 1)
			s.DeadLetter(t, backend.SubscriptionID{Store: d.Name, Name: n}, 1, 2)
		}
	}
	o := s.readStore(t, d.Name)
	equal(t, "dead letters", 6, o.DeadLetters)
	refused(t, plan.Plan{Refusals: plan.DeleteStore(d, o, s.context("uid-1"))}, plan.ReasonDeadLettersNotEmpty)
	err := s.Backend.DeleteSubscriptions(t.Context(), s.subscriptions(backend.SubscriptionID{Store: d.Name, Name: "a"}))[0]
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "dead letters after a subscription was deleted", 3, s.readStore(t, d.Name).DeadLetters)
}

// testStoreDeleteOfAnother deletes on behalf of a resource that does not own the store, and changes nothing.
func (s *suite) testStoreDeleteOfAnother(t *testing.T) {
	d, ours := s.store(s.name()), s.store(s.name())
	s.mustApplyStore(t, d)
	s.mustApplyStore(t, ours)
	s.Append(t, d.Name, 0, 2)
	for what, edit := range map[string]func(*plan.Owner){
		"control plane": func(o *plan.Owner) { o.ControlPlane = "another" },
		"group":         func(o *plan.Owner) { o.Group = "another" },
		"kind":          func(o *plan.Owner) { o.Kind = "another" },
		"namespace":     func(o *plan.Owner) { o.Namespace = "another" },
		"name":          func(o *plan.Owner) { o.Name = "another" },
		"everything":    func(o *plan.Owner) { *o = plan.Owner{} },
	} {
		deletions := s.stores(d.Name, ours.Name)
		edit(&deletions[0].Owner)
		errs := s.Backend.DeleteStores(t.Context(), deletions)
		if !errors.Is(errs[0], backend.ErrConflict) || errs[1] != nil {
			t.Errorf("another %s: %v, want ErrConflict, and nil for the store that is its own", what, errs)
		}
	}
	if s.readStore(t, ours.Name).Exists() {
		t.Error("the store that the deleter owns exists after it was deleted")
	}
	change, p := s.change(t, d, s.context("uid-1"))
	if len(p.Changes)+len(p.Refusals) > 0 || change.Observed.Records() != 2 {
		t.Errorf("the store was hurt: %+v, %d records", p, change.Observed.Records())
	}
}

// testStoreDeleteMadeAnew deletes on behalf of a resource that was made anew, and has not claimed what it owns yet.
func (s *suite) testStoreDeleteMadeAnew(t *testing.T) {
	d := s.store(s.name())
	s.mustApplyStore(t, d)
	d.Owner.UID = "uid-of-the-new-resource"
	if err := s.Backend.DeleteStores(t.Context(), []backend.StoreDeletion{{Name: d.Name, Owner: d.Owner}})[0]; err != nil {
		t.Error(err)
	}
	if s.readStore(t, d.Name).Exists() {
		t.Error("the store exists after it was deleted")
	}
}

// testStoreDeleteOrTakeOver lets somebody take a store over while it is deleted: one of the two wins, and all of it.
func (s *suite) testStoreDeleteOrTakeOver(t *testing.T) {
	for i := range 20 {
		d := s.store(s.name())
		d.Partitions = 4
		s.mustApplyStore(t, d)
		for p := range 4 {
			s.Append(t, d.Name, p, 2)
		}
		heir := d
		heir.Owner.Name, heir.Owner.UID = "heir", "uid-9"
		c := s.context("uid-9")
		_, p := s.change(t, heir, c)
		c.Confirm = refused(t, p, plan.ReasonConflict)
		claim, _ := s.change(t, heir, c)
		var deleted, claimed error
		var wg sync.WaitGroup
		wg.Go(func() {
			time.Sleep(time.Duration(i%5) * 100 * time.Microsecond) // So that each comes first now and then.
			deleted = s.Backend.DeleteStores(t.Context(), s.stores(d.Name))[0]
		})
		wg.Go(func() { claimed = s.Backend.ApplyStores(t.Context(), []backend.StoreChange{claim})[0] })
		wg.Wait()
		switch o := s.readStore(t, d.Name); {
		case deleted == nil && errors.Is(claimed, backend.ErrConflict):
			if o.Exists() || o.Principal != (plan.Principal{}) {
				t.Errorf("the store was deleted, and is there: %+v", o)
			}
		case claimed == nil && errors.Is(deleted, backend.ErrConflict):
			if _, p := s.change(t, heir, c); o.Records() != 8 || len(p.Changes)+len(p.Refusals) > 0 {
				t.Errorf("the store was taken over, and hurt by the deletion: %d records, plan %+v", o.Records(), p)
			}
		default:
			t.Errorf("deletion: %v, takeover: %v, want one to succeed, and ErrConflict for the other", deleted, claimed)
		}
	}
}

// testStoreDeleteUnmarked deletes a store that has lost its marker: nothing says whose the events are, so they stay.
func (s *suite) testStoreDeleteUnmarked(t *testing.T) {
	if s.LoseMarker == nil {
		t.Skip("markers cannot get lost")
	}
	d := s.store(s.name())
	s.mustApplyStore(t, d)
	s.Append(t, d.Name, 1, 2)
	s.LoseMarker(t, d.Name)
	if err := s.Backend.DeleteStores(t.Context(), s.stores(d.Name))[0]; err != nil {
		t.Error(err)
	}
	o := s.readStore(t, d.Name)
	equal(t, "records", 2, o.Records())
	equal(t, "principal", plan.Principal{}, o.Principal)
}

func (s *suite) testStoreDelete(t *testing.T) {
	d := s.store(s.name())
	neighbours := []string{d.Name + "0", d.Name + "-x", d.Name + ".x", "x" + d.Name}
	for _, n := range append(neighbours, d.Name) {
		s.mustApplyStore(t, s.store(n))
		s.Append(t, n, 0, 2)
	}
	c := s.context("uid-1")
	for range 2 {
		for _, err := range s.Backend.DeleteStores(t.Context(), s.stores(d.Name, "never-was", "Not A Name")) {
			if err != nil {
				t.Error(err)
			}
		}
		equal(t, "store after deletion", plan.Principal{}, s.readStore(t, d.Name).Principal)
		if o := s.readStore(t, d.Name); o.Exists() {
			t.Errorf("the store exists after it was deleted: %+v", o)
		}
	}
	for _, n := range neighbours {
		change, p := s.change(t, s.store(n), c)
		if len(p.Changes)+len(p.Refusals) > 0 || change.Observed.Records() != 2 {
			t.Errorf("neighbour %q was hurt: %+v, %d records", n, p, change.Observed.Records())
		}
	}
	equal(t, "records of a store made anew", 0, s.mustApplyStore(t, d).Records())
	if len(plan.DeleteStore(d, s.readStore(t, neighbours[0]), c)) == 0 {
		t.Error("a store with records may be deleted without confirmation")
	}
}
