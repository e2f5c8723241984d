package memory

import (
	"context"
	"fmt"
	"iter"
	"strconv"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/guard"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/record"
)

// Read implements [eventstore.Reader].
func (s *Store) Read(ctx context.Context, stream eventstore.StreamID, after eventstore.Version) iter.Seq2[eventstore.Event, error] {
	return guard.Read(ctx, s.binding, s.open, stream, func(ctx context.Context, yield func(eventstore.Event, error) bool) error {
		for _, e := range s.db.read(stream, after) {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if !yield(e, nil) {
				return nil
			}
		}
		return nil
	})
}

func (db *database) read(stream eventstore.StreamID, after eventstore.Version) (events []eventstore.Event) {
	db.mu.Lock()
	defer db.mu.Unlock()
	for _, i := range db.streams[stream] {
		for _, e := range db.log[i].events {
			if e.Version > after {
				events = append(events, e)
			}
		}
	}
	return events
}

// Replay implements [eventstore.Reader]. Partitions are merged in the order of appends.
func (s *Store) Replay(ctx context.Context, from eventstore.Start) iter.Seq2[eventstore.Event, error] {
	return guard.Replay(ctx, s.binding, s.open, func(ctx context.Context, yield func(eventstore.Event, error) bool) error {
		return s.replay(ctx, from, yield)
	})
}

func (s *Store) replay(ctx context.Context, from eventstore.Start, yield func(eventstore.Event, error) bool) error {
	after, err := record.After(from, s.db.partitions, parseCursor)
	if err != nil {
		return err
	}
	end := -1
	for i := 0; ; i++ {
		e, last, err := s.entry(ctx, i, &end, from.Live)
		if err != nil || last {
			return err
		}
		for _, event := range e.events {
			if c, ok := after[e.partition]; ok && !c.before(event.Position) || !ok && event.Recorded.Before(from.Time) {
				continue
			}
			if !yield(event, nil) {
				return nil
			}
		}
	}
}

// entry returns the i-th append, and waits for it if live. last says that the replay is over.
func (s *Store) entry(ctx context.Context, i int, end *int, live bool) (e entry, last bool, err error) {
	for {
		if ctx.Err() != nil {
			return e, false, context.Cause(ctx)
		}
		s.db.mu.Lock()
		n, changed := len(s.db.log), s.db.changed
		if i < n {
			e = s.db.log[i]
		}
		s.db.mu.Unlock()
		if *end < 0 {
			*end = n
		}
		switch {
		case !live && i >= *end:
			return e, true, nil
		case i < n:
			return e, false, nil
		}
		if err := wait(ctx, changed); err != nil {
			return e, false, err
		}
	}
}

// position of the i-th event of an entry: its place in the log, and i unless it is the first.
func position(partition, entry, i int) eventstore.Position {
	return eventstore.Position{Partition: partition, Offset: cursor{entry + 1, i}.String()}
}

// cursor is an event of an entry.
type cursor struct{ entry, event int }

func parseCursor(offset string) (c cursor, err error) {
	var place string
	place, c.event = record.ParseOffset(offset)
	if c.entry, err = strconv.Atoi(place); err != nil || c.String() != offset {
		return cursor{}, fmt.Errorf("cannot read offset %.60q: it must look like 12, or 12.1 within a batch", offset)
	}
	return c, nil
}

func (c cursor) String() string { return record.Offset(strconv.Itoa(c.entry), c.event) }

// before reports whether a position of the same partition is after c.
func (c cursor) before(p eventstore.Position) bool {
	at, _ := parseCursor(p.Offset) // It is one of ours.
	return c.entry < at.entry || c.entry == at.entry && c.event < at.event
}

// SaveSnapshot implements [eventstore.Snapshots].
func (s *Store) SaveSnapshot(ctx context.Context, snapshot eventstore.Snapshot) error {
	return guard.SaveSnapshot(ctx, s.writing(), s.open, snapshot.Stream, func(context.Context) error {
		if snapshot.Time.IsZero() {
			snapshot.Time = time.Now()
		}
		snapshot.Time = snapshot.Time.UTC().Round(0)
		s.db.mu.Lock()
		defer s.db.mu.Unlock()
		if s.db.snapshots[snapshot.Stream].Version <= snapshot.Version {
			s.db.snapshots[snapshot.Stream] = snapshot
		}
		return nil
	})
}

// LoadSnapshot implements [eventstore.Snapshots].
func (s *Store) LoadSnapshot(ctx context.Context, stream eventstore.StreamID) (eventstore.Snapshot, error) {
	return guard.LoadSnapshot(ctx, s.binding, s.open, stream, func(context.Context) (eventstore.Snapshot, error) {
		s.db.mu.Lock()
		defer s.db.mu.Unlock()
		snapshot, ok := s.db.snapshots[stream]
		if !ok {
			return snapshot, eventstore.ErrNotFound
		}
		return snapshot, nil
	})
}
