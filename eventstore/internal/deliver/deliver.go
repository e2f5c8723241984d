// Package deliver hands records of a log to a handler: in order for each stream, again after a failure, and to the dead
// letters in the end. It is what all drivers do alike, and knows no broker.
package deliver

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

// A Record is what the log acknowledges as one: the events of one append.
type Record struct {
	ID     string // of the log
	Events []eventstore.Event
}

// A Log is where records come from, and what hears of their fate. Its methods may be called concurrently.
type Log interface {
	// Done acknowledges a record: all its events were handled, skipped or given up. It does not block for long.
	Done(r Record)

	// Attempts returns how many deliveries of the event failed before, here or in another process; dead says that it was
	// given up already. It does not block.
	Attempts(r Record, i int) (n int, dead bool)

	// Failed keeps the number of failed deliveries of the i-th event. An error does not stop the delivery.
	Failed(ctx context.Context, r Record, i, attempts int) error

	// Dead writes the i-th event to the dead letters. It is called before Done, and again if it fails.
	Dead(ctx context.Context, r Record, i, attempts int, cause error) error
}

// A Queue delivers the records of one partition. It holds what it was given until that is done, so whoever calls
// [Queue.Add] bounds how much that is.
type Queue struct {
	delivery eventstore.Delivery
	handler  eventstore.Handler
	log      Log
	slots    chan struct{} // One for each handler that may run, shared by all queues of a consumer.
	stop     context.Context
	work     context.Context
	fail     func(error)
	wg       sync.WaitGroup

	mu      sync.Mutex
	waiting map[eventstore.StreamID][]Record // A stream is in it while one goroutine works on it.
}

// Add begins the delivery of a record, after those of the same stream that were added before. It does not block.
func (q *Queue) Add(r Record) {
	if q.delivery.Unordered || len(r.Events) == 0 {
		q.wg.Go(func() { q.deliver(r) })
		return
	}
	stream := r.Events[0].Stream
	q.mu.Lock()
	defer q.mu.Unlock()
	busy, ok := q.waiting[stream]
	if ok {
		q.waiting[stream] = append(busy, r)
		return
	}
	q.waiting[stream] = nil
	q.wg.Go(func() { q.drain(stream, r) })
}

// Wait returns when nothing is being delivered any more: all is done, or stop has ended and running handlers returned.
func (q *Queue) Wait() { q.wg.Wait() }

func (q *Queue) drain(stream eventstore.StreamID, r Record) {
	for ok := true; ok; r, ok = q.next(stream) {
		if !q.deliver(r) {
			return // Stopped. The stream stays in waiting, so that nothing overtakes.
		}
	}
}

func (q *Queue) next(stream eventstore.StreamID) (Record, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	rest := q.waiting[stream]
	if len(rest) == 0 {
		delete(q.waiting, stream)
		return Record{}, false
	}
	q.waiting[stream] = rest[1:]
	return rest[0], true
}

// deliver reports whether the record is done.
func (q *Queue) deliver(r Record) bool {
	for i, e := range r.Events {
		if len(q.delivery.EventTypes) > 0 && !slices.Contains(q.delivery.EventTypes, e.Type) {
			continue
		}
		if !q.event(r, i) {
			return false
		}
	}
	q.log.Done(r)
	return true
}

// event reports whether the i-th event was handled or given up; if not, the queue was stopped.
func (q *Queue) event(r Record, i int) bool {
	attempts, dead := q.log.Attempts(r, i)
	if dead {
		return true
	}
	for {
		begin := q.stop
		if i > 0 {
			begin = q.work // A record that was begun is finished, as it is acknowledged whole.
		}
		err, ran := q.call(begin, r.Events[i])
		if !ran {
			return false
		}
		if err == nil {
			return true
		}
		if q.work.Err() != nil {
			return false // The handler was told to stop: not its failure.
		}
		attempts++
		giveUp := eventstore.IsPermanent(err) || attempts >= q.delivery.MaxDeliveries
		if giveUp && q.delivery.DeadLetter {
			return q.bury(r, i, attempts, err)
		}
		if eventstore.IsPermanent(err) {
			q.fail(fmt.Errorf("cannot handle event %s of %s, and the subscription has no dead letters: %w", r.Events[i].ID, r.Events[i].Stream, err))
			return false
		}
		_ = q.log.Failed(q.work, r, i, attempts) // At worst the event is tried more often.
		if !q.sleep(q.delivery.Backoff(attempts)) {
			return false
		}
	}
}

func (q *Queue) bury(r Record, i, attempts int, cause error) bool {
	for n := 1; ; n++ {
		if err := q.log.Dead(q.work, r, i, attempts, cause); err == nil {
			return true
		}
		if !q.sleep(q.delivery.Backoff(n)) {
			return false
		}
	}
}

// call runs the handler once a slot is free. ran is false if begin ended first.
func (q *Queue) call(begin context.Context, e eventstore.Event) (err error, ran bool) { //nolint:revive,staticcheck // The error is the handler's, not call's.
	select {
	case q.slots <- struct{}{}:
	case <-begin.Done():
		return nil, false
	}
	defer func() { <-q.slots }()
	if begin.Err() != nil {
		return nil, false
	}
	defer func() {
		if p := recover(); p != nil {
			err, ran = fmt.Errorf("handler panicked: %v\n%s", p, debug.Stack()), true
		}
	}()
	return q.handler(q.work, e), true
}

func (q *Queue) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-q.stop.Done():
		return false
	}
}

// ErrGrace is the cause of a handler's context that ended because the time to finish was over.
var ErrGrace = errors.New("time to finish is over")

// Grace returns a context that outlives ctx by d.
func Grace(ctx context.Context, d time.Duration) (work context.Context, release func()) {
	work, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	var timer *time.Timer
	var mu sync.Mutex
	unhook := context.AfterFunc(ctx, func() {
		mu.Lock()
		defer mu.Unlock()
		timer = time.AfterFunc(d, func() { cancel(ErrGrace) })
	})
	return work, func() {
		unhook()
		mu.Lock()
		defer mu.Unlock()
		if timer != nil {
			timer.Stop()
		}
		cancel(context.Canceled)
	}
}
