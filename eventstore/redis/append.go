package redis

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/redis/go-redis/v9"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/guard"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/record"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// Append implements [eventstore.Appender].
func (s *store) Append(ctx context.Context, stream eventstore.StreamID, expected eventstore.Version, events ...eventstore.EventData) (eventstore.Version, error) {
	return guard.Append(ctx, s.Binding, stream, expected, events, func(fields record.Fields) (eventstore.Version, error) {
		v, err := s.append(ctx, stream, expected, len(events), fields)
		if isUnknown(err) && !s.Streaming && ctx.Err() == nil {
			v, err = s.appendAgain(ctx, stream, expected, len(events), fields)
		}
		if err = s.explain(err); isUnknown(err) {
			err = fmt.Errorf("%w: %w", eventstore.ErrUnknownOutcome, err)
		}
		return v, err
	})
}

// appendAgain repeats an append whose reply was lost. A conflict is then the truth only if the stream has gone past the
// expected version: otherwise the first copy, if it is still under way, could yet succeed.
func (s *store) appendAgain(ctx context.Context, stream eventstore.StreamID, expected eventstore.Version, events int, fields record.Fields) (eventstore.Version, error) {
	v, err := s.append(ctx, stream, expected, events, fields)
	if c, ok := errors.AsType[*eventstore.ConcurrencyError](err); ok && c.Actual < c.Expected {
		return 0, errors.New("the reply was lost, and the stream is not yet at the expected version")
	}
	return v, err
}

func (s *store) append(ctx context.Context, stream eventstore.StreamID, expected eventstore.Version, events int, fields record.Fields) (eventstore.Version, error) {
	if s.Streaming {
		return 0, s.add(ctx, stream, fields)
	}
	p := s.partition(stream)
	keys := []string{layout.RedisEvents(s.Store, p), layout.RedisIndex(s.Store, p, stream.String())}
	args := append([]any{int64(expected), events, layout.AnyWindow, fields.Get(record.ID)}, flat(fields)...)
	reply, err := appendScript.Run(ctx, s.client, keys, args...).Slice()
	if err != nil {
		return 0, err
	}
	what, _ := reply[0].(string)
	n, _ := reply[1].(int64)
	switch v := eventstore.Version(n); what {
	case "OK":
		return v, nil
	case "CONFLICT":
		return 0, &eventstore.ConcurrencyError{Expected: expected, Actual: v}
	default:
		return 0, fmt.Errorf("its index says version %d, but partition %d is empty: %w", v, p, eventstore.ErrHistoryLost)
	}
}

// add appends to a streaming store, which has no index. It is not repeated: no one could tell the copies apart.
func (s *store) add(ctx context.Context, stream eventstore.StreamID, fields record.Fields) error {
	if len(fields) == 0 {
		return nil
	}
	key := layout.RedisEvents(s.Store, s.partition(stream))
	return s.client.XAdd(ctx, &redis.XAddArgs{Stream: key, Values: flat(fields)}).Err()
}

func flat(fields record.Fields) []any {
	out := make([]any, 0, 2*len(fields))
	for _, f := range fields {
		out = append(out, f.Name, f.Value)
	}
	return out
}

// isUnknown reports whether err leaves open what became of a command: it was sent, and no reply came.
func isUnknown(err error) bool {
	if err == nil || errors.Is(err, eventstore.ErrConcurrency) || errors.Is(err, eventstore.ErrHistoryLost) {
		return false
	}
	if _, ok := errors.AsType[redis.Error](err); ok { // The server's reply.
		return false
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return false
	}
	return !errors.Is(err, redis.ErrClosed) && !errors.Is(err, redis.ErrPoolTimeout) && !errors.Is(err, redis.ErrPoolExhausted)
}
