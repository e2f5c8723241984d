package redis

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/guard"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/record"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// Replay implements [eventstore.Reader]. Partitions are merged by entry id, which begins with the server's time.
func (s *store) Replay(ctx context.Context, from eventstore.Start) iter.Seq2[eventstore.Event, error] {
	return guard.Replay(ctx, s.Binding, s.open, func(ctx context.Context, yield func(eventstore.Event, error) bool) error {
		return s.explain(s.replay(ctx, from, yield))
	})
}

func (s *store) replay(ctx context.Context, from eventstore.Start, yield func(eventstore.Event, error) bool) error {
	tails, err := s.tails(from)
	if err != nil {
		return err
	}
	if err := s.ends(ctx, tails); err != nil {
		return err
	}
	more, err := s.merge(ctx, tails, yield)
	if err == nil && more && from.Live {
		err = s.follow(ctx, tails, yield)
	}
	return err
}

// tail is one partition of a replay.
type tail struct {
	partition int
	next      entryID // Read from here on. If seen, this is the last entry that was seen.
	seen      bool
	whole     bool             // All its events were.
	skip      cursor           // Events up to here, of its entry, were seen before.
	passed    int64            // How many entries there ever were up to next; -1: not known.
	end       *entryID         // The last entry there was when the replay began; nil: none.
	ready     []redis.XMessage // Read, not yet yielded.
	decoder   record.Decoder
}

func (s *store) tails(from eventstore.Start) ([]*tail, error) {
	after, err := record.After(from, s.Partitions, parseCursor)
	if err != nil {
		return nil, err
	}
	tails := make([]*tail, s.Partitions)
	for p := range tails {
		t := &tail{partition: p, passed: -1}
		if c, ok := after[p]; ok {
			t.next, t.skip, t.seen = c.entryID, c, c.entryID != entryID{}
		} else if from.Time.After(time.UnixMilli(0)) {
			t.next.ms = uint64(from.Time.Add(time.Millisecond - 1).UnixMilli()) // Entries have whole milliseconds.
		}
		tails[p] = t
	}
	return tails, nil
}

// ends notes the last entry of every partition.
func (s *store) ends(ctx context.Context, tails []*tail) error {
	pipe := s.client.Pipeline()
	last := make([]*redis.XMessageSliceCmd, len(tails))
	for i, t := range tails {
		last[i] = pipe.XRevRangeN(ctx, layout.RedisEvents(s.Store, t.partition), "+", "-", 1)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return err
	}
	for i, t := range tails {
		if m := last[i].Val(); len(m) > 0 {
			id, err := parseEntryID(m[0].ID)
			if err != nil {
				return err
			}
			t.end = &id
		} else if t.seen {
			if err := s.hole(ctx, t); err != nil {
				return err
			}
		}
	}
	return nil
}

// merge yields what lies between next and end of all partitions, oldest first. more is false if the caller left.
func (s *store) merge(ctx context.Context, tails []*tail, yield func(eventstore.Event, error) bool) (more bool, err error) {
	for {
		if ctx.Err() != nil {
			return false, context.Cause(ctx)
		}
		oldest, err := s.oldest(ctx, tails)
		if err != nil || oldest == nil {
			return err == nil, err
		}
		m := oldest.ready[0]
		oldest.ready = oldest.ready[1:]
		if more, err := oldest.yield(m, yield); err != nil || !more {
			return false, err
		}
	}
}

// oldest returns the tail whose next entry is the oldest; nil if all have ended.
func (s *store) oldest(ctx context.Context, tails []*tail) (oldest *tail, err error) {
	var first entryID
	for _, t := range tails {
		if len(t.ready) == 0 && !t.ended() {
			if err := s.fill(ctx, t, t.end.String()); err != nil {
				return nil, err
			}
			if len(t.ready) == 0 { // Nothing is left: it was trimmed away.
				t.end = nil
			}
		}
		if len(t.ready) == 0 {
			continue
		}
		id, err := parseEntryID(t.ready[0].ID)
		if err != nil {
			return nil, err
		}
		if oldest == nil || id.compare(first) < 0 {
			oldest, first = t, id
		}
	}
	return oldest, nil
}

// ended reports whether nothing up to end is left to read.
func (t *tail) ended() bool {
	if t.end == nil {
		return true
	}
	n := t.next.compare(*t.end)
	return n > 0 || n == 0 && t.whole
}

// fill reads what follows, up to an id. It begins with the last entry that was seen: while that is there, nothing after
// it was trimmed.
func (s *store) fill(ctx context.Context, t *tail, to string) (err error) {
	t.ready, err = s.client.XRangeN(ctx, layout.RedisEvents(s.Store, t.partition), t.next.String(), to, page).Result()
	switch {
	case err != nil || !t.seen:
		return err
	case len(t.ready) == 0 || t.ready[0].ID != t.next.String():
		return s.hole(ctx, t)
	case t.whole:
		t.ready = t.ready[1:]
	}
	return nil
}

// hole looks for one after the last entry that was seen, when that is gone. Redis does not keep the last id that was
// trimmed, so if nothing else tells, we take it that more than that entry is gone: an event must not be passed over.
func (s *store) hole(ctx context.Context, t *tail) error {
	info, err := s.client.XInfoStream(ctx, layout.RedisEvents(s.Store, t.partition)).Result()
	if isNoKey(err) {
		info, err = &redis.XInfoStream{LastGeneratedID: "0-0"}, nil
	}
	if err != nil {
		return err
	}
	last, err := parseEntryID(info.LastGeneratedID)
	if err != nil {
		return err
	}
	if !t.seen {
		if info.Length > 0 {
			return nil // What is there first is what the replay begins with.
		}
		t.next = last
	}
	trimmed := info.EntriesAdded - info.Length
	t.seen, t.whole = true, t.whole || info.Length == 0
	if last.compare(t.next) <= 0 {
		t.passed = info.EntriesAdded
		return nil
	}
	if trimmed == 0 || t.passed >= trimmed {
		return nil
	}
	if info.Length > 0 {
		first, err := parseEntryID(info.FirstEntry.ID)
		if err != nil || first.compare(t.next) <= 0 {
			return err
		}
	}
	at := eventstore.Position{Partition: t.partition, Offset: t.next.String()}
	return fmt.Errorf("partition %d no longer has the record at position %s, nor perhaps later ones: begin from the start, or from a time: %w",
		t.partition, at, eventstore.ErrHistoryLost)
}

// yield hands out the events of an entry, and moves on.
func (t *tail) yield(m redis.XMessage, yield func(eventstore.Event, error) bool) (more bool, err error) {
	id, events, err := decode(&t.decoder, t.partition, m)
	if err != nil {
		return false, err
	}
	if t.passed >= 0 && id != t.next {
		t.passed++
	}
	t.next, t.seen, t.whole = id, true, true
	for i, e := range events {
		if id == t.skip.entryID && i <= t.skip.event {
			continue
		}
		if !yield(e, nil) {
			return false, nil
		}
	}
	return true, nil
}

// follow yields new entries as they come, until ctx ends.
func (s *store) follow(ctx context.Context, tails []*tail, yield func(eventstore.Event, error) bool) error {
	w, err := s.waiters(ctx)
	if err != nil {
		return err
	}
	defer w.close()
	for {
		after, byKey := map[string]string{}, map[string]*tail{}
		for _, t := range tails {
			if t.passed < 0 && (t.seen || t.next == entryID{}) {
				if err := s.hole(ctx, t); err != nil {
					return err
				}
			}
			last := t.next
			if !t.whole {
				last = last.before()
			}
			key := layout.RedisEvents(s.Store, t.partition)
			after[key], byKey[key] = last.String(), t
		}
		keys, err := w.wait(ctx, after)
		if err != nil {
			return err
		}
		for _, key := range keys {
			if more, err := s.news(ctx, byKey[key], yield); err != nil || !more {
				return err
			}
		}
	}
}

// news yields a page of what came to a partition.
func (s *store) news(ctx context.Context, t *tail, yield func(eventstore.Event, error) bool) (more bool, err error) {
	if err := s.fill(ctx, t, "+"); err != nil {
		return false, err
	}
	for _, m := range t.ready {
		if more, err := t.yield(m, yield); err != nil || !more {
			return false, err
		}
	}
	return true, nil
}

// before is the greatest id that is less than e: XREAD wants the last id that was seen.
func (e entryID) before() entryID {
	switch {
	case e.seq > 0:
		return entryID{e.ms, e.seq - 1}
	case e.ms > 0:
		return entryID{e.ms - 1, ^uint64(0)}
	}
	return e
}
