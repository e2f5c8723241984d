package kafka

import (
	"context"
	"iter"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/deliver"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/record"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// Dead implements [deliver.Log]. An event that is delivered again after a crash can become a dead letter twice.
func (p *partition) Dead(ctx context.Context, r deliver.Record, i, attempts int, cause error) error {
	if err := p.store.bury(ctx, r.Events[i], attempts, cause); err != nil {
		return err
	}
	p.Buried(r, i)
	return nil
}

// bury writes a dead letter.
func (s *store) bury(ctx context.Context, e eventstore.Event, attempts int, cause error) error {
	fields, err := record.DeadLetter(s.Store, e, attempts, cause)
	if err != nil {
		return err
	}
	fields = append(fields, record.Field{Name: record.DeadRecorded, Value: e.Recorded.Format(time.RFC3339Nano)})
	letter := message(e.Stream.String(), fields)
	letter.Topic = layout.KafkaDeadLetters(s.Store, s.Subscription)
	return s.client.ProduceSync(ctx, letter).FirstErr()
}

// DeadLetters implements [eventstore.DeadLetterReader].
func (s *store) DeadLetters(ctx context.Context) iter.Seq2[eventstore.DeadLetter, error] {
	return deliver.DeadLetters(ctx, s.Binding, s.open, s.deadLetters)
}

// Redrive implements [eventstore.Redriver].
func (s *store) Redrive(ctx context.Context, h eventstore.Handler) (int, error) {
	return deliver.Redrive(ctx, s.Binding, s.open, s.deadLetters, h)
}

func (s *store) deadLetters(ctx context.Context, yield func(deliver.Letter) bool) error {
	return explain(s.Secret, s.readDeadLetters(ctx, yield))
}

func (s *store) readDeadLetters(ctx context.Context, yield func(deliver.Letter) bool) error {
	letters := newTopic(s.client, layout.KafkaDeadLetters(s.Store, s.Subscription))
	of, err := letters.metadata(ctx)
	if err != nil {
		return err
	}
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
			if r.Attrs.IsControl() || r.Offset >= end {
				continue
			}
			l, err := s.letter(letters, of.TopicID, r)
			if err != nil {
				return err
			}
			if !yield(l) {
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

// letter is a dead letter before which there is no other that is not settled: Kafka removes records from the oldest on.
func (s *store) letter(letters *topic, id [16]byte, r *kgo.Record) (l deliver.Letter, err error) {
	l.DeadLetter, err = record.DecodeDeadLetter(fieldsOf(r), r.Timestamp.UTC())
	l.Remove = func(ctx context.Context) error {
		return explain(s.Secret, letters.deleteTo(ctx, id, r.Partition, r.Offset+1))
	}
	l.Renew = func(ctx context.Context, attempts int, cause error) error {
		if err := s.bury(ctx, l.Event, attempts, cause); err != nil {
			return explain(s.Secret, err)
		}
		return l.Remove(ctx)
	}
	return l, err
}
