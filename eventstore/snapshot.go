package eventstore

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"reflect"
	"time"
)

// A SnapshotPolicy says whether a stream that grew so much needs a new snapshot. nil: it never does.
type SnapshotPolicy func(Growth) bool

// Growth is what a stream has more than its snapshot; all of it, if there is none.
type Growth struct {
	Events int           // How many events.
	Bytes  int           // Their payloads together.
	Age    time.Duration // How long ago the snapshot was saved. Without one: how long ago the first event was recorded.

	since time.Time
}

// EveryEvents wants a snapshot whenever n events were added, so that loading reads fewer than n.
func EveryEvents(n int) SnapshotPolicy { return func(g Growth) bool { return g.Events >= n } }

// EveryBytes wants a snapshot whenever the payloads that were added have n bytes.
func EveryBytes(n int) SnapshotPolicy { return func(g Growth) bool { return g.Bytes >= n } }

// EveryDuration wants a snapshot with the first append when the last one is as old as d.
func EveryDuration(d time.Duration) SnapshotPolicy { return func(g Growth) bool { return g.Age >= d } }

// Or wants a snapshot if p or q does.
func (p SnapshotPolicy) Or(q SnapshotPolicy) SnapshotPolicy {
	return func(g Growth) bool { return p.wants(g) || q.wants(g) }
}

// And wants a snapshot if p and q do.
func (p SnapshotPolicy) And(q SnapshotPolicy) SnapshotPolicy {
	return func(g Growth) bool { return p.wants(g) && q.wants(g) }
}

func (p SnapshotPolicy) wants(g Growth) bool { return p != nil && p(g) }

// add counts an event that was recorded at that time.
func (g *Growth) add(e Event, recorded time.Time) {
	g.Events++
	g.Bytes += len(e.Data)
	if g.since.IsZero() {
		g.since = recorded
	}
}

// restore returns what the stream's snapshot says, or the zero object.
func (a Aggregate[S]) restore(ctx context.Context, store Snapshots, stream StreamID) (l loaded[S], err error) {
	if a.Snapshot == nil {
		return l, nil
	}
	s, err := store.LoadSnapshot(ctx, stream)
	switch {
	case errors.Is(err, ErrNotFound) || err == nil && s.Schema != a.Schema:
		return l, nil
	case err != nil:
		return l, err
	}
	state, err := unmarshal(a.codec(), s.Data, reflect.TypeFor[S]())
	if err != nil {
		a.logger().WarnContext(ctx, "cannot use a snapshot, so all events are read: change Schema when the type changes",
			"stream", stream.String(), "version", int64(s.Version), "schema", s.Schema, "error", err)
		return l, nil
	}
	l.state, _ = state.(S)
	l.version, l.growth.since = s.Version, s.Time
	return l, nil
}

// snapshot saves l, which was just appended, if it is time. The append stands, whatever comes of it.
func (a Aggregate[S]) snapshot(ctx context.Context, store Snapshots, stream StreamID, l loaded[S]) {
	l.growth.Age = time.Since(l.growth.since)
	if !a.Snapshot.wants(l.growth) {
		return
	}
	data, err := a.codec().Marshal(l.state)
	if err == nil {
		err = store.SaveSnapshot(ctx, Snapshot{Stream: stream, Version: l.version, Data: data, Schema: a.Schema})
	}
	if err != nil {
		a.logger().WarnContext(ctx, "cannot save a snapshot",
			"stream", stream.String(), "version", int64(l.version), "schema", a.Schema, "error", err)
	}
}

func (a Aggregate[S]) codec() Codec {
	if a.Codec == nil {
		return JSON
	}
	return a.Codec
}

func (a Aggregate[S]) logger() *slog.Logger { return cmp.Or(a.Logger, slog.Default()) }
