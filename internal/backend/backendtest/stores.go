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

func (s *suite) testStores(t *testing.T) {
	t.Run("Lifecycle", s.testStoreLifecycle)
	t.Run("Settings", s.testStoreSettings)
	t.Run("Batch", s.testStoreBatch)
	t.Run("Drift", s.testStoreDrift)
	t.Run("Crash", s.testStoreCrash)
	t.Run("Conflict", s.testStoreConflict)
	t.Run("TakeOver", s.testStoreTakeOver)
	t.Run("OrphanThenImport", s.testStoreImport)
	t.Run("LongestName", s.testStoreLongestName)
	t.Run("LostLog", s.testStoreLostLog)
	t.Run("LostMarker", s.testStoreLostMarker)
	t.Run("WithoutPrincipal", s.testStoreWithoutPrincipal)
	t.Run("Fence", s.testStoreFence)
	t.Run("Unfence", s.testStoreUnfence)
	t.Run("DeadLetters", s.testStoreDeadLetters)
	t.Run("Delete", s.testStoreDelete)
	t.Run("DeleteOfAnother", s.testStoreDeleteOfAnother)
	t.Run("DeleteMadeAnew", s.testStoreDeleteMadeAnew)
	t.Run("DeleteOrTakeOver", s.testStoreDeleteOrTakeOver)
	t.Run("DeleteUnmarked", s.testStoreDeleteUnmarked)
}

func (s *suite) testStoreLifecycle(t *testing.T) {
	d := s.store(s.name())
	if o := s.readStore(t, d.Name); o.Exists() {
		t.Fatalf("a store that was never created exists: %+v", o)
	}
	create, p := s.change(t, d, s.context("uid-1"))
	equal(t, "changes that create", "owner, events, principal", madeOf(p.Changes))
	if err := s.applyStore(t, create); err != nil {
		t.Fatal(err)
	}
	o := s.readStore(t, d.Name)
	equal(t, "settings", d.StoreSettings, settings(d, o))
	equal(t, "layout", layout.Version, o.Layout)
	equal(t, "kind", layout.Sourcing, o.Kind)
	equal(t, "principal", d.Principal, o.Principal)
	equal(t, "records", 0, o.Records())
	equal(t, "partitions", 2, len(o.Logs))
	if o.Persistence == "" {
		t.Error("Persistence is empty")
	}
	if _, p := s.change(t, d, s.context("uid-1")); len(p.Changes)+len(p.Refusals) > 0 {
		t.Errorf("the plan after creation is not empty: %+v", p)
	}

	before := time.Now().Add(-time.Minute)
	s.Append(t, d.Name, 1, 3)
	if err := s.applyStore(t, create); err != nil { // Its reply was lost, say.
		t.Errorf("applying the same changes once more: %v", err)
	}
	o = s.readStore(t, d.Name)
	equal(t, "records", 3, o.Records())
	log := o.Logs[1]
	if log.Partition != 1 || log.First == "" || log.Last == "" || log.First == log.Last || log.Bytes <= 0 || log.Oldest.Before(before) || log.Newest.Before(log.Oldest) {
		t.Errorf("log of partition 1 with three records: %+v", log)
	}
	if l := o.Logs[0]; l.First != "" || l.Last != "" || !l.Oldest.IsZero() || !l.Newest.IsZero() {
		t.Errorf("log of partition 0 without records: %+v", l)
	}
}

func (s *suite) testStoreSettings(t *testing.T) {
	d := s.store(s.name())
	d.Snapshots, d.MaxEventBytes = true, 1<<20
	s.mustApplyStore(t, d)
	s.Append(t, d.Name, 0, 1)

	d.Snapshots, d.MaxEventBytes = false, 2<<20
	s.mustApplyStore(t, d)

	// Forgetting needs a confirmation, and makes a streaming store for good.
	d.Retention = plan.Retention{Duration: 72*time.Hour + time.Nanosecond}
	c := s.context("uid-1")
	change, p := s.change(t, d, c)
	c.Confirm = refused(t, p, plan.ReasonRetentionShrink)
	equal(t, "changes without confirmation", "", fields(change.Changes))
	o := s.mustApplyStoreWith(t, d, c)
	equal(t, "retention", d.Retention, o.Retention)
	equal(t, "kind", layout.Streaming, o.Kind)
	d.Retention = plan.Retention{Duration: 100 * time.Hour}
	s.mustApplyStore(t, d)
	d.Retention = plan.Retention{}
	o = s.mustApplyStore(t, d)
	equal(t, "retention", plan.Retention{}, o.Retention)
	equal(t, "kind of a store that once forgot", layout.Streaming, o.Kind)
	equal(t, "records", 1, o.Records())

	streaming := s.store(s.name())
	streaming.Retention = plan.Retention{Duration: time.Hour, Bytes: 1 << 30}
	if !s.Backend.Capabilities().Fields[plan.FieldRetentionBytes].Supported {
		streaming.Retention.Bytes = 0
	}
	equal(t, "kind of a store that begins with a retention", layout.Streaming, s.mustApplyStore(t, streaming).Kind)
}

// settings are the observed ones, but for the number of copies where nobody asks for one: it is the broker's default.
func settings(d plan.DesiredStore, o plan.ObservedStore) plan.StoreSettings {
	if d.Replicas == 0 {
		o.Replicas = 0
	}
	return o.StoreSettings
}

// testStoreBatch proves that the i-th answer belongs to the i-th question, and that one that fails fails alone.
func (s *suite) testStoreBatch(t *testing.T) {
	var changes []backend.StoreChange
	var names []string
	for i := range 30 {
		d := s.store(s.name())
		d.Partitions = 1 + i%4
		change, _ := s.change(t, d, s.context("uid-1"))
		names, changes = append(names, d.Name), append(changes, change)
	}
	changes[7].Desired.Name = "Not A Name"
	errs := s.Backend.ApplyStores(t.Context(), changes)
	for i, err := range errs {
		if (err != nil) != (i == 7) {
			t.Errorf("error of change %d: %v", i, err)
		}
	}
	names = append(names, names[3], "Not A Name", "absent")
	for i, r := range s.Backend.ReadStores(t.Context(), names) {
		if r.Err != nil {
			t.Errorf("store %q: %v", names[i], r.Err)
			continue
		}
		want := 1 + i%4
		switch i {
		case 7, 31, 32:
			want = 0
		case 30:
			want = 1 + 3%4
		}
		if r.Value.Partitions != want || len(r.Value.Logs) != want {
			t.Errorf("store %q: %d partitions, %d logs, want %d", names[i], r.Value.Partitions, len(r.Value.Logs), want)
		}
	}
	equal(t, "results for no names", 0, len(s.Backend.ReadStores(t.Context(), nil)))
	equal(t, "errors for no changes", 0, len(s.Backend.ApplyStores(t.Context(), nil)))
	for _, err := range s.Backend.DeleteStores(t.Context(), s.stores(names...)) {
		if err != nil {
			t.Error(err)
		}
	}
}

func (s *suite) testStoreDrift(t *testing.T) {
	if len(s.StoreDrifts) == 0 {
		t.Skip("the harness changes nothing")
	}
	for _, drift := range s.StoreDrifts {
		t.Run(drift.Name, func(t *testing.T) {
			d := s.store(s.name())
			d.Retention = plan.Retention{Duration: time.Hour}
			d.Snapshots, d.MaxEventBytes = true, 1<<20
			s.mustApplyStore(t, d)
			drift.Make(t, d.Name)
			c := s.context("uid-1")
			_, p := s.change(t, d, c)
			for _, r := range p.Refusals {
				c.Confirm += r.Token + ","
			}
			_, p = s.change(t, d, c)
			equal(t, "repairs", string(drift.Want), fields(p.Changes))
			o := s.mustApplyStoreWith(t, d, c)
			equal(t, "settings", d.StoreSettings, settings(d, o))
			equal(t, "principal", d.Principal, o.Principal)
		})
	}
}

// testStoreCrash applies a part of a plan, as a provider does that crashes, and lets the next plan finish.
func (s *suite) testStoreCrash(t *testing.T) {
	for k := 0; ; k++ {
		d := s.store(s.name())
		d.Retention, d.Snapshots = plan.Retention{Duration: time.Hour}, true
		change, p := s.change(t, d, s.context("uid-1"))
		if k > len(p.Changes) {
			return
		}
		t.Run(fmt.Sprintf("After%dOf%d", k, len(p.Changes)), func(t *testing.T) {
			change.Changes = p.Changes[:k]
			if err := s.applyStore(t, change); err != nil {
				t.Fatal(err)
			}
			o := s.mustApplyStore(t, d)
			equal(t, "settings", d.StoreSettings, settings(d, o))
			equal(t, "principal", d.Principal, o.Principal)
		})
	}
}

func (s *suite) testStoreConflict(t *testing.T) {
	ours := s.store(s.name())
	const rivals = 8
	changes := make([]backend.StoreChange, rivals)
	for i := range changes {
		d := ours
		d.Owner.Name = fmt.Sprintf("rival-%d", i)
		changes[i], _ = s.change(t, d, s.context("uid-1"))
	}
	errs := make([]error, rivals)
	var wg sync.WaitGroup
	for i := range changes {
		wg.Go(func() { errs[i] = s.Backend.ApplyStores(t.Context(), changes[i:i+1])[0] })
	}
	wg.Wait()
	o := s.readStore(t, ours.Name)
	for i, err := range errs {
		if won := o.Owner == changes[i].Desired.Owner; won != (err == nil) {
			t.Errorf("rival %d: owns the store: %t, error: %v", i, won, err)
		}
		if err != nil && !errors.Is(err, backend.ErrConflict) {
			t.Errorf("rival %d: %v, want ErrConflict", i, err)
		}
	}
	_, p := s.change(t, ours, s.context("uid-1"))
	refused(t, p, plan.ReasonConflict)
}

func (s *suite) testStoreTakeOver(t *testing.T) {
	d := s.store(s.name())
	s.mustApplyStore(t, d)
	s.Append(t, d.Name, 0, 2)
	late, _ := s.change(t, d, s.context("uid-1"))

	heir := d
	heir.Owner.Name, heir.Owner.UID = "heir", "uid-9"
	c := s.context("uid-9")
	_, p := s.change(t, heir, c)
	c.Confirm = refused(t, p, plan.ReasonConflict)
	o := s.mustApplyStoreWith(t, heir, c)
	equal(t, "owner", heir.Owner, o.Owner)
	equal(t, "records", 2, o.Records())
	equal(t, "takeovers", 1, o.Takeovers)

	late.Changes = []plan.Change{{Field: plan.FieldSnapshots, To: "true"}}
	late.Desired.Snapshots = true
	if err := s.applyStore(t, late); !errors.Is(err, backend.ErrConflict) {
		t.Errorf("the former owner changes the store: %v, want ErrConflict", err)
	}
	if s.readStore(t, d.Name).Snapshots {
		t.Error("the former owner's change was made")
	}
	late.Changes = []plan.Change{{Field: plan.FieldPrincipal}}
	late.Password = "of the former owner"
	if err := s.applyStore(t, late); !errors.Is(err, backend.ErrConflict) {
		t.Errorf("the former owner resets the principal: %v, want ErrConflict", err)
	}
	if _, p := s.change(t, heir, c); len(p.Changes) > 0 {
		t.Errorf("the former owner's late plan left to be repaired: %v", p.Changes)
	}

	// The former owner takes it back. Its heir's confirmation still stands, and is worth nothing any more.
	back := s.context("uid-1")
	_, p = s.change(t, d, back)
	back.Confirm = refused(t, p, plan.ReasonConflict)
	equal(t, "takeovers after it was taken back", 2, s.mustApplyStoreWith(t, d, back).Takeovers)
	_, p = s.change(t, heir, c)
	refused(t, p, plan.ReasonConflict)
}

// testStoreImport deletes the resource and not the store, and makes the resource anew.
func (s *suite) testStoreImport(t *testing.T) {
	d := s.store(s.name())
	s.mustApplyStore(t, d)
	s.Append(t, d.Name, 0, 2)
	d.Owner.UID, d.Partitions = "uid-of-the-new-resource", 0
	change, p := s.change(t, d, s.context(d.Owner.UID))
	equal(t, "changes", "owner", fields(p.Changes))
	if err := s.applyStore(t, change); err != nil {
		t.Fatal(err)
	}
	o := s.readStore(t, d.Name)
	equal(t, "owner", d.Owner, o.Owner)
	equal(t, "records", 2, o.Records())
	equal(t, "partitions", 2, o.Partitions)
	equal(t, "takeovers", 0, o.Takeovers)
}

func (s *suite) testStoreLongestName(t *testing.T) {
	for name, store := range map[string]string{
		"Long":  strings.Repeat("a", layout.MaxStoreName-len(s.name())) + s.name(),
		"Short": "x",
		"Dots":  s.name() + "..--..a",
	} {
		t.Run(name, func(t *testing.T) {
			d := s.store(store)
			s.mustApplyStore(t, d)
			s.Append(t, d.Name, 0, 1)
			equal(t, "records", 1, s.readStore(t, d.Name).Records())
			if err := s.Backend.DeleteStores(t.Context(), s.stores(store))[0]; err != nil {
				t.Error(err)
			}
			if s.readStore(t, store).Exists() {
				t.Error("the store exists after it was deleted")
			}
		})
	}
}

func (s *suite) testStoreLostLog(t *testing.T) {
	if s.LoseLog == nil {
		t.Skip("logs cannot get lost")
	}
	d := s.store(s.name())
	s.mustApplyStore(t, d)
	s.Append(t, d.Name, 1, 2)
	s.LoseLog(t, d.Name, 0)
	c := s.context("uid-1")
	c.KnownRecords = map[int]int64{1: 2}
	equal(t, "partitions after an empty one was restored", 2, len(s.mustApplyStoreWith(t, d, c).Logs))

	s.LoseLog(t, d.Name, 1)
	change, p := s.change(t, d, c)
	token := refused(t, p, plan.ReasonDataLost)
	equal(t, "changes without confirmation", "", fields(change.Changes))
	c.Confirm = token
	change, _ = s.change(t, d, c)
	if err := s.applyStore(t, change); err != nil {
		t.Fatal(err)
	}
	equal(t, "partitions", 2, len(s.readStore(t, d.Name).Logs))
}

func (s *suite) testStoreLostMarker(t *testing.T) {
	if s.LoseMarker == nil {
		t.Skip("markers cannot get lost")
	}
	d := s.store(s.name())
	d.Retention = plan.Retention{Duration: time.Hour}
	s.mustApplyStore(t, d)
	s.Append(t, d.Name, 1, 2)
	s.LoseMarker(t, d.Name)
	c := s.context("uid-1")
	_, p := s.change(t, d, c)
	c.Confirm = refused(t, p, plan.ReasonUnowned)
	_, p = s.change(t, d, c) // Nobody knows the retention any more, so the store keeps everything until that is confirmed too.
	c.Confirm += "," + refused(t, p, plan.ReasonRetentionShrink)
	o := s.mustApplyStoreWith(t, d, c)
	equal(t, "settings", d.StoreSettings, settings(d, o))
	equal(t, "records", 2, o.Records())
}

func (s *suite) testStoreWithoutPrincipal(t *testing.T) {
	d := s.store(s.name())
	with := d.Principal
	d.Principal = plan.Principal{}
	equal(t, "principal", plan.Principal{}, s.mustApplyStore(t, d).Principal)
	if err := s.Backend.FenceStores(t.Context(), []string{d.Name})[0]; err != nil {
		t.Errorf("fencing a store without a principal: %v", err)
	}
	equal(t, "principal after fencing", plan.Principal{}, s.readStore(t, d.Name).Principal)
	d.Principal = with
	s.mustApplyStore(t, d)
	d.Principal = plan.Principal{}
	s.mustApplyStore(t, d)
}
