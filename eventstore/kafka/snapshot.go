package kafka

import (
	"context"
	"strconv"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/guard"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/record"
)

// snapshots finds the snapshot of a stream in the compacted topic. A partition of it is read once, when it is first needed,
// and then what is new each time; only where the snapshots are is kept, in some 100 bytes for each.
type snapshots struct {
	*topic

	partitions []*shelf
}

// shelf is one partition of the topic.
type shelf struct {
	lock chan struct{} // Has something while somebody reads. A mutex would not mind a context.
	next int64
	at   map[string]kept
}

// kept is where the snapshot of a stream is, and of which version.
type kept struct{ offset, version int64 }

func newSnapshots(client *kgo.Client, name string, partitions int) *snapshots {
	s := &snapshots{topic: newTopic(client, name), partitions: make([]*shelf, partitions)}
	for i := range s.partitions {
		s.partitions[i] = &shelf{lock: make(chan struct{}, 1), at: map[string]kept{}}
	}
	return s
}

// snapshotBytes is how much one request for new snapshots gets.
const snapshotBytes = 1 << 22

// find returns the record of a stream's snapshot as of now, or nil.
func (s *snapshots) find(ctx context.Context, partition int32, stream string) (*kgo.Record, error) {
	shelf := s.partitions[partition]
	select {
	case shelf.lock <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	defer func() { <-shelf.lock }()
	for {
		if err := s.catchUp(ctx, partition, shelf); err != nil {
			return nil, err
		}
		found, ok := shelf.at[stream]
		if !ok {
			return nil, nil
		}
		pg, err := s.fetch(ctx, partition, found.offset, 1)
		if err != nil {
			return nil, err
		}
		if len(pg.records) > 0 && pg.records[0].Offset == found.offset {
			return pg.records[0], nil
		}
		if shelf.at[stream] == found && pg.end <= shelf.next { // Compaction leaves the last one of a stream.
			delete(shelf.at, stream)
			return nil, nil
		}
	}
}

// catchUp reads what is new.
func (s *snapshots) catchUp(ctx context.Context, partition int32, shelf *shelf) error {
	end, err := s.offset(ctx, partition, endOffset)
	if err != nil {
		return err
	}
	if end < shelf.next { // It was made again.
		shelf.next, shelf.at = 0, map[string]kept{}
	}
	if start, err := s.begins(ctx, partition, shelf); err != nil || start > shelf.next {
		shelf.next = start
		if err != nil {
			return err
		}
	}
	for shelf.next < end {
		pg, err := s.fetch(ctx, partition, shelf.next, snapshotBytes)
		if err != nil {
			return err
		}
		for _, r := range pg.records {
			shelf.put(r)
		}
		if pg.next == shelf.next { // What is left was compacted away.
			shelf.next = end
		}
		shelf.next = max(shelf.next, pg.next)
	}
	return nil
}

// begins returns the first offset there is, if nothing was read yet.
func (s *snapshots) begins(ctx context.Context, partition int32, shelf *shelf) (int64, error) {
	if shelf.next > 0 {
		return 0, nil
	}
	return s.offset(ctx, partition, startOffset)
}

// put notes a snapshot, unless a newer one is there. Who saves at the same time as another could not know.
func (s *shelf) put(r *kgo.Record) {
	if r.Attrs.IsControl() {
		return
	}
	if r.Value == nil {
		delete(s.at, string(r.Key))
		return
	}
	version, err := strconv.ParseInt(fieldsOf(r).Get(record.SnapshotVersion), 10, 64)
	if err == nil && version >= s.at[string(r.Key)].version {
		s.at[string(r.Key)] = kept{r.Offset, version}
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
	there, err := s.snapshots.find(ctx, partition, snapshot.Stream.String())
	if err != nil {
		return err
	}
	if there != nil {
		if old, err := record.DecodeSnapshot(snapshot.Stream, fieldsOf(there)); err == nil && old.Version > snapshot.Version {
			return nil
		}
	}
	r := message(snapshot.Stream.String(), record.EncodeSnapshot(snapshot))
	r.Topic, r.Partition = s.snapshots.name, partition
	return (log{s}).refused(s.client.ProduceSync(ctx, r).FirstErr())
}

// LoadSnapshot implements [eventstore.Snapshots].
func (s *store) LoadSnapshot(ctx context.Context, stream eventstore.StreamID) (eventstore.Snapshot, error) {
	return guard.LoadSnapshot(ctx, s.Binding, s.open, stream, func(ctx context.Context) (eventstore.Snapshot, error) {
		r, err := s.snapshots.find(ctx, s.partition(stream), stream.String())
		if err == nil && r == nil {
			err = eventstore.ErrNotFound
		}
		if err != nil {
			return eventstore.Snapshot{}, explain(s.Secret, err)
		}
		return record.DecodeSnapshot(stream, fieldsOf(r))
	})
}
