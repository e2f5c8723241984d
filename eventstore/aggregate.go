package eventstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// maxAttempts is how often Execute tries when other writers are faster, or replies are lost.
const maxAttempts = 10

// An Aggregate rebuilds a domain object of type S from the events of its stream. The zero S is the object before its
// first event. An Aggregate is constant, and may be used concurrently:
//
//	var orders = eventstore.Aggregate[Order]{Type: "order", Evolve: evolve, SnapshotEvery: 100}
type Aggregate[S any] struct {
	// Type is the type of its streams.
	Type string

	// Evolve returns the object after an event. It decides nothing: what happened, happened.
	Evolve func(S, Event) (S, error)

	// SnapshotEvery makes Execute save a snapshot, S as JSON, whenever that many events were added. 0: never.
	SnapshotEvery int

	// Schema names the form of S in snapshots. Those of another schema are not used: change it when S changes.
	Schema string
}

// Load rebuilds an object. It returns the version that it was built from: 0 if there is none yet.
func (a Aggregate[S]) Load(ctx context.Context, store Store, id string) (S, Version, error) {
	stream := StreamID{Type: a.Type, ID: id}
	state, version, err := a.snapshot(ctx, store, stream)
	if err != nil {
		return state, 0, err
	}
	for e, err := range store.Read(ctx, stream, version) {
		if err != nil {
			return state, 0, err
		}
		if state, err = a.Evolve(state, e); err != nil {
			return state, 0, fmt.Errorf("cannot evolve %s to version %d: %w", stream, e.Version, err)
		}
		version = e.Version
	}
	return state, version, nil
}

// Execute loads an object, lets decide say what happens next, and appends it. If another writer was faster, it loads and
// decides again; if a reply was lost, it repeats the append with the same ids. It returns the object as it is then.
// An error of decide ends it, and nothing is appended; neither is anything if decide returns no events.
func (a Aggregate[S]) Execute(ctx context.Context, store Store, id string, decide func(S) ([]EventData, error)) (S, error) {
	stream := StreamID{Type: a.Type, ID: id}
	var err error
	for attempt := range maxAttempts {
		if attempt > 0 {
			if err := pause(ctx, time.Duration(rand.Int64N(int64(attempt)*int64(2*time.Millisecond)+1))); err != nil {
				return *new(S), err
			}
		}
		var state S
		if state, err = a.execute(ctx, store, stream, decide); !errors.Is(err, ErrConcurrency) {
			return state, err
		}
	}
	return *new(S), fmt.Errorf("cannot execute on %s: gave up after %d attempts: %w", stream, maxAttempts, err)
}

func (a Aggregate[S]) execute(ctx context.Context, store Store, stream StreamID, decide func(S) ([]EventData, error)) (S, error) {
	state, version, err := a.Load(ctx, store, stream.ID)
	if err != nil {
		return state, err
	}
	decided, err := decide(state)
	if err != nil || len(decided) == 0 {
		return state, err
	}
	events, err := Prepare(decided...)
	if err != nil {
		return state, err
	}
	for range maxAttempts {
		if _, err = store.Append(ctx, stream, version, events...); !errors.Is(err, ErrUnknownOutcome) || ctx.Err() != nil {
			break
		}
	}
	if err != nil {
		return state, err
	}
	for i, d := range events {
		if state, err = a.Evolve(state, d.event(stream, version+Version(i)+1)); err != nil {
			return state, fmt.Errorf("cannot evolve %s to version %d: %w", stream, version+Version(i)+1, err)
		}
	}
	return state, a.save(ctx, store, stream, state, version, version+Version(len(events)))
}

func (a Aggregate[S]) snapshot(ctx context.Context, store Store, stream StreamID) (state S, version Version, err error) {
	if a.SnapshotEvery < 1 {
		return state, 0, nil
	}
	s, err := store.LoadSnapshot(ctx, stream)
	if errors.Is(err, ErrNotFound) || err == nil && s.Schema != a.Schema {
		return state, 0, nil
	}
	if err != nil {
		return state, 0, err
	}
	if err := json.Unmarshal(s.Data, &state); err != nil {
		return state, 0, fmt.Errorf("cannot read snapshot of %s, change Schema when the state's type changes: %w", stream, err)
	}
	return state, s.Version, nil
}

// save keeps a snapshot if the append crossed a multiple of SnapshotEvery.
func (a Aggregate[S]) save(ctx context.Context, store Store, stream StreamID, state S, before, after Version) error {
	every := Version(a.SnapshotEvery)
	if every < 1 || before/every == after/every {
		return nil
	}
	data, err := json.Marshal(state)
	if err == nil {
		err = store.SaveSnapshot(ctx, Snapshot{Stream: stream, Version: after, Data: data, Schema: a.Schema})
	}
	if err != nil {
		return fmt.Errorf("appended to %s, but cannot save its snapshot: %w", stream, err)
	}
	return nil
}

// event is what a prepared d will be when it is read.
func (d EventData) event(stream StreamID, v Version) Event {
	data, _ := d.Data.([]byte)
	return Event{
		Stream: stream, Version: v, ID: d.ID, Type: d.Type, Data: data, ContentType: d.ContentType, Time: d.Time,
		CorrelationID: d.CorrelationID, CausationID: d.CausationID, Metadata: d.Metadata,
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
