package kafka

import (
	"context"
	"fmt"
	"iter"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/arbiter"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/guard"
)

// readBytes is how much one request for several records gets.
const readBytes = 1 << 18

// Read implements [eventstore.Reader].
func (s *store) Read(ctx context.Context, stream eventstore.StreamID, after eventstore.Version) iter.Seq2[eventstore.Event, error] {
	return guard.Read(ctx, s.Binding, s.open, stream, func(ctx context.Context, yield func(eventstore.Event, error) bool) error {
		return explain(s.Secret, s.arbiter.Read(ctx, stream, max(after, 0), s.fetch, yield))
	})
}

// fetch is [arbiter.Fetch].
func (s *store) fetch(ctx context.Context, number int, places []arbiter.Position) ([][]eventstore.Event, error) {
	var d decoder
	partition, found := int32(number), make([][]eventstore.Event, 0, len(places))
	bytes := int32(1) // The broker sends at least the batch that has the first one.
	if len(places) > 1 {
		bytes = readBytes
	}
	for len(found) < len(places) {
		next := places[len(found)].Offset
		pg, err := s.events.fetch(ctx, partition, next, bytes)
		if err != nil {
			return nil, lost(err)
		}
		if pg.start > 0 {
			return nil, begins(partition, pg.start)
		}
		before := len(found)
		for _, r := range pg.records {
			if len(found) == len(places) || r.Offset != places[len(found)].Offset {
				continue
			}
			events, err := d.decode(r)
			if err != nil {
				return nil, err
			}
			found = append(found, events)
		}
		if len(found) == before {
			return nil, fmt.Errorf("partition %d has no record at offset %d any more: %w", partition, next, eventstore.ErrHistoryLost)
		}
	}
	return found, nil
}
