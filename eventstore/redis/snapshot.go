package redis

import (
	"context"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/guard"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/record"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// SaveSnapshot implements [eventstore.Snapshots].
func (s *store) SaveSnapshot(ctx context.Context, snapshot eventstore.Snapshot) error {
	return guard.SaveSnapshot(ctx, s.Binding, s.open, snapshot.Stream, func(ctx context.Context) error {
		fields := record.EncodeSnapshot(snapshot)
		args := append([]any{int64(snapshot.Version)}, flat(fields[1:])...)
		return s.explain(saveScript.Run(ctx, s.client, []string{s.snapshotKey(snapshot.Stream)}, args...).Err())
	})
}

// LoadSnapshot implements [eventstore.Snapshots].
func (s *store) LoadSnapshot(ctx context.Context, stream eventstore.StreamID) (eventstore.Snapshot, error) {
	return guard.LoadSnapshot(ctx, s.Binding, s.open, stream, func(ctx context.Context) (eventstore.Snapshot, error) {
		fields, err := s.client.HGetAll(ctx, s.snapshotKey(stream)).Result()
		if err == nil && len(fields) == 0 {
			err = eventstore.ErrNotFound
		}
		if err != nil {
			return eventstore.Snapshot{}, s.explain(err)
		}
		return record.DecodeSnapshot(stream, fieldsOf(fields))
	})
}

func (s *store) snapshotKey(stream eventstore.StreamID) string {
	return layout.RedisSnapshot(s.Store, s.partition(stream), stream.String())
}
