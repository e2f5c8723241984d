package pulsar

import (
	"context"
	"errors"
	"fmt"

	"github.com/apache/pulsar-client-go/pulsar"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/arbiter"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/pause"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/record"
)

// log is the store's events as [arbiter.Log].
type log struct{ *store }

// Publish implements [arbiter.Log]. Brokers acknowledge a record when the bookies have confirmed it, and name it as the last
// one from then on.
func (l log) Publish(partition int, stream string, fields record.Fields, o arbiter.Outcome) {
	topic, m := l.events(partition), message(stream, fields)
	done := func(at place, err error) {
		if err != nil {
			o.Failed(l.refused(err))
			return
		}
		o.Landed(at)
	}
	if producer := l.producers.ready(topic); producer != nil {
		l.producers.send(topic, producer, m, done)
		return
	}
	go func() {
		ctx, end, err := l.open.Begin(context.Background())
		if err != nil {
			o.Failed(err)
			return
		}
		defer end()
		producer, err := l.producers.get(ctx, topic)
		if err != nil {
			o.Failed(l.refused(err))
			return
		}
		l.producers.send(topic, producer, m, done)
	}()
}

// refused makes errors after which the record is certainly not in the log match [arbiter.ErrRefused].
func (l log) refused(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, pulsar.ErrMessageTooLarge), errors.Is(err, pulsar.ErrMetaTooLarge):
		return fmt.Errorf("the broker takes no record of that size: %w: %w: %w", eventstore.ErrTooLarge, arbiter.ErrRefused, err)
	case noTopic(err):
		return fmt.Errorf("its topic is gone: %w: %w: %w", eventstore.ErrHistoryLost, arbiter.ErrRefused, err)
	case unauthorized(err), unauthenticated(err):
		return fmt.Errorf("%w: %w", arbiter.ErrRefused, explain(l.Secret, err))
	}
	return err
}

// Tail implements [arbiter.Log].
func (l log) Tail(ctx context.Context, partition int, from arbiter.Position, fold arbiter.Fold) error {
	t := tail{log: l, partition: partition, next: from, fold: fold}
	for n := 0; ; n++ {
		at := t.next
		err := t.read(ctx)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if !passes(err) {
			return explain(l.Secret, err)
		}
		if at != t.next {
			n = 0
		}
		if err := pause.Before(ctx, n); err != nil {
			return err
		}
	}
}

// tail reads a partition for the arbiter.
type tail struct {
	log

	partition int
	next      place
	fold      arbiter.Fold
	doubted   place // A record before which others seemed to be missing.
}

// tailAhead is how many records of a partition the broker may send before they are folded.
const tailAhead = 1000

var errGap = errors.New("records are missing")

// read folds what comes until it cannot go on.
func (t *tail) read(ctx context.Context) error {
	r := reading{topic: t.events(t.partition), after: nowhere, ahead: tailAhead}
	if t.next != (place{}) {
		r.after = before(t.next)
	}
	reader, err := t.reader(ctx, r)
	if err != nil {
		return gone(t.partition, err)
	}
	defer reader.close()
	if _, err := reader.last(ctx); err != nil { // Of what closes a reader from here on the client hears, of what did before it may not.
		return err
	}
	// A reader passes over what was trimmed, and says nothing. Whoever makes the partition anew from here on closes the reader.
	if _, err := t.checkGenesis(ctx, t.partition); err != nil {
		return err
	}
	entries := make([]arbiter.Entry, 1)
	for {
		m, err := reader.next(ctx, 0)
		if err != nil {
			return err
		}
		at := placeOf(m.ID())
		if at.Before(t.next) { // A connection was lost: what was not acknowledged comes again.
			continue
		}
		// What is missing is read anew; if it is missing then too, it was never there for readers.
		if at.Segment == t.next.Segment && at.Offset > t.next.Offset && at != t.doubted {
			t.doubted = at
			return errGap
		}
		t.next = after(at)
		entries[0] = entryOf(m)
		t.fold(entries, t.next)
	}
}

// At implements [arbiter.Log].
func (l log) At(ctx context.Context, partition int, at arbiter.Position) (arbiter.Entry, error) {
	run, err := l.scan(ctx, reading{topic: l.events(partition), after: before(at), ahead: 1})
	if err != nil {
		return arbiter.Entry{}, explain(l.Secret, err)
	}
	defer run.close()
	m, err := run.next(ctx)
	if err != nil {
		return arbiter.Entry{}, explain(l.Secret, err)
	}
	if m == nil || placeOf(m.ID()) != at {
		return arbiter.Entry{}, nil
	}
	return entryOf(m), nil
}

// End implements [arbiter.Log]. The broker answers with the last record even if a new ledger was begun since. In a partition
// without any, even its genesis is missing.
func (l log) End(ctx context.Context, partition int) (arbiter.Position, error) {
	at, err := l.ask(ctx, l.ends[partition])
	switch {
	case err != nil:
		return at, explain(l.Secret, gone(partition, err))
	case at == nowhere:
		return at, fmt.Errorf("it is empty, and lacks even its first record: %w", eventstore.ErrHistoryLost)
	}
	return after(at), nil
}
