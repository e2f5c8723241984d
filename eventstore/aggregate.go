package eventstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"
)

// defaultMaxAttempts is how often Execute tries when other writers are faster, or replies are lost.
const defaultMaxAttempts = 10

// An Aggregate rebuilds a domain object of type S from the events of its stream. The zero S is the object before its
// first event. An Aggregate is constant, and may be used concurrently:
//
//	var orders = eventstore.Aggregate[Order]{
//		Type: "order", Evolve: evolve, Snapshot: eventstore.EveryEvents(100),
//	}
type Aggregate[S any] struct {
	// Type is the type of its streams.
	Type string

	// Evolve returns the object after an event. It decides nothing: what happened, happened. Of an event that Execute is
	// about to append it does not see Position and Recorded.
	Evolve func(S, Event) (S, error)

	// Snapshot says when Execute saves a snapshot. Default: never. A snapshot only saves time: if one cannot be
	// used or saved, Logger hears of it, and the events do.
	Snapshot SnapshotPolicy

	// Codec turns S into a snapshot, and back. Default: [JSON].
	Codec Codec

	// Schema names the form of S in snapshots. Those of another schema are not used: change it when S or Codec changes.
	Schema string

	// MaxAttempts is how often Execute decides anew because another writer was faster. Default: 10.
	MaxAttempts int

	// Logger hears of snapshots that cannot be used or saved. Default: [slog.Default].
	Logger *slog.Logger
}

// Load rebuilds an object. It returns the version that it was built from: 0 if there is none yet.
func (a Aggregate[S]) Load(ctx context.Context, store Store, id string) (S, Version, error) {
	l, err := a.load(ctx, store, StreamID{Type: a.Type, ID: id})
	return l.state, l.version, err
}

// loaded is an object, and how its stream grew since its snapshot.
type loaded[S any] struct {
	state   S
	version Version
	growth  Growth
}

func (a Aggregate[S]) load(ctx context.Context, store Store, stream StreamID) (l loaded[S], err error) {
	if l, err = a.restore(ctx, store, stream); err != nil {
		return l, err
	}
	for e, err := range store.Read(ctx, stream, l.version) {
		if err == nil {
			err = a.add(&l, e, e.Recorded)
		}
		if err != nil {
			return loaded[S]{}, err
		}
	}
	return l, nil
}

// add evolves l by the next event of its stream.
func (a Aggregate[S]) add(l *loaded[S], e Event, recorded time.Time) (err error) {
	if l.state, err = a.Evolve(l.state, e); err != nil {
		return fmt.Errorf("cannot evolve %s to version %d: %w", e.Stream, e.Version, err)
	}
	l.version = e.Version
	l.growth.add(e, recorded)
	return nil
}

// Execute loads an object, lets decide say what happens next, and appends it. If another writer was faster, it loads and
// decides again, MaxAttempts times at most; if a reply was lost, it repeats the append with the same ids. It returns the
// object as it is then.
//
// An error of decide ends it, and nothing is appended; neither is anything if decide returns no events, or one that Evolve
// refuses. If the error is [ErrUnknownOutcome] to the end, the events may be there or not: who repeats the command should
// let decide see in the object that it was carried out.
func (a Aggregate[S]) Execute(ctx context.Context, store Store, id string, decide func(S) ([]EventData, error)) (S, error) {
	stream := StreamID{Type: a.Type, ID: id}
	attempts := cmp.Or(a.MaxAttempts, defaultMaxAttempts)
	var err error
	for attempt := range attempts {
		if err := pause(ctx, attempt); err != nil {
			return *new(S), err
		}
		var state S
		var beaten bool
		if state, beaten, err = a.execute(ctx, store, stream, decide); !beaten {
			return state, err
		}
	}
	return *new(S), fmt.Errorf("cannot execute on %s: other writers were faster in all of %d attempts: %w", stream, attempts, err)
}

// execute tries once. beaten says that another writer was faster; an error of decide that says so is decide's.
func (a Aggregate[S]) execute(
	ctx context.Context, store Store, stream StreamID, decide func(S) ([]EventData, error),
) (state S, beaten bool, err error) {
	l, err := a.load(ctx, store, stream)
	if err != nil {
		return l.state, false, err
	}
	decided, err := decide(l.state)
	if err != nil || len(decided) == 0 {
		return l.state, false, err
	}
	events, err := Prepare(decided...)
	if err != nil {
		return l.state, false, err
	}
	base := l.version
	for _, d := range events { // Before they are appended: an event that Evolve refuses would spoil the stream for good.
		if err := a.add(&l, d.event(stream, l.version+1), d.Time); err != nil {
			return l.state, false, err
		}
	}
	if err := appendSurely(ctx, store, stream, base, events); err != nil {
		return l.state, errors.Is(err, ErrConcurrency), err
	}
	a.snapshot(ctx, store, stream, l)
	return l.state, false, nil
}

// appendSurely repeats an append of prepared events while its outcome is unknown.
func appendSurely(ctx context.Context, store Appender, stream StreamID, expected Version, events []EventData) error {
	var err error
	for attempt := range defaultMaxAttempts {
		if pause(ctx, attempt) != nil {
			return err // The outcome is still unknown, which says more than that ctx ended.
		}
		if _, err = store.Append(ctx, stream, expected, events...); !errors.Is(err, ErrUnknownOutcome) {
			return err
		}
	}
	return err
}

// pause waits before the n-th repetition, a little longer each time: not at all for n = 0.
func pause(ctx context.Context, n int) error {
	if n == 0 {
		return nil
	}
	select {
	case <-time.After(rand.N(time.Duration(n)*2*time.Millisecond) + 1):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// event is what a prepared d will be when it is read.
func (d EventData) event(stream StreamID, v Version) Event {
	data, _ := d.Data.([]byte)
	return Event{
		Stream: stream, Version: v, ID: d.ID, Type: d.Type, Data: data, ContentType: d.ContentType, Time: d.Time,
		CorrelationID: d.CorrelationID, CausationID: d.CausationID, Metadata: d.Metadata,
	}
}
