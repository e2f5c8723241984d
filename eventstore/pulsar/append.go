package pulsar

import (
	"context"
	"errors"
	"fmt"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/arbiter"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/guard"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/record"
)

// Append implements [eventstore.Appender].
func (s *store) Append(ctx context.Context, stream eventstore.StreamID, expected eventstore.Version, events ...eventstore.EventData) (eventstore.Version, error) {
	return guard.Append(ctx, s.Binding, stream, expected, events, func(fields record.Fields) (eventstore.Version, error) {
		if s.Streaming {
			return 0, s.add(ctx, stream, fields)
		}
		return s.arbiter.Append(ctx, arbiter.Append{Stream: stream, Expected: expected, Fields: fields})
	})
}

// add appends to a streaming store.
func (s *store) add(ctx context.Context, stream eventstore.StreamID, fields record.Fields) error {
	ctx, done, err := s.open.Begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	if ctx.Err() != nil || len(fields) == 0 {
		return context.Cause(ctx)
	}
	sent, err := s.producers.sendSync(ctx, s.events(s.partition(stream)), message(stream.String(), fields))
	if err = (log{s}).refused(err); err == nil || !sent || errors.Is(err, arbiter.ErrRefused) {
		return err
	}
	return fmt.Errorf("%w: %w", eventstore.ErrUnknownOutcome, err)
}
