package redis

import (
	"context"
	"fmt"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/record"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/refuse"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// SaveSnapshot implements [eventstore.Snapshots].
func (s *store) SaveSnapshot(ctx context.Context, snapshot eventstore.Snapshot) error {
	if err := s.snapshots(snapshot.Stream); err != nil {
		return err
	}
	if err := refuse.Writes(s.Binding); err != nil {
		return err
	}
	fields := record.EncodeSnapshot(snapshot)
	args := append([]any{int64(snapshot.Version)}, flat(fields[1:])...)
	if err := saveScript.Run(ctx, s.client, []string{s.snapshotKey(snapshot.Stream)}, args...).Err(); err != nil {
		return fmt.Errorf("cannot save snapshot of %s: %w", snapshot.Stream, s.explain(err))
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
		return eventstore.Snapshot{}, fmt.Errorf("cannot load snapshot of %s: %w", stream, s.explain(err))
	}
	snapshot, err := record.DecodeSnapshot(stream, fieldsOf(fields))
	if err != nil {
		return snapshot, fmt.Errorf("cannot load snapshot of %s: %w", stream, s.explain(err))
	}
	return snapshot, nil
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
