package kafka

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/deliver"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/record"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/refuse"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// Dead implements [deliver.Log]. An event that is delivered again after a crash can become a dead letter twice.
func (p *partition) Dead(ctx context.Context, r deliver.Record, i, attempts int, cause error) error {
	e := r.Events[i]
	fields, err := record.DeadLetter(p.store.Store, e, attempts, cause)
	if err != nil {
		return err
	}
	fields = append(fields, record.Field{Name: record.DeadRecorded, Value: e.Recorded.Format(time.RFC3339Nano)})
	letter := message(e.Stream.String(), fields)
	letter.Topic = layout.KafkaDeadLetters(p.store.Store, p.store.Subscription)
	if err := p.store.client.ProduceSync(ctx, letter).FirstErr(); err != nil {
		return err
	}
	p.Buried(r, i)
	return nil
}

// DeadLetters implements [eventstore.DeadLetterReader].
func (s *store) DeadLetters(ctx context.Context) iter.Seq2[eventstore.DeadLetter, error] {
	return func(yield func(eventstore.DeadLetter, error) bool) {
		if err := s.deadLetters(ctx, yield); err != nil {
			yield(eventstore.DeadLetter{}, fmt.Errorf("cannot read dead letters of subscription %q of store %q: %w",
				s.Subscription, s.Store, explain(s.Secret, err)))
		}
	}
}

func (s *store) deadLetters(ctx context.Context, yield func(eventstore.DeadLetter, error) bool) error {
	if err := refuse.Subscribe(s.Binding); err != nil {
		return err
	}
	ctx, done, err := s.open.Begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	letters := newTopic(s.client, layout.KafkaDeadLetters(s.Store, s.Subscription))
	at, err := letters.offset(ctx, 0, startOffset)
	if err != nil {
		return err
	}
	end, err := letters.offset(ctx, 0, endOffset)
	if err != nil {
		return err
	}
	for at < end {
		pg, err := letters.fetch(ctx, 0, at, replayBytes)
		if err != nil {
			return err
		}
		for _, r := range pg.records {
			if r.Attrs.IsControl() {
				continue
			}
			d, err := record.DecodeDeadLetter(fieldsOf(r), r.Timestamp.UTC())
			if err != nil {
				return err
			}
			if !yield(d, nil) {
				return nil
			}
		}
		if pg.next == at {
			return nil
		}
		at = pg.next
	}
	return nil
}
