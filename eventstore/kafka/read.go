package kafka

import (
	"context"
	"fmt"
	"iter"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/arbiter"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/refuse"
)

// readBytes is how much one request for several records gets.
const readBytes = 1 << 18

// Read implements [eventstore.Reader].
func (s *store) Read(ctx context.Context, stream eventstore.StreamID, after eventstore.Version) iter.Seq2[eventstore.Event, error] {
	return func(yield func(eventstore.Event, error) bool) {
		if err := s.read(ctx, stream, max(after, 0), yield); err != nil {
			yield(eventstore.Event{}, fmt.Errorf("cannot read %s: %w", stream, explain(s.Secret, err)))
		}
	}
}

func (s *store) read(ctx context.Context, stream eventstore.StreamID, after eventstore.Version, yield func(eventstore.Event, error) bool) error {
	if err := refuse.Read(s.Binding); err != nil {
		return err
	}
	if err := stream.Validate(); err != nil {
		return err
	}
	ctx, done, err := s.open.Begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return s.arbiter.Read(ctx, stream, after, s.fetch, yield)
}

// fetch is [arbiter.Fetch].
func (s *store) fetch(ctx context.Context, number int, places []arbiter.Position) ([][]eventstore.Event, error) {
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
			events, err := decode(r)
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
