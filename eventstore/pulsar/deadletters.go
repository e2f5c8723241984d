package pulsar

import (
	"context"
	"iter"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/deliver"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/record"
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
	return deliver.DeadLetters(ctx, s.Binding, s.open, s.deadLetters)
}

func (s *store) deadLetters(ctx context.Context, yield func(deliver.Letter) bool) error {
	return explain(s.Secret, s.readDeadLetters(ctx, yield))
}

// readDeadLetters yields letters that nobody can settle: Pulsar removes no single records.
func (s *store) readDeadLetters(ctx context.Context, yield func(deliver.Letter) bool) error {
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
		if !yield(deliver.Letter{DeadLetter: d}) {
			return nil
		}
	}
}
