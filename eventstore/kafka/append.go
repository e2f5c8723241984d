package kafka

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/arbiter"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/record"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/refuse"
)

// Append implements [eventstore.Appender].
func (s *store) Append(ctx context.Context, stream eventstore.StreamID, expected eventstore.Version, events ...eventstore.EventData) (eventstore.Version, error) {
	if err := refuse.Writes(s.Binding); err != nil {
		return 0, err
	}
	fields, prepared, err := record.ForAppend(s.Binding, stream, expected, events)
	if err != nil {
		return 0, err
	}
	if s.Streaming {
		if err := s.add(ctx, stream, fields); err != nil {
			return 0, fmt.Errorf("cannot append to %s: %w", stream, err)
		}
		return 0, nil
	}
	r := arbiter.Append{Stream: stream, Expected: expected, Fields: fields}
	if len(prepared) > 0 {
		r.ID = prepared[0].ID
	}
	v, err := s.arbiter.Append(ctx, r)
	if err != nil {
		return 0, fmt.Errorf("cannot append to %s: %w", stream, err)
	}
	return v, nil
}

// add appends to a streaming store. The client may send a record again; the broker knows it by its number.
func (s *store) add(ctx context.Context, stream eventstore.StreamID, fields record.Fields) error {
	ctx, done, err := s.open.Begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	if ctx.Err() != nil || len(fields) == 0 {
		return context.Cause(ctx)
	}
	result := make(chan error, 1)
	s.client.Produce(ctx, s.record(s.partition(stream), stream.String(), fields), func(_ *kgo.Record, err error) { result <- err })
	select {
	case err = <-result:
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", eventstore.ErrUnknownOutcome, context.Cause(ctx))
	}
	if err = (log{s}).refused(err); err == nil || errors.Is(err, arbiter.ErrRefused) {
		return err
	}
	return fmt.Errorf("%w: %w", eventstore.ErrUnknownOutcome, err)
}
