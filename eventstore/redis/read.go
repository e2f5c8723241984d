package redis

import (
	"context"
	"fmt"
	"iter"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/guard"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/record"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// page is how many records one request reads.
const page = 256

// Read implements [eventstore.Reader].
func (s *store) Read(ctx context.Context, stream eventstore.StreamID, after eventstore.Version) iter.Seq2[eventstore.Event, error] {
	return guard.Read(ctx, s.Binding, s.open, stream, func(ctx context.Context, yield func(eventstore.Event, error) bool) error {
		return s.explain(s.read(ctx, stream, max(after, 0), yield))
	})
}

func (s *store) read(ctx context.Context, stream eventstore.StreamID, after eventstore.Version, yield func(eventstore.Event, error) bool) error {
	p := s.partition(stream)
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		entries, err := s.client.ZRangeArgs(ctx, redis.ZRangeArgs{
			Key: layout.RedisIndex(s.Store, p, stream.String()), ByScore: true,
			Start: "(" + strconv.FormatInt(int64(after), 10), Stop: "+inf", Count: page,
		}).Result()
		if err != nil || len(entries) == 0 {
			return err
		}
		events, err := s.fetch(ctx, p, entries)
		if err != nil {
			return err
		}
		for _, e := range events {
			if e.Version <= after {
				continue // The first ones of a batch that was read in part.
			}
			if e.Version != after+1 {
				return fmt.Errorf("version %d follows %d: %w", e.Version, after, eventstore.ErrHistoryLost)
			}
			if after = e.Version; !yield(e, nil) {
				return nil
			}
		}
		if len(entries) < page {
			return nil
		}
	}
}

// fetch reads entries by their ids, in one request.
func (s *store) fetch(ctx context.Context, p int, entries []string) ([]eventstore.Event, error) {
	key := layout.RedisEvents(s.Store, p)
	pipe := s.client.Pipeline()
	for _, id := range entries {
		pipe.XRange(ctx, key, id, id)
	}
	replies, err := pipe.Exec(ctx)
	if err != nil {
		return nil, err
	}
	var d record.Decoder
	var events []eventstore.Event
	for i, r := range replies {
		found := r.(*redis.XMessageSliceCmd).Val() //nolint:forcetypeassert // They are what was asked.
		if len(found) == 0 {
			return nil, fmt.Errorf("entry %s of partition %d is in its index and not in the partition: %w", entries[i], p, eventstore.ErrHistoryLost)
		}
		_, decoded, err := decode(&d, p, found[0])
		if err != nil {
			return nil, err
		}
		events = append(events, decoded...)
	}
	return events, nil
}

// decode returns the id of an entry, and its events with their positions. There are none if it was trimmed away while it was pending.
func decode(d *record.Decoder, p int, m redis.XMessage) (at entryID, events []eventstore.Event, err error) {
	if at, err = parseEntryID(m.ID); err != nil || len(m.Values) == 0 {
		return at, nil, err
	}
	var v record.Envelope
	for name, value := range m.Values {
		text, _ := value.(string)
		v.Set(name, text)
	}
	if events, err = d.Events(&v); err != nil {
		return at, nil, fmt.Errorf("entry %s of partition %d: %w", m.ID, p, err)
	}
	recorded := at.time()
	for i := range events {
		events[i].Recorded = recorded
		events[i].Position = eventstore.Position{Partition: p, Offset: record.Offset(m.ID, i)}
	}
	return at, events, nil
}

// fieldsOf returns fields as the client shows them: those of entries are any, those of hashes strings.
func fieldsOf[T any](values map[string]T) record.Fields {
	fields := make(record.Fields, 0, len(values))
	for name, value := range values {
		s, _ := any(value).(string)
		fields = append(fields, record.Field{Name: name, Value: s})
	}
	return fields
}
