package pulsar

import (
	"context"
	"fmt"
	"iter"

	"github.com/apache/pulsar-client-go/pulsar"
	"golang.org/x/sync/errgroup"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/refuse"
)

// How streams are read: so many records at a time, by so many readers at once. Records that are near each other in a ledger
// come by one reader, with what is between them.
const (
	readRecords = 512
	readReaders = 16
	readNear    = 64   // entries
	readAhead   = 1000 // entries
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
		records, err := s.collect(ctx, partition, places)
		if err != nil {
			return err
		}
		for _, m := range records {
			events, err := decode(partition, m)
			if err != nil {
				return err
			}
			for _, e := range events {
				if e.Version <= after {
					continue // The first ones of a batch that was read in part.
				}
				if e.Version != after+1 || e.Stream != stream {
					return fmt.Errorf("record %s of partition %d has version %d of %s, the index says version %d: %w",
						cursor{place: placeOf(m.ID())}, partition, e.Version, e.Stream, after+1, eventstore.ErrHistoryLost)
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
func (s *store) collect(ctx context.Context, partition int, places []place) ([]pulsar.Message, error) {
	records := make([]pulsar.Message, len(places))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(readReaders)
	for from := 0; from < len(places); {
		to := from + 1
		for to < len(places) && near(places[to-1], places[to]) {
			to++
		}
		run, into := places[from:to], records[from:to]
		g.Go(func() error { return s.collectRun(ctx, partition, run, into) })
		from = to
	}
	return records, g.Wait()
}

func near(a, b place) bool { return a.Segment == b.Segment && b.Offset-a.Offset <= readNear }

// collectRun reads places that are near each other.
func (s *store) collectRun(ctx context.Context, partition int, places []place, into []pulsar.Message) error {
	span := places[len(places)-1].Offset - places[0].Offset + 1
	run, err := s.scan(ctx, reading{topic: s.events(partition), after: before(places[0]), ahead: int(min(span, readAhead))})
	if err != nil {
		return err
	}
	defer run.close()
	for n := 0; n < len(places); {
		m, err := run.next(ctx)
		if err != nil {
			return err
		}
		if m == nil || places[n].Before(placeOf(m.ID())) {
			return fmt.Errorf("partition %d has no record at %s any more: %w", partition, cursor{place: places[n]}, eventstore.ErrHistoryLost)
		}
		if placeOf(m.ID()) == places[n] {
			into[n] = m
			n++
		}
	}
	return nil
}
