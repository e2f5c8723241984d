package arbiter

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

// How streams are read: so many records at a time, by so many fetches at once. Records that are near each other come with
// one of them.
const (
	readRecords = 512
	readFetches = 16
	readNear    = 64
)

// A Fetch returns the events of the records at some places of a partition, which are in order and near each other.
type Fetch func(ctx context.Context, partition int, at []Position) ([][]eventstore.Event, error)

// Read yields the events of a stream after a version, as of now.
func (a *Arbiter) Read(
	ctx context.Context, stream eventstore.StreamID, after eventstore.Version, fetch Fetch, yield func(eventstore.Event, error) bool,
) error {
	if err := a.CatchUp(ctx, stream); err != nil {
		return err
	}
	for {
		partition, places, err := a.Locate(stream, after, readRecords)
		if err != nil || len(places) == 0 {
			return err
		}
		records, err := collect(ctx, partition, places, fetch)
		if err != nil {
			return err
		}
		for _, events := range records {
			for _, e := range events {
				if e.Version <= after {
					continue // The first ones of a batch that was read in part.
				}
				if e.Version != after+1 || e.Stream != stream {
					return fmt.Errorf("the record at position %s has version %d of %s, the index says version %d: %w",
						e.Position, e.Version, e.Stream, after+1, eventstore.ErrHistoryLost)
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

// collect returns the events of the records at some places of a partition, in order.
func collect(ctx context.Context, partition int, places []Position, fetch Fetch) ([][]eventstore.Event, error) {
	records := make([][]eventstore.Event, len(places))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(readFetches)
	for from := 0; from < len(places); {
		to := from + 1
		for to < len(places) && places[to-1].near(places[to]) {
			to++
		}
		run, into := places[from:to], records[from:to]
		g.Go(func() error {
			fetched, err := fetch(ctx, partition, run)
			copy(into, fetched)
			return err
		})
		from = to
	}
	return records, g.Wait()
}

func (p Position) near(next Position) bool {
	return p.Segment == next.Segment && next.Offset-p.Offset <= readNear
}
