package arbiter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/record"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// verdict is what became of an attempt.
type verdict struct {
	counts  bool
	version int64 // of the stream after it
	err     error // It is not known, and why.
}

// attempt is a record of ours on its way. It implements [Outcome].
type attempt struct {
	partition *partition
	entry     Entry     // as the log will have it, but for its position
	news      chan news // Has room for a verdict and a doubt.
	doubted   atomic.Bool
}

// news is what came of an attempt so far.
type news struct {
	verdict verdict
	doubt   error // The record may be missing. There is no verdict.
}

// settle is called once.
func (a *attempt) settle(v verdict) { a.news <- news{verdict: v} }

// Landed implements [Outcome].
func (a *attempt) Landed(at Position) {
	e := a.entry
	e.Position = at
	a.partition.landed(&e)
}

// Failed implements [Outcome]. Of several doubts one is enough until somebody has heard of it.
func (a *attempt) Failed(err error) {
	if a.doubted.CompareAndSwap(false, true) {
		a.news <- news{doubt: err}
	}
}

// An Append is events for one stream.
type Append struct {
	Stream   eventstore.StreamID
	Expected eventstore.Version // may be [eventstore.Any]
	Fields   record.Fields      // as [record.Encode] makes them; none: only the expectation is checked
}

// Append carries out an append, as [eventstore.Appender] has it. Appends to one stream wait for each other here: in the log
// all but one of those that start from the same version would be void.
func (a *Arbiter) Append(ctx context.Context, r Append) (eventstore.Version, error) {
	name := r.Stream.String()
	w := writer{partition: a.partition(name), Append: r, stream: name, id: r.Fields.Get(record.ID)}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.turn(ctx); err != nil {
		return 0, err
	}
	defer w.pass()
	if err := w.warmUp(ctx); err != nil {
		return 0, err
	}
	for {
		base, done, version, err := w.begin(ctx)
		if done || err != nil {
			return version, err
		}
		version, again, err := w.write(ctx, base)
		if !again {
			return version, err
		}
	}
}

// writer is one call of Append. It has the partition's lock, but while it waits.
type writer struct {
	*partition
	Append

	stream string
	id     string // of the first event
}

// turn waits until nobody else in this process appends to the stream.
func (w *writer) turn(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	waiting, busy := w.turns[w.stream]
	if !busy {
		w.turns[w.stream] = nil
		return nil
	}
	mine := make(chan struct{})
	w.turns[w.stream] = append(waiting, mine)
	came := w.unlocked(func() error {
		select {
		case <-mine:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
	if came == nil {
		return nil
	}
	if i := slices.Index(w.turns[w.stream], mine); i >= 0 {
		w.turns[w.stream] = slices.Delete(w.turns[w.stream], i, i+1)
	} else { // It was given to us at the same moment.
		w.pass()
	}
	return came
}

// pass gives the turn to the next.
func (w *writer) pass() {
	waiting := w.turns[w.stream]
	if len(waiting) == 0 {
		delete(w.turns, w.stream)
		return
	}
	w.turns[w.stream] = waiting[1:]
	close(waiting[0])
}

// warmUp reads, once, what there is: on a cold index most of what is published would be void.
func (w *writer) warmUp(ctx context.Context) error {
	if w.warm && w.read() == nil {
		return nil
	}
	err := w.unlocked(func() error { return w.catchUp(ctx) })
	w.warm = w.warm || err == nil
	return err
}

// unlocked calls f without the lock.
func (p *partition) unlocked(f func() error) error {
	p.mu.Unlock()
	defer p.mu.Lock()
	return f()
}

// begin returns the version to write at. done says that nothing is to be written, as an earlier copy of this append is in
// the log, or there are no events.
func (w *writer) begin(ctx context.Context) (base int64, done bool, version eventstore.Version, err error) {
	known, won := w.look()
	if !won && (len(w.Fields) == 0 || w.Expected != eventstore.Any && int64(w.Expected) != known) {
		// The stream may have moved on since. Nobody publishes ahead of what was read, nor answers with what is out of date.
		if err := w.unlocked(func() error { return w.catchUp(ctx) }); err != nil {
			return 0, false, 0, err
		}
		known, won = w.look()
	}
	switch {
	case won:
		return 0, true, eventstore.Version(known), nil
	case w.Expected != eventstore.Any && int64(w.Expected) != known:
		return 0, false, 0, &eventstore.ConcurrencyError{Expected: w.Expected, Actual: eventstore.Version(known)}
	}
	return known, len(w.Fields) == 0, eventstore.Version(known), nil
}

// look returns the version of the stream that is known; or, if an earlier copy of this append has won, that after it.
func (w *writer) look() (version int64, won bool) {
	if len(w.Fields) > 0 {
		if v, ok := w.find(); ok {
			return v, true
		}
	}
	return w.index.version(w.stream), false
}

func (w *writer) find() (version int64, won bool) {
	if w.Expected == eventstore.Any {
		return w.index.findNewest(w.stream, layout.AnyWindow, w.id)
	}
	return w.index.find(w.stream, int64(w.Expected), w.id)
}

// write publishes at a version, and waits for the verdict. again says that another append came between, which an append at
// any version does not mind.
func (w *writer) write(ctx context.Context, base int64) (version eventstore.Version, again bool, err error) {
	if err := w.read(); err != nil { // From now on somebody reads the partition, or says why not.
		return 0, false, err
	}
	w.newest++
	n, a := w.newest, &attempt{partition: w.partition, news: make(chan news, 2)}
	w.attempts[n] = a
	defer delete(w.attempts, n)
	var v verdict
	err = w.unlocked(func() (err error) {
		fields := append(w.Fields, //nolint:gocritic // There is room, and nobody keeps what an earlier attempt had there.
			record.Field{Name: record.Version, Value: strconv.FormatInt(base+1, 10)},
			record.Field{Name: record.Attempt, Value: w.attemptID(n)})
		envelope := record.Open(fields)
		a.entry = NewEntry(Position{}, &envelope)
		v, err = w.publish(ctx, a, fields)
		return err
	})
	if err != nil {
		return 0, false, err
	}
	if v.counts {
		return eventstore.Version(v.version), false, nil
	}
	if known, won := w.look(); won {
		return eventstore.Version(known), false, nil
	}
	if w.Expected == eventstore.Any {
		return 0, true, nil
	}
	return 0, false, &eventstore.ConcurrencyError{Expected: w.Expected, Actual: eventstore.Version(v.version)}
}

// again is how long to wait before a record that may be missing is published again.
const again = 100 * time.Millisecond

// publish puts a record into the log and waits for its verdict. It repeats what may be missing: a copy changes nothing, as
// the stream can pass the record's base only once.
func (w *writer) publish(ctx context.Context, a *attempt, fields record.Fields) (verdict, error) {
	var repeat <-chan time.Time
	var cause error
	w.log.Publish(w.number, w.stream, fields, a)
	for {
		select {
		case n := <-a.news:
			if n.doubt == nil {
				if err := n.verdict.err; err != nil {
					return n.verdict, unknown(err)
				}
				return n.verdict, nil
			}
			a.doubted.Store(false)
			switch refused := errors.Is(n.doubt, ErrRefused); {
			case refused && cause == nil:
				return verdict{}, n.doubt
			case refused: // This copy. An earlier one may be there yet.
				return verdict{}, unknown(errors.Join(cause, n.doubt))
			}
			cause = n.doubt
			repeat = time.After(again)
		case <-repeat:
			repeat = nil
			w.log.Publish(w.number, w.stream, fields, a)
		case <-ctx.Done():
			return verdict{}, unknown(errors.Join(context.Cause(ctx), cause))
		}
	}
}

func unknown(cause error) error {
	return fmt.Errorf("%w: %w", eventstore.ErrUnknownOutcome, cause)
}
