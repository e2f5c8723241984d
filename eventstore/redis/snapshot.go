package redis

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/refuse"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// Fields of a snapshot's hash.
const (
	snapshotVersion = "version"
	snapshotData    = "data"
	snapshotSchema  = "schema"
	snapshotTime    = "time" // RFC 3339
)

// SaveSnapshot implements [eventstore.Snapshots].
func (s *store) SaveSnapshot(ctx context.Context, snapshot eventstore.Snapshot) error {
	if err := s.snapshots(snapshot.Stream); err != nil {
		return err
	}
	if err := refuse.Writes(s.Binding); err != nil {
		return err
	}
	if snapshot.Time.IsZero() {
		snapshot.Time = time.Now()
	}
	args := []any{
		int64(snapshot.Version), snapshotData, snapshot.Data, snapshotSchema, snapshot.Schema,
		snapshotTime, snapshot.Time.UTC().Format(time.RFC3339Nano),
	}
	if err := saveScript.Run(ctx, s.client, []string{s.snapshotKey(snapshot.Stream)}, args...).Err(); err != nil {
		return fmt.Errorf("cannot save snapshot of %s: %w", snapshot.Stream, err)
	}
	return nil
}

// LoadSnapshot implements [eventstore.Snapshots].
func (s *store) LoadSnapshot(ctx context.Context, stream eventstore.StreamID) (eventstore.Snapshot, error) {
	if err := s.snapshots(stream); err != nil {
		return eventstore.Snapshot{}, err
	}
	fields, err := s.client.HGetAll(ctx, s.snapshotKey(stream)).Result()
	if err == nil && len(fields) == 0 {
		err = eventstore.ErrNotFound
	}
	if err != nil {
		return eventstore.Snapshot{}, fmt.Errorf("cannot load snapshot of %s: %w", stream, err)
	}
	version, err1 := strconv.ParseInt(fields[snapshotVersion], 10, 64)
	at, err2 := time.Parse(time.RFC3339Nano, fields[snapshotTime])
	if err1 != nil || err2 != nil {
		return eventstore.Snapshot{}, fmt.Errorf("cannot load snapshot of %s: its version %.20q or time %.40q is none",
			stream, fields[snapshotVersion], fields[snapshotTime])
	}
	return eventstore.Snapshot{
		Stream: stream, Version: eventstore.Version(version), Data: []byte(fields[snapshotData]),
		Schema: fields[snapshotSchema], Time: at,
	}, nil
}

func (s *store) snapshotKey(stream eventstore.StreamID) string {
	return layout.RedisSnapshot(s.Store, s.partition(stream), stream.String())
}

func (s *store) snapshots(stream eventstore.StreamID) error {
	if err := refuse.Snapshots(s.Binding); err != nil {
		return err
	}
	return stream.Validate()
}
