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
	lines   map[eventstore.StreamID]*line // Of streams whose records wait or are being delivered.
	ready   *line                         // The first of the lines that wait for a worker.
	last    *line                         // The last one, if there is any.
	workers int                           // Those that do not stand aside. No more are hired than there are slots.
}

// A line is the records of a stream that wait, in order. One worker at a time delivers them.
type line struct {
	stream      eventstore.StreamID // Empty: a single record that nothing follows.
	first, last *place
	next        *line
}

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

// turn is how many records a worker delivers until others get its slot, and of one stream until others get the worker, if they
// wait.
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
			q.admit(&line{first: p, last: p})
			q.hire()
			continue
		}
		stream := p.Events[0].Stream
		switch l := q.lines[stream]; {
		case l == nil:
			l = &line{stream: stream, first: p, last: p}
			q.lines[stream] = l
			q.admit(l)
			q.hire()
		case l.first == nil:
			l.first, l.last = p, p
		default:
			l.last.next, l.last = p, p
		}
	}
}

// Wait returns when nothing is being delivered any more: all is done, or stop has ended and running handlers returned.
func (q *Queue) Wait() { q.wg.Wait() }

// admit puts a line behind all that are ready.
func (q *Queue) admit(l *line) {
	if q.ready == nil {
		q.ready = l
	} else {
		q.last.next = l
	}
	q.last = l
}

// hire starts a worker if a line waits for one, and there are not enough.
func (q *Queue) hire() {
	if q.ready != nil && q.workers < cap(q.slots) {
		q.workers++
		q.wg.Go(q.run)
	}
}

// run is a worker: it delivers what is ready.
func (q *Queue) run() {
	w := worker{Queue: q}
	defer w.leave()
	for l, first := q.take(nil); l != nil; l, first = q.take(l) {
		for p := first; p != nil; p = p.next {
			if !w.deliver(p) {
				return // Stopped. The line stays in lines, and is not ready, so that nothing overtakes.
			}
		}
	}
}

// take returns the first line that is ready, with its next records. The worker gives back the one that it had. Without a line the
// worker is dismissed.
func (q *Queue) take(had *line) (l *line, first *place) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case had == nil:
	case had.first == nil:
		delete(q.lines, had.stream)
	default:
		q.admit(had)
	}
	if l = q.ready; l == nil || q.workers > cap(q.slots) { // Those who come back from aside may be too many.
		q.workers--
		return nil, nil
	}
	q.ready, l.next = l.next, nil
	first, last := l.first, l.first
	for n := 1; n < turn && last.next != nil; n++ {
		last = last.next
	}
	l.first, last.next = last.next, nil
	return l, first
}

// worker delivers records, one after the other. It has a slot from its first handler on, but while it stands aside.
type worker struct {
	*Queue

	slot      bool
	delivered int
}

// deliver reports whether a record is done.
func (w *worker) deliver(p *place) bool {
	if w.delivered%turn == 0 {
		w.leave()
	}
	w.delivered++
	for i := range p.Events {
		if len(w.delivery.EventTypes) > 0 && !slices.Contains(w.delivery.EventTypes, p.Events[i].Type) {
			continue
		}
		if !w.event(p.Record, i) {
			return false
		}
	}
	w.log.Done(*p.Record)
	p.release()
	return true
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

// aside lets other workers go on until wait returns.
func (w *worker) aside(wait func() bool) bool {
	w.leave()
	w.mu.Lock()
	w.workers--
	w.hire()
	w.mu.Unlock()
	ok := wait()
	w.mu.Lock()
	w.workers++
	w.mu.Unlock()
	return ok
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
		if !w.aside(func() bool { return w.sleep(attempts) }) {
			return false
		}
	}
}

func (w *worker) bury(r *Record, i, attempts int, cause error) bool {
	return w.aside(func() bool {
		for n := 1; w.log.Dead(w.work, *r, i, attempts, cause) != nil; n++ {
			if !w.sleep(n) {
				return false
			}
		}
		return true
	})
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

// sleep waits until the delivery after so many failed ones. It is false if stop ends first.
func (q *Queue) sleep(attempts int) bool {
	t := time.NewTimer(q.delivery.Backoff(attempts))
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
