package pulsar

import (
	"context"
	"fmt"
	"iter"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/guard"
)

// readAhead is how many records the broker sends before they are asked for.
const readAhead = 1000

// Read implements [eventstore.Reader].
func (s *store) Read(ctx context.Context, stream eventstore.StreamID, after eventstore.Version) iter.Seq2[eventstore.Event, error] {
	return guard.Read(ctx, s.Binding, s.open, stream, func(ctx context.Context, yield func(eventstore.Event, error) bool) error {
		return explain(s.Secret, s.arbiter.Read(ctx, stream, max(after, 0), s.fetch, yield))
	})
}

// fetch is [arbiter.Fetch]. One reader brings the records, with what is between them.
func (s *store) fetch(ctx context.Context, partition int, places []place) ([][]eventstore.Event, error) {
	span := places[len(places)-1].Offset - places[0].Offset + 1
	run, err := s.scan(ctx, reading{topic: s.events(partition), after: before(places[0]), ahead: int(min(span, readAhead))})
	if err != nil {
		return nil, err
	}
	defer run.close()
	found := make([][]eventstore.Event, 0, len(places))
	for len(found) < len(places) {
		m, err := run.next(ctx)
		if err != nil {
			return nil, err
		}
		next := places[len(found)]
		if m == nil || next.Before(placeOf(m.ID())) {
			return nil, fmt.Errorf("partition %d has no record at %s any more: %w", partition, cursor{place: next}, eventstore.ErrHistoryLost)
		}
		if placeOf(m.ID()) != next {
			continue
		}
		events, err := decode(partition, m)
		if err != nil {
			return nil, err
		}
		found = append(found, events)
	}
	return found, nil
}
