package pulsar

import (
	"context"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/apache/pulsar-client-go/pulsar"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/deliver"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/record"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/refuse"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// Properties of a dead letter, beside those of the event's own record.
const (
	deadReason   = "dl_reason"
	deadAttempts = "dl_attempts"
	deadPosition = "dl_position"
	deadRecorded = "dl_recorded" // RFC 3339
)

// deadReasonBytes is how much is kept of a reason: that of a handler that panicked has a stack.
const deadReasonBytes = 1 << 14

// Attempts implements [deliver.Log].
func (p *partition) Attempts(r deliver.Record, i int) (n int, dead bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n = p.attempts[r.Events[i].Position.Offset]
	return n, n < 0
}

// Failed implements [deliver.Log]. The number is kept in this process: after a crash, or if another consumer gets the event,
// it begins anew.
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
	if _, err := p.store.producers.sendSync(ctx, p.store.deadLettersTopic(), message(e.Stream.String(), fields)); err != nil {
		return err
	}
	return p.Failed(ctx, r, i, -1)
}

func shortened(reason string) string {
	if len(reason) <= deadReasonBytes {
		return reason
	}
	return strings.ToValidUTF8(reason[:deadReasonBytes], "") + "…"
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
		d, err := deadLetter(m)
		if err != nil {
			return err
		}
		if !yield(d, nil) {
			return nil
		}
	}
}

func deadLetter(m pulsar.Message) (eventstore.DeadLetter, error) {
	properties := m.Properties()
	d := eventstore.DeadLetter{Reason: properties[deadReason], Time: m.PublishTime().UTC()}
	d.Attempts, _ = strconv.Atoi(properties[deadAttempts])
	events, err := decode(0, m)
	if err != nil {
		return d, err
	}
	d.Event = events[0]
	d.Event.Recorded, _ = time.Parse(time.RFC3339Nano, properties[deadRecorded])
	d.Event.Position, err = eventstore.ParsePosition(properties[deadPosition])
	return d, err
}
