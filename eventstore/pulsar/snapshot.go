package pulsar

import (
	"context"
	"strconv"

	"github.com/apache/pulsar-client-go/pulsar"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/guard"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/record"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// snapshotEmpty is a property of a snapshot: "true" if the state is empty. The payload is not, as that would delete the key.
const snapshotEmpty = "empty"

// shelf finds the snapshot of a stream in one partition of the compacted topic. It is read once, when it is first needed, and
// then what is new each time; only where the snapshots are is kept, in some 100 bytes for each.
type shelf struct {
	end  *end          // of the partition
	lock chan struct{} // Has something while somebody reads. A mutex would not mind a context.
	scan *scan         // nil until it is needed
	at   map[string]kept
}

// kept is where the snapshot of a stream is, and of which version.
type kept struct {
	place

	version int64
}

func newShelf(topic string) *shelf {
	return &shelf{end: newEnd(topic), lock: make(chan struct{}, 1), at: map[string]kept{}}
}

func (s *store) snapshots(partition int) string {
	return s.topic(layout.PulsarPartition(layout.PulsarSnapshots, partition))
}

// findSnapshot returns the record of a stream's snapshot as of now, or nil.
func (s *store) findSnapshot(ctx context.Context, partition int, stream string) (pulsar.Message, error) {
	shelf := s.shelves[partition]
	select {
	case shelf.lock <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	defer func() { <-shelf.lock }()
	for {
		if err := s.fillShelf(ctx, shelf); err != nil {
			return nil, err
		}
		found, ok := shelf.at[stream]
		if !ok {
			return nil, nil
		}
		m, err := s.snapshotAt(ctx, shelf, found.place)
		if m != nil || err != nil {
			return m, err
		}
		delete(shelf.at, stream) // Compaction leaves the last one of a stream: there is a newer one now, or somebody has deleted it.
	}
}

// snapshotAt returns the record at a place, or nil if it was compacted away.
func (s *store) snapshotAt(ctx context.Context, shelf *shelf, at place) (pulsar.Message, error) {
	one, err := s.scan(ctx, reading{topic: shelf.end.topic, after: before(at), ahead: 1, compacted: true})
	if err != nil {
		return nil, err
	}
	defer one.close()
	m, err := one.next(ctx)
	if err != nil || m == nil || placeOf(m.ID()) != at {
		return nil, err
	}
	return m, nil
}

// fillShelf reads what is new.
func (s *store) fillShelf(ctx context.Context, shelf *shelf) error {
	var err error
	if shelf.scan == nil {
		r := reading{topic: shelf.end.topic, after: nowhere, ahead: readAhead, compacted: true}
		if shelf.scan, err = s.scan(ctx, r); err != nil {
			return err
		}
	} else {
		end, err := s.ask(ctx, shelf.end)
		if err != nil {
			return shelf.failed(ctx, err)
		}
		shelf.scan.end = end
	}
	for {
		m, err := shelf.scan.next(ctx)
		if err != nil {
			return shelf.failed(ctx, err)
		}
		if m == nil {
			m, shelf.scan.beyond = shelf.scan.beyond, nil
		}
		if m == nil {
			return nil
		}
		shelf.put(m)
	}
}

// failed has the shelf read anew, unless it was only the caller who gave up.
func (s *shelf) failed(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		s.scan.close()
		s.scan, s.at = nil, map[string]kept{}
	}
	return err
}

// put notes a snapshot, unless a newer one is there. Who saves at the same time as another could not know.
func (s *shelf) put(m pulsar.Message) {
	if len(m.Payload()) == 0 {
		delete(s.at, m.Key())
		return
	}
	version, err := strconv.ParseInt(m.Properties()[record.SnapshotVersion], 10, 64)
	if err == nil && version >= s.at[m.Key()].version {
		s.at[m.Key()] = kept{placeOf(m.ID()), version}
	}
}

// SaveSnapshot implements [eventstore.Snapshots].
func (s *store) SaveSnapshot(ctx context.Context, snapshot eventstore.Snapshot) error {
	return guard.SaveSnapshot(ctx, s.Binding, s.open, snapshot.Stream, func(ctx context.Context) error {
		return explain(s.Secret, s.saveSnapshot(ctx, snapshot))
	})
}

func (s *store) saveSnapshot(ctx context.Context, snapshot eventstore.Snapshot) error {
	partition := s.partition(snapshot.Stream)
	there, err := s.findSnapshot(ctx, partition, snapshot.Stream.String())
	if err != nil {
		return err
	}
	if there != nil {
		if old, err := snapshotOf(snapshot.Stream, there); err == nil && old.Version > snapshot.Version {
			return nil
		}
	}
	m := message(snapshot.Stream.String(), record.EncodeSnapshot(snapshot))
	if len(m.Payload) == 0 {
		m.Properties[snapshotEmpty], m.Payload = "true", []byte{0}
	}
	_, err = s.producers.sendSync(ctx, s.snapshots(partition), m)
	return (log{s}).refused(err)
}

// LoadSnapshot implements [eventstore.Snapshots].
func (s *store) LoadSnapshot(ctx context.Context, stream eventstore.StreamID) (eventstore.Snapshot, error) {
	return guard.LoadSnapshot(ctx, s.Binding, s.open, stream, func(ctx context.Context) (eventstore.Snapshot, error) {
		m, err := s.findSnapshot(ctx, s.partition(stream), stream.String())
		if err == nil && m == nil {
			err = eventstore.ErrNotFound
		}
		if err != nil {
			return eventstore.Snapshot{}, explain(s.Secret, err)
		}
		return snapshotOf(stream, m)
	})
}

func snapshotOf(stream eventstore.StreamID, m pulsar.Message) (eventstore.Snapshot, error) {
	fields := fieldsOf(m)
	if fields.Get(snapshotEmpty) == "true" {
		fields = append(fields, record.Field{Name: record.Data})
	}
	return record.DecodeSnapshot(stream, fields)
}
