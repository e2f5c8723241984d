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
	waiting map[eventstore.StreamID]*line // A stream is in it while one goroutine works on it.
}

// A line is the records of a stream that wait, in order.
type line struct{ first, last *place }

// A place is one in a line.
type place struct {
	*Record

	next *place
}

// release lets go of a record that is done. Others that are not, perhaps for long, share memory with it: what of that is left is
// small.
func (p *place) release() {
	for i := range p.Events {
		p.Events[i].Data = nil
	}
	*p.Record = Record{}
}

// turn is how many records of a stream are delivered until others get its slot, if they wait for one.
const turn = 16

// Add begins the delivery of records, each after those of the same stream that were added before. It does not block, and keeps
// the slice and its events, whose payloads it lets go of when they are done.
func (q *Queue) Add(records ...Record) {
	q.mu.Lock()
	defer q.mu.Unlock()
	places := make([]place, len(records)) // One piece of memory, as there are many.
	for i := range records {
		p := &places[i]
		if p.Record = &records[i]; q.delivery.Unordered || len(p.Events) == 0 {
			q.wg.Go(func() { q.deliver(p) })
			continue
		}
		stream := p.Events[0].Stream
		switch l := q.waiting[stream]; {
		case l == nil:
			q.waiting[stream] = &line{p, p}
			q.wg.Go(func() { q.drain(stream) })
		case l.first == nil:
			l.first, l.last = p, p
		default:
			l.last.next, l.last = p, p
		}
	}
}

// Wait returns when nothing is being delivered any more: all is done, or stop has ended and running handlers returned.
func (q *Queue) Wait() { q.wg.Wait() }

func (q *Queue) drain(stream eventstore.StreamID) {
	for first := q.next(stream); first != nil; first = q.next(stream) {
		if !q.deliver(first) {
			return // Stopped. The stream stays in waiting, so that nothing overtakes.
		}
	}
}

// next takes all that wait out of a stream's line.
func (q *Queue) next(stream eventstore.StreamID) (first *place) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.waiting[stream]
	if first = l.first; first == nil {
		delete(q.waiting, stream)
	}
	*l = line{}
	return first
}

// deliver reports whether the records from a place on are done.
func (q *Queue) deliver(first *place) bool {
	w := worker{Queue: q}
	defer w.leave()
	for n, p := 0, first; p != nil; n, p = n+1, p.next {
		if n%turn == 0 {
			w.leave()
		}
		for i := range p.Events {
			if len(q.delivery.EventTypes) > 0 && !slices.Contains(q.delivery.EventTypes, p.Events[i].Type) {
				continue
			}
			if !w.event(p.Record, i) {
				return false
			}
		}
		q.log.Done(*p.Record)
		p.release()
	}
	return true
}

// worker delivers some records, one after the other. It has a slot from its first handler on, but while it waits.
type worker struct {
	*Queue

	slot bool
}

// enter waits for a slot. It is false if begin ended first.
func (w *worker) enter(begin context.Context) bool {
	if !w.slot {
		select {
		case w.slots <- struct{}{}:
			w.slot = true
		case <-begin.Done():
		}
	}
	return begin.Err() == nil
}

func (w *worker) leave() {
	if w.slot {
		<-w.slots
		w.slot = false
	}
}

// event reports whether the i-th event was handled or given up; if not, the queue was stopped.
func (w *worker) event(r *Record, i int) bool {
	attempts, dead := w.log.Attempts(*r, i)
	if dead {
		return true
	}
	for {
		begin := w.stop
		if i > 0 {
			begin = w.work // A record that was begun is finished, as it is acknowledged whole.
		}
		if !w.enter(begin) {
			return false
		}
		err := handle(w.work, w.handler, &r.Events[i])
		if err == nil {
			return true
		}
		if w.work.Err() != nil {
			return false // The handler was told to stop: not its failure.
		}
		attempts++
		giveUp := eventstore.IsPermanent(err) || attempts >= w.delivery.MaxDeliveries
		if giveUp && w.delivery.DeadLetter {
			return w.bury(r, i, attempts, err)
		}
		if eventstore.IsPermanent(err) {
			w.fail(fmt.Errorf("cannot handle event %s of %s, and the subscription has no dead letters: %w", r.Events[i].ID, r.Events[i].Stream, err))
			return false
		}
		_ = w.log.Failed(w.work, *r, i, attempts) // At worst the event is tried more often.
		if !w.sleep(w.delivery.Backoff(attempts)) {
			return false
		}
	}
}

func (w *worker) bury(r *Record, i, attempts int, cause error) bool {
	w.leave()
	for n := 1; ; n++ {
		if err := w.log.Dead(w.work, *r, i, attempts, cause); err == nil {
			return true
		}
		if !w.sleep(w.delivery.Backoff(n)) {
			return false
		}
	}
}

// handle runs a handler. One that panics has failed.
func handle(ctx context.Context, h eventstore.Handler, e *eventstore.Event) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("handler panicked: %v\n%s", p, debug.Stack())
		}
	}()
	return h(ctx, *e)
}

func (w *worker) sleep(d time.Duration) bool {
	w.leave()
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-w.stop.Done():
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
