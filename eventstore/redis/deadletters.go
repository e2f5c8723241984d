package redis

import (
	"context"
	"iter"

	"github.com/redis/go-redis/v9"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/deliver"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/record"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// DeadLetters implements [eventstore.DeadLetterReader].
func (s *store) DeadLetters(ctx context.Context) iter.Seq2[eventstore.DeadLetter, error] {
	return deliver.DeadLetters(ctx, s.Binding, s.open, s.deadLetters)
}

// Redrive implements [eventstore.Redriver].
func (s *store) Redrive(ctx context.Context, h eventstore.Handler) (int, error) {
	return deliver.Redrive(ctx, s.Binding, s.open, s.deadLetters, h)
}

func (s *store) deadLetters(ctx context.Context, yield func(deliver.Letter) bool) error {
	for p := range s.Partitions {
		more, err := s.deadLettersOf(ctx, p, yield)
		if err != nil || !more {
			return s.explain(err)
		}
	}
	return nil
}

func (s *store) deadLettersOf(ctx context.Context, p int, yield func(deliver.Letter) bool) (more bool, err error) {
	key := layout.RedisDeadLetters(s.Store, p, s.Subscription)
	last, err := s.client.XRevRangeN(ctx, key, "+", "-", 1).Result()
	if err != nil || len(last) == 0 {
		return true, err
	}
	for from := "-"; ; {
		found, err := s.client.XRangeN(ctx, key, from, last[0].ID, page).Result()
		if err != nil {
			return false, err
		}
		for _, m := range found {
			l, err := s.letter(key, m)
			if err != nil || !yield(l) {
				return false, err
			}
			from = "(" + m.ID
		}
		if len(found) < page {
			return true, nil
		}
	}
}

func (s *store) letter(key string, m redis.XMessage) (l deliver.Letter, err error) {
	written, err := parseEntryID(m.ID)
	if err != nil {
		return l, err
	}
	if l.DeadLetter, err = record.DecodeDeadLetter(fieldsOf(m.Values), written.time()); err != nil {
		return l, err
	}
	at, err := parseCursor(l.Event.Position.Offset)
	if err != nil {
		return l, err
	}
	l.Event.Recorded = at.time()
	l.Remove = func(ctx context.Context) error { return s.explain(s.client.XDel(ctx, key, m.ID).Err()) }
	l.Renew = func(ctx context.Context, attempts int, cause error) error {
		fields, err := record.DeadLetter(s.Store, l.Event, attempts, cause)
		if err != nil {
			return err
		}
		return s.explain(renewScript.Run(ctx, s.client, []string{key}, append([]any{m.ID}, flat(fields)...)...).Err())
	}
	return l, nil
}
