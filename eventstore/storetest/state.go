package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
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

// forgetful is a view that loses its connection after each batch that it wrote.
type forgetful struct {
	events []eventstore.Event
	at     eventstore.Checkpoint
}

var errForgetful = errors.New("connection lost")

func (v *forgetful) Checkpoint(context.Context) (eventstore.Checkpoint, error) { return v.at, nil }

func (v *forgetful) Apply(_ context.Context, b eventstore.Batch) error {
	v.events, v.at = append(v.events, b.Events...), b.To
	return errForgetful
}

func (v *forgetful) Reset(context.Context) error {
	v.events, v.at = nil, nil
	return nil
}

// A projection goes on from its checkpoint, though that is in the middle of an append, and has every event once.
func (s *suite) testProjection(ctx context.Context, t testing.TB, store eventstore.Store) {
	var want []string
	for i := range 4 {
		for n := range 2 {
			first := 100*n + 10*i
			appendTo(ctx, t, store, order(n), eventstore.Version(3*i), numbered(first, 3)...)
			for i := range 3 {
				want = append(want, fmt.Sprintf("e%d", first+i))
			}
		}
	}
	client, view := s.reopen(store), &forgetful{}
	p := eventstore.Projection{View: view, BatchSize: 2}
	for run := range 2 {
		err := errForgetful
		for errors.Is(err, errForgetful) {
			err = p.CatchUp(ctx, client)
		}
		if err != nil {
			t.Fatalf("CatchUp: %v", err)
		}
		got := ids(view.events)
		slices.Sort(got)
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("run %d: events in the view -want, +got:\n%s", run, diff)
		}
		if err := p.Rebuild(ctx, client); !errors.Is(err, errForgetful) {
			t.Fatalf("Rebuild: %v, want the view's own error", err)
		}
	}
}
