package backendtest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

func (s *suite) testSubscriptionDelete(t *testing.T) {
	d, id := s.withStore(t)
	sibling := s.subscription(id.Store, "reader-2")
	s.mustApplySubscription(t, d)
	s.mustApplySubscription(t, sibling)
	s.DeadLetter(t, id, 0, 1)
	siblingID := backend.SubscriptionID{Store: id.Store, Name: sibling.Name}
	s.DeadLetter(t, siblingID, 0, 1)
	for range 2 {
		errs := s.Backend.DeleteSubscriptions(t.Context(), s.subscriptions(
			id, backend.SubscriptionID{Store: id.Store, Name: "never-was"}, backend.SubscriptionID{Store: "absent", Name: "x"},
			backend.SubscriptionID{Store: id.Store, Name: "Not A Name"},
		))
		for _, err := range errs {
			if err != nil {
				t.Error(err)
			}
		}
		o := s.readSubscription(t, id)
		if o.Exists() || len(o.Groups) > 0 || o.DeadLetters > 0 || o.Principal != (plan.Principal{}) {
			t.Errorf("the subscription after it was deleted: %+v", o)
		}
	}
	o := s.readSubscription(t, siblingID)
	equal(t, "dead letters of the sibling", 1, o.DeadLetters)
	equal(t, "lag of the sibling", 3, o.Lag())
	equal(t, "records of the store", 3, s.readStore(t, id.Store).Records())
	if _, p := s.changeSubscription(t, sibling, s.context("uid-2")); len(p.Changes) > 0 {
		t.Errorf("the sibling was hurt: %+v", p)
	}
}

func (s *suite) testSubscriptionStoreGone(t *testing.T) {
	d, id := s.withStore(t)
	s.mustApplySubscription(t, d)
	if err := s.Backend.DeleteStores(t.Context(), s.stores(id.Store))[0]; err != nil {
		t.Fatal(err)
	}
	o := s.readSubscription(t, id)
	if !o.StoreGone || o.StoreHasLogs || o.Exists() == s.SubscriptionsGoWithStore {
		t.Errorf("a subscription whose store was deleted: %+v", o)
	}
	if r := plan.DeleteSubscription(d, o, s.context("uid-2")); len(r) > 0 {
		t.Errorf("deletion is refused: %+v", r)
	}
	if err := s.Backend.DeleteSubscriptions(t.Context(), s.subscriptions(id))[0]; err != nil {
		t.Fatal(err)
	}
	if o := s.readSubscription(t, id); o.Exists() || o.Principal != (plan.Principal{}) {
		t.Errorf("the subscription after it was deleted: %+v", o)
	}
}

func (s *suite) testSubscriptionDeleteOfAnother(t *testing.T) {
	d, id := s.withStore(t)
	s.mustApplySubscription(t, d)
	s.DeadLetter(t, id, 0, 1)
	deletions := s.subscriptions(id)
	deletions[0].Owner.Name = "another"
	if err := s.Backend.DeleteSubscriptions(t.Context(), deletions)[0]; !errors.Is(err, backend.ErrConflict) {
		t.Errorf("deletion on behalf of another: %v, want ErrConflict", err)
	}
	change, p := s.changeSubscription(t, d, s.context("uid-2"))
	if o := change.Observed; len(p.Changes)+len(p.Refusals) > 0 || o.Lag() != 3 || o.DeadLetters != 1 {
		t.Errorf("the subscription was hurt: %+v, plan %+v", o, p)
	}
	deletions[0].Owner = d.Owner
	deletions[0].Owner.UID = "uid-of-the-new-resource"
	if err := s.Backend.DeleteSubscriptions(t.Context(), deletions)[0]; err != nil {
		t.Errorf("deletion on behalf of the resource, made anew: %v", err)
	}
	if s.readSubscription(t, id).Exists() {
		t.Error("the subscription exists after it was deleted")
	}
}

// testSubscriptionDeleteOrTakeOver lets somebody take a subscription over while it is deleted: one of the two wins, and
// all of it.
func (s *suite) testSubscriptionDeleteOrTakeOver(t *testing.T) {
	_, first := s.withStore(t)
	for i := range 20 {
		id := backend.SubscriptionID{Store: first.Store, Name: fmt.Sprintf("reader-%d", i)}
		d := s.subscription(id.Store, id.Name)
		s.mustApplySubscription(t, d)
		heir := d
		heir.Owner.Name, heir.Owner.UID = "heir", "uid-9"
		c := s.context("uid-9")
		_, p := s.changeSubscription(t, heir, c)
		c.Confirm = refused(t, p, plan.ReasonConflict)
		claim, _ := s.changeSubscription(t, heir, c)
		var deleted, claimed error
		var wg sync.WaitGroup
		wg.Go(func() {
			time.Sleep(time.Duration(i%5) * 100 * time.Microsecond) // So that each comes first now and then.
			deleted = s.Backend.DeleteSubscriptions(t.Context(), s.subscriptions(id))[0]
		})
		wg.Go(func() {
			claimed = s.Backend.ApplySubscriptions(t.Context(), []backend.SubscriptionChange{claim})[0]
		})
		wg.Wait()
		switch o := s.readSubscription(t, id); {
		case deleted == nil && errors.Is(claimed, backend.ErrConflict):
			if o.Exists() || len(o.Groups) > 0 || o.Principal != (plan.Principal{}) {
				t.Errorf("the subscription was deleted, and is there: %+v", o)
			}
		case claimed == nil && errors.Is(deleted, backend.ErrConflict):
			if _, p := s.changeSubscription(t, heir, c); o.Lag() != 3 || len(p.Changes)+len(p.Refusals) > 0 {
				t.Errorf("the subscription was taken over, and hurt by the deletion: %+v, plan %+v", o, p)
			}
		default:
			t.Errorf("deletion: %v, takeover: %v, want one to succeed, and ErrConflict for the other", deleted, claimed)
		}
	}
}

// testSubscriptionDeleteUnmarked deletes a subscription that has lost its marker: its dead letters stay, and go on
// protecting the store.
func (s *suite) testSubscriptionDeleteUnmarked(t *testing.T) {
	if s.LoseSubscriptionMarker == nil {
		t.Skip("markers cannot get lost")
	}
	d, id := s.withStore(t)
	s.mustApplySubscription(t, d)
	s.DeadLetter(t, id, 0, 1)
	s.LoseSubscriptionMarker(t, id)
	if err := s.Backend.DeleteSubscriptions(t.Context(), s.subscriptions(id))[0]; err != nil {
		t.Error(err)
	}
	o := s.readSubscription(t, id)
	equal(t, "dead letters", 1, o.DeadLetters)
	equal(t, "principal", plan.Principal{}, o.Principal)
	equal(t, "dead letters of the store", 1, s.readStore(t, id.Store).DeadLetters)
}
