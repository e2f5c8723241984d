package storetest

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

func (s *suite) testSnapshot(ctx context.Context, t testing.TB, store eventstore.Store) {
	_, err := store.LoadSnapshot(ctx, order42)
	wantIs(t, "LoadSnapshot where there is none", err, eventstore.ErrNotFound)
	for _, v := range []eventstore.Version{2, 5, 3} {
		snapshot := eventstore.Snapshot{Stream: order42, Version: v, Data: []byte{0, byte(v)}, Schema: "2"}
		if err := store.SaveSnapshot(ctx, snapshot); err != nil {
			t.Fatalf("SaveSnapshot of version %d: %v", v, err)
		}
	}
	got, err := s.reopen(store).LoadSnapshot(ctx, order42)
	if err != nil {
		t.Fatal(err)
	}
	want := eventstore.Snapshot{Stream: order42, Version: 5, Data: []byte{0, 5}, Schema: "2"}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(eventstore.Snapshot{}, "Time")); diff != "" || got.Time.IsZero() {
		t.Errorf("the newest version stays, with its time %s; -want, +got:\n%s", got.Time, diff)
	}
	_, err = store.LoadSnapshot(ctx, order(1))
	wantIs(t, "LoadSnapshot of another stream", err, eventstore.ErrNotFound)
}

type counter struct{ Sum, Events int }

// Concurrent commands on one aggregate are all carried out, one after another.
func (s *suite) testAggregate(ctx context.Context, t testing.TB, store eventstore.Store) {
	counters := eventstore.Aggregate[counter]{
		Type: "counter", Snapshot: eventstore.EveryEvents(10),
		Evolve: func(c counter, e eventstore.Event) (counter, error) {
			var n int
			err := e.Decode(&n)
			return counter{Sum: c.Sum + n, Events: c.Events + 1}, err
		},
	}
	var wg sync.WaitGroup
	for range 4 {
		client := s.reopen(store)
		wg.Go(func() {
			for n := range 10 {
				add := func(c counter) ([]eventstore.EventData, error) {
					return []eventstore.EventData{{Type: "Added", Data: n}}, nil
				}
				err := eventstore.ErrConcurrency
				for errors.Is(err, eventstore.ErrConcurrency) { // Execute gives up after some attempts.
					_, err = counters.Execute(ctx, client, "a", add)
				}
				if err != nil {
					t.Errorf("Execute: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	got, version, err := counters.Load(ctx, store, "a")
	if want := (counter{Sum: 180, Events: 40}); err != nil || got != want || version != 40 {
		t.Errorf("Load: %+v at version %d, %v; want %+v at 40", got, version, err, want)
	}
	snapshot, err := store.LoadSnapshot(ctx, eventstore.StreamID{Type: "counter", ID: "a"})
	if err != nil || snapshot.Version <= 30 { // Whoever appended the 10th event after it saved the next.
		t.Errorf("snapshot: version %d, %v; want more than 30", snapshot.Version, err)
	}
}
