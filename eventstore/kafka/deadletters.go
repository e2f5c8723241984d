package kafka

import (
	"context"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/deliver"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/record"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/refuse"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// Headers of a dead letter, beside those of the event's own record.
const (
	deadReason   = "dl_reason"
	deadAttempts = "dl_attempts"
	deadPosition = "dl_position"
	deadRecorded = "dl_recorded" // RFC 3339
)

// Attempts implements [deliver.Log].
func (p *partition) Attempts(r deliver.Record, i int) (n int, dead bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n = p.attempts[r.Events[i].Position.Offset]
	return n, n < 0
}

// Failed implements [deliver.Log]. The number is kept in this process: after a crash, or if the partition moves, it begins
// anew.
func (p *partition) Failed(_ context.Context, r deliver.Record, i, attempts int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.attempts[r.Events[i].Position.Offset] = attempts
	return nil
}

// Dead implements [deliver.Log]. An event that is delivered again after a crash can become a dead letter twice.
func (p *partition) Dead(ctx context.Context, r deliver.Record, i, attempts int, cause error) error {
	e := r.Events[i]
	fields, err := record.Single(record.SourceOf(p.store.Store), e)
	if err != nil {
		return err
	}
	fields = append(fields,
		record.Field{Name: deadReason, Value: shortened(cause.Error())},
		record.Field{Name: deadAttempts, Value: strconv.Itoa(attempts)},
		record.Field{Name: deadPosition, Value: e.Position.String()},
		record.Field{Name: deadRecorded, Value: e.Recorded.Format(time.RFC3339Nano)},
	)
	letter := message(e.Stream.String(), fields)
	letter.Topic = layout.KafkaDeadLetters(p.store.Store, p.store.Subscription)
	if err := p.store.client.ProduceSync(ctx, letter).FirstErr(); err != nil {
		return err
	}
	return p.Failed(ctx, r, i, -1)
}

// shortened is a reason that fits: that of a handler that panicked has a stack.
func shortened(reason string) string {
	if len(reason) <= deadLetterOverhead/2 {
		return reason
	}
	return strings.ToValidUTF8(reason[:deadLetterOverhead/2], "") + "…"
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
			d, err := deadLetter(r)
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

func deadLetter(r *kgo.Record) (eventstore.DeadLetter, error) {
	fields := fieldsOf(r)
	d := eventstore.DeadLetter{Reason: fields[deadReason], Time: r.Timestamp.UTC()}
	d.Attempts, _ = strconv.Atoi(fields[deadAttempts])
	events, err := decode(r)
	if err != nil {
		return d, err
	}
	d.Event = events[0]
	d.Event.Recorded, _ = time.Parse(time.RFC3339Nano, fields[deadRecorded])
	d.Event.Position, err = eventstore.ParsePosition(fields[deadPosition])
	return d, err
}
