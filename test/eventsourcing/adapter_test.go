package eventsourcing

import (
	"context"
	"encoding/json"
	"errors"
	"iter"

	"github.com/hallgren/eventsourcing/core"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

// adapter is a store as hallgren/eventsourcing wants one.
type adapter struct{ store eventstore.Store }

// Save implements [core.EventStore]. It sets the events' global versions.
func (a adapter) Save(events []core.Event) error {
	if len(events) == 0 {
		return nil
	}
	first := events[0]
	data := make([]eventstore.EventData, len(events))
	for i, e := range events {
		data[i] = eventstore.EventData{
			Type: e.Reason, Data: e.Data, Time: e.Timestamp, Metadata: map[string]string{"metadata": string(e.Metadata)},
		}
	}
	ctx := context.Background()
	_, err := a.store.Append(ctx, streamOf(first.AggregateType, first.AggregateID), eventstore.Version(first.Version-1), data...)
	if errors.Is(err, eventstore.ErrConcurrency) {
		return errors.Join(core.ErrConcurrency, err)
	}
	if err != nil {
		return err
	}
	total, err := a.count(ctx)
	for i := range events {
		events[i].GlobalVersion = core.Version(total - len(events) + i + 1)
	}
	return err
}

// count is how many events the store has. It has no number for each of its events over all partitions: what happened in
// two of them at once has no order. One after another, as the suite saves them, the count is such a number.
func (a adapter) count(ctx context.Context) (n int, err error) {
	for _, err := range a.store.Replay(ctx, eventstore.Start{}) {
		if err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}

// Get implements [core.EventStore].
func (a adapter) Get(ctx context.Context, id, aggregateType string, after core.Version) (core.Iterator, error) {
	return iterate(a.store.Read(ctx, streamOf(aggregateType, id), eventstore.Version(after)), 0), nil
}

// fetcher returns a [core.Fetcher]: every call goes on where the one before it stopped.
func (a adapter) fetcher() core.Fetcher {
	last, seen := map[int]eventstore.Position{}, 0
	return func() (core.Iterator, error) {
		var from eventstore.Start
		for _, p := range last {
			from.After = append(from.After, p)
		}
		return iterate(func(yield func(eventstore.Event, error) bool) {
			for e, err := range a.store.Replay(context.Background(), from) {
				if err == nil {
					last[e.Position.Partition] = e.Position
					seen++
				}
				if !yield(e, err) {
					return
				}
			}
		}, seen), nil
	}
}

func streamOf(aggregateType, id string) eventstore.StreamID {
	return eventstore.StreamID{Type: aggregateType, ID: id}
}

// iterator is a [core.Iterator]. It numbers events from one on, if they are of all streams.
type iterator struct {
	next   func() (eventstore.Event, error, bool)
	stop   func()
	event  eventstore.Event
	err    error
	number int
}

func iterate(events iter.Seq2[eventstore.Event, error], before int) *iterator {
	i := &iterator{number: before}
	i.next, i.stop = iter.Pull2(events)
	return i
}

func (i *iterator) Next() (ok bool) {
	i.event, i.err, ok = i.next()
	i.number++
	return ok
}

func (i *iterator) Value() (core.Event, error) {
	e := i.event
	return core.Event{
		AggregateID: e.Stream.ID, AggregateType: e.Stream.Type, Version: core.Version(e.Version), GlobalVersion: core.Version(i.number),
		Timestamp: e.Time, Reason: e.Type, Data: e.Data, Metadata: []byte(e.Metadata["metadata"]),
	}, i.err
}

func (i *iterator) Close() { i.stop() }

// snapshots are a store's as hallgren/eventsourcing wants them.
type snapshots struct{ store eventstore.Snapshots }

// Save implements [core.SnapshotStore].
func (s snapshots) Save(snapshot core.Snapshot) error {
	data, err := json.Marshal(snapshot)
	if err != nil {
		return err
	}
	return s.store.SaveSnapshot(context.Background(), eventstore.Snapshot{
		Stream: streamOf(snapshot.Type, snapshot.ID), Version: eventstore.Version(snapshot.Version), Data: data,
	})
}

// Get implements [core.SnapshotStore].
func (s snapshots) Get(ctx context.Context, id, aggregateType string) (snapshot core.Snapshot, err error) {
	found, err := s.store.LoadSnapshot(ctx, streamOf(aggregateType, id))
	if errors.Is(err, eventstore.ErrNotFound) {
		return snapshot, core.ErrSnapshotNotFound
	}
	if err != nil {
		return snapshot, err
	}
	return snapshot, json.Unmarshal(found.Data, &snapshot)
}
