package pulsar

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/apache/pulsar-client-go/pulsar"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/arbiter"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/guard"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/record"
)

// Replay implements [eventstore.Reader]. Partitions are merged by the time that who appended put into the records.
func (s *store) Replay(ctx context.Context, from eventstore.Start) iter.Seq2[eventstore.Event, error] {
	return guard.Replay(ctx, s.Binding, s.open, func(ctx context.Context, yield func(eventstore.Event, error) bool) error {
		return explain(s.Secret, s.replay(ctx, from, yield))
	})
}

func (s *store) replay(ctx context.Context, from eventstore.Start, yield func(eventstore.Event, error) bool) error {
	reels, err := s.reels(ctx, from)
	defer func() {
		for _, r := range reels {
			r.scan.close()
		}
	}()
	if err != nil {
		return err
	}
	more, err := s.merge(ctx, reels, yield)
	if err == nil && more && from.Live {
		err = s.follow(ctx, reels, yield)
	}
	return err
}

// reel is one partition of a replay.
type reel struct {
	partition int
	scan      *scan
	skip      cursor         // Events up to here, of its record, were seen before.
	from      time.Time      // Records that are older are passed over, until one is not.
	ready     pulsar.Message // Read, not yet yielded.
}

// reels finds for each partition where to begin, and where it ends now. The caller closes them, also after an error.
func (s *store) reels(ctx context.Context, from eventstore.Start) (reels []*reel, err error) {
	seen, err := record.After(from, s.Partitions, parseCursor)
	if err != nil {
		return nil, err
	}
	for p := range s.Partitions {
		r := &reel{partition: p, skip: cursor{place: nowhere}, from: from.Time}
		begin := nowhere
		c, resumes := seen[p]
		if resumes {
			r.skip, r.from = c, time.Time{}
			begin = before(c.place) // The record itself must still be there: so we know that nothing after it is missing.
		}
		if r.scan, err = s.scan(ctx, reading{topic: s.events(p), after: begin, ahead: readAhead}); err != nil {
			return reels, err
		}
		reels = append(reels, r)
		if r.ready, err = r.scan.next(ctx); err != nil {
			return reels, err
		}
		if err := s.checkBegin(r, resumes); err != nil {
			return reels, err
		}
	}
	return reels, nil
}

// checkBegin looks at the first record that a replay has of a partition.
func (s *store) checkBegin(r *reel, resumes bool) error {
	switch {
	case resumes && (r.ready == nil || placeOf(r.ready.ID()) != r.skip.place):
		return fmt.Errorf("partition %d no longer has the record at position %s: begin from the start, or from a time: %w",
			r.partition, r.skip.position(r.partition), eventstore.ErrHistoryLost)
	case resumes || s.Streaming:
		return nil
	case r.ready == nil:
		return fmt.Errorf("partition %d is empty, and lacks even its first record: %w", r.partition, eventstore.ErrHistoryLost)
	}
	return s.checkFirst(r.partition, r.ready)
}

// merge yields what there was in all partitions when the replay began, oldest first. more is false if the caller left.
func (s *store) merge(ctx context.Context, reels []*reel, yield func(eventstore.Event, error) bool) (more bool, err error) {
	for {
		var oldest *reel
		for _, r := range reels {
			if r.ready != nil && (oldest == nil || r.ready.PublishTime().Before(oldest.ready.PublishTime())) {
				oldest = r
			}
		}
		if oldest == nil {
			return true, nil
		}
		m := oldest.ready
		if oldest.ready, err = oldest.scan.next(ctx); err != nil {
			return false, err
		}
		if more, err := s.yield(ctx, oldest, m, yield); err != nil || !more {
			return false, err
		}
	}
}

// yield hands out the events of a record, if it counts.
func (s *store) yield(ctx context.Context, r *reel, m pulsar.Message, yield func(eventstore.Event, error) bool) (more bool, err error) {
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	if m.PublishTime().Before(r.from) {
		return true, nil
	}
	if counts, err := s.counts(ctx, r.partition, []pulsar.Message{m}); err != nil || !counts[0] {
		return err == nil, err
	}
	r.from = time.Time{}
	events, err := decode(r.partition, m)
	if err != nil {
		return false, err
	}
	for i, e := range events {
		if placeOf(m.ID()) == r.skip.place && i <= r.skip.event {
			continue
		}
		if !yield(e, nil) {
			return false, nil
		}
	}
	return true, nil
}

// counts reports which records of a partition, in the order in which they came, have events for readers.
func (s *store) counts(ctx context.Context, partition int, records []pulsar.Message) ([]bool, error) {
	entries, counts := make([]arbiter.Entry, len(records)), make([]bool, len(records))
	for i, m := range records {
		entries[i] = entryOf(m)
		counts[i] = entries[i].Readable()
	}
	if s.Streaming {
		return counts, nil
	}
	for from, to := range arbiter.Runs(entries) {
		if err := s.arbiter.Judge(ctx, partition, entries[from:to], counts[from:to]); err != nil {
			return nil, err
		}
	}
	return counts, nil
}

// arrival is a record that came, or what keeps others from coming.
type arrival struct {
	reel *reel
	m    pulsar.Message
	err  error
}

// follow yields new events as they come, until ctx ends.
func (s *store) follow(ctx context.Context, reels []*reel, yield func(eventstore.Event, error) bool) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	arrivals := make(chan arrival)
	for _, r := range reels {
		wg.Go(func() {
			for err := error(nil); err == nil; {
				a := arrival{reel: r}
				a.m, a.err = r.scan.follow(ctx)
				select {
				case arrivals <- a:
					err = a.err
				case <-ctx.Done():
					return
				}
			}
		})
	}
	for {
		select {
		case a := <-arrivals:
			if a.err != nil {
				return a.err
			}
			if more, err := s.yield(ctx, a.reel, a.m, yield); err != nil || !more {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
