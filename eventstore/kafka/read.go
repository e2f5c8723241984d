package kafka

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/arbiter"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/refuse"
)

// How streams are read: so many records at a time, by so many requests at once. Records that are near each other in the
// partition come with one request.
const (
	readRecords  = 512
	readRequests = 16
	readNear     = 64      // offsets
	readBytes    = 1 << 18 // of one request for several records
)

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
	if err := s.arbiter.CatchUp(ctx, stream); err != nil {
		return err
	}
	for {
		partition, places, err := s.arbiter.Locate(stream, after, readRecords)
		if err != nil || len(places) == 0 {
			return err
		}
		records, err := s.collect(ctx, int32(partition), places)
		if err != nil {
			return err
		}
		for _, r := range records {
			events, err := decode(r)
			if err != nil {
				return err
			}
			for _, e := range events {
				if e.Version <= after {
					continue // The first ones of a batch that was read in part.
				}
				if e.Version != after+1 || e.Stream != stream {
					return fmt.Errorf("offset %d of partition %d has version %d of %s, the index says version %d: %w",
						r.Offset, partition, e.Version, e.Stream, after+1, eventstore.ErrHistoryLost)
				}
				if ctx.Err() != nil {
					return context.Cause(ctx)
				}
				if after = e.Version; !yield(e, nil) {
					return nil
				}
			}
		}
		if len(places) < readRecords {
			return nil
		}
	}
}

// collect returns the records at some places of a partition, in order.
func (s *store) collect(ctx context.Context, partition int32, places []arbiter.Position) ([]*kgo.Record, error) {
	records := make([]*kgo.Record, len(places))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(readRequests)
	for from := 0; from < len(places); {
		to := from + 1
		for to < len(places) && places[to].Offset-places[to-1].Offset <= readNear {
			to++
		}
		run, into := places[from:to], records[from:to]
		g.Go(func() error { return s.collectRun(ctx, partition, run, into) })
		from = to
	}
	return records, g.Wait()
}

// collectRun reads places that are near each other.
func (s *store) collectRun(ctx context.Context, partition int32, places []arbiter.Position, into []*kgo.Record) error {
	bytes := int32(1) // The broker sends at least the batch that has the first one.
	if len(places) > 1 {
		bytes = readBytes
	}
	for n := 0; n < len(places); {
		pg, err := s.events.fetch(ctx, partition, places[n].Offset, bytes)
		if err != nil {
			return lost(err)
		}
		if pg.start > 0 {
			return fmt.Errorf("partition %d begins at offset %d: records were deleted: %w", partition, pg.start, eventstore.ErrHistoryLost)
		}
		found := n
		for _, r := range pg.records {
			if n < len(places) && r.Offset == places[n].Offset {
				into[n] = r
				n++
			}
		}
		if n == found {
			return errors.Join(fmt.Errorf("partition %d has no record at offset %d any more", partition, places[n].Offset), eventstore.ErrHistoryLost)
		}
	}
	return nil
}
