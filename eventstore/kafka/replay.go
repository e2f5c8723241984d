package kafka

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sort"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/guard"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/record"
)

// replayBytes is how much of a partition a replay reads at a time.
const replayBytes = 1 << 20

// Replay implements [eventstore.Reader]. Partitions are merged by the time that the brokers put into the records.
func (s *store) Replay(ctx context.Context, from eventstore.Start) iter.Seq2[eventstore.Event, error] {
	return guard.Replay(ctx, s.Binding, s.open, func(ctx context.Context, yield func(eventstore.Event, error) bool) error {
		return explain(s.Secret, s.replay(ctx, from, yield))
	})
}

func (s *store) replay(ctx context.Context, from eventstore.Start, yield func(eventstore.Event, error) bool) error {
	reels, err := s.reels(ctx, from)
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
	partition int32
	next      int64         // Read from here on.
	end       int64         // What there was when the replay began is before it.
	skip      cursor        // Events up to here, of its record, were seen before.
	seen      bool          // A record that is missing leaves a hole.
	ready     []*kgo.Record // Read, and not yet yielded. They count.
	judge     judge
}

// reels finds for each partition where to begin, and where it ends now.
func (s *store) reels(ctx context.Context, from eventstore.Start) ([]*reel, error) {
	after, err := record.After(from, s.Partitions, parseCursor)
	if err != nil {
		return nil, err
	}
	reels := make([]*reel, s.Partitions)
	for p := range reels {
		r := &reel{partition: int32(p), skip: cursor{offset: -1}, judge: judge{store: s}}
		if r.end, err = s.events.offset(ctx, r.partition, endOffset); err != nil {
			return nil, err
		}
		if c, ok := after[p]; ok {
			r.next, r.skip, r.seen = c.offset, c, true
			err = s.resume(ctx, r)
		} else {
			err = s.start(ctx, r, from.Time)
		}
		if err != nil {
			return nil, err
		}
		reels[p] = r
	}
	return reels, nil
}

// resume checks that nothing is missing after the position where a replay goes on.
func (s *store) resume(ctx context.Context, r *reel) error {
	start, err := s.events.offset(ctx, r.partition, startOffset)
	if err != nil {
		return err
	}
	at := r.skip.position(r.partition)
	switch {
	case r.next >= r.end:
		return fmt.Errorf("position %s is after the end of its partition, so it is of a log that was replaced: begin from the start: %w", at, eventstore.ErrHistoryLost)
	case start > r.next && r.end > r.next+1: // Of a batch, perhaps not all was seen.
		return forgotten(at)
	}
	r.next = max(r.next, start)
	return nil
}

func forgotten(at eventstore.Position) error {
	return fmt.Errorf("partition %d no longer has the records after position %s: begin from the start, or from a time: %w",
		at.Partition, at, eventstore.ErrHistoryLost)
}

// start finds the first record at a time, or of all.
func (s *store) start(ctx context.Context, r *reel, from time.Time) (err error) {
	at := startOffset
	if from.After(time.UnixMilli(0)) {
		at = from.Add(time.Millisecond - 1).UnixMilli() // Records have whole milliseconds.
	}
	r.next, err = s.events.offset(ctx, r.partition, at)
	if err == nil && r.next < 0 {
		r.next = r.end
	}
	if err == nil && !s.Streaming && at == startOffset && r.next > 0 {
		err = begins(r.partition, r.next)
	}
	return err
}

// merge yields what lies between next and end of all partitions, oldest first. more is false if the caller left.
func (s *store) merge(ctx context.Context, reels []*reel, yield func(eventstore.Event, error) bool) (more bool, err error) {
	for {
		var oldest *reel
		for _, r := range reels {
			if err := s.fill(ctx, r); err != nil {
				return false, err
			}
			if len(r.ready) > 0 && (oldest == nil || r.ready[0].Timestamp.Before(oldest.ready[0].Timestamp)) {
				oldest = r
			}
		}
		if oldest == nil {
			return true, nil
		}
		if more, err := oldest.yield(ctx, yield); err != nil || !more {
			return false, err
		}
	}
}

// fill reads on, if nothing is ready and there is something left.
func (s *store) fill(ctx context.Context, r *reel) error {
	for len(r.ready) == 0 && r.next < r.end {
		pg, err := s.events.fetch(ctx, r.partition, r.next, replayBytes)
		if errors.Is(err, errOutOfRange) {
			if !s.Streaming || r.seen {
				return forgotten(cursor{offset: r.next - 1}.position(r.partition))
			}
			if r.next, err = s.events.offset(ctx, r.partition, startOffset); err == nil { // It forgot its beginning meanwhile.
				continue
			}
		}
		if err != nil {
			return err
		}
		if pg.next == r.next {
			return fmt.Errorf("partition %d has nothing at offset %d, and ends at %d: %w", r.partition, r.next, r.end, eventstore.ErrHistoryLost)
		}
		beyond := sort.Search(len(pg.records), func(i int) bool { return pg.records[i].Offset >= r.end })
		if err := r.take(ctx, pg.records[:beyond]); err != nil {
			return err
		}
		r.next, r.seen = min(pg.next, r.end), true // What came since is for follow.
	}
	return nil
}

// take makes those records ready that count.
func (r *reel) take(ctx context.Context, records []*kgo.Record) error {
	counts, err := r.judge.counts(ctx, records)
	for i, record := range records {
		if err == nil && counts[i] {
			r.ready = append(r.ready, record)
		}
	}
	return err
}

// yield hands out the events of the next record.
func (r *reel) yield(ctx context.Context, yield func(eventstore.Event, error) bool) (more bool, err error) {
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	record := r.ready[0]
	r.ready = r.ready[1:]
	events, err := r.judge.decoder.decode(record)
	if err != nil {
		return false, err
	}
	for i, e := range events {
		if record.Offset == r.skip.offset && i <= r.skip.event {
			continue
		}
		if !yield(e, nil) {
			return false, nil
		}
	}
	return true, nil
}

// hand yields the events of records that have come.
func (r *reel) hand(ctx context.Context, records []*kgo.Record, yield func(eventstore.Event, error) bool) (more bool, err error) {
	if err := r.take(ctx, records); err != nil {
		return false, err
	}
	for len(r.ready) > 0 {
		if more, err := r.yield(ctx, yield); err != nil || !more {
			return false, err
		}
	}
	return true, nil
}

// follow yields new events as they come, until ctx ends.
func (s *store) follow(ctx context.Context, reels []*reel, yield func(eventstore.Event, error) bool) error {
	places := map[int32]kgo.Offset{}
	for _, r := range reels {
		places[r.partition] = kgo.NoResetOffset().At(max(r.next, r.end))
	}
	client, err := kgo.NewClient(append(s.options,
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{s.events.name: places}),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
	)...)
	if err != nil {
		return err
	}
	defer client.Close()
	for {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		for _, e := range fetches.Errors() {
			if !passes(e.Err) {
				return lost(e.Err)
			}
		}
		more := true
		fetches.EachPartition(func(f kgo.FetchTopicPartition) {
			if more && err == nil {
				more, err = reels[f.Partition].hand(ctx, f.Records, yield)
			}
		})
		if err != nil || !more {
			return err
		}
	}
}
