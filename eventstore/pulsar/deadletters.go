package pulsar

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
	if _, err := p.store.producers.sendSync(ctx, p.store.deadLettersTopic(), message(e.Stream.String(), fields)); err != nil {
		return err
	}
	p.Buried(r, i)
	return nil
}

func (s *store) deadLettersTopic() string { return s.topic(layout.PulsarDeadLetters(s.Subscription)) }

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
	letters, err := s.scan(ctx, reading{topic: s.deadLettersTopic(), after: nowhere, ahead: readAhead})
	if err != nil {
		return err
	}
	defer letters.close()
	for {
		m, err := letters.next(ctx)
		if err != nil || m == nil {
			return err
		}
		d, err := record.DecodeDeadLetter(fieldsOf(m), m.PublishTime().UTC())
		if err != nil {
			return err
		}
		if !yield(d, nil) {
			return nil
		}
	}
}
