package kafka

import (
	"context"
	"sort"
	"strconv"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/deliver"
)

// window is how many records of a partition are held at a time: read, and not yet covered by the position.
const window = 4096

// partition is one partition that a consumer reads. It implements [deliver.Log].
type partition struct {
	*consumer
	deliver.Failures
	number int32
	queue  *deliver.Queue
	stop   context.Context
	work   context.Context
	finish context.CancelFunc      // No delivery begins any more.
	cancel context.CancelCauseFunc // Handlers must end.
	ended  chan struct{}
	more   chan struct{} // Has something when there are records, or room.

	mu        sync.Mutex
	ready     []*kgo.Record
	fed       int64 // The offset after the last record that was read.
	paused    bool
	open      []slot // Records that the position does not cover, in order.
	next      int64  // The position: everything before it is done. Negative: not known.
	committed int64
}

// slot is a record that was read.
type slot struct {
	offset int64
	done   bool
}

func newPartition(c *consumer, number int32) *partition {
	p := &partition{
		consumer: c, number: number, ended: make(chan struct{}), more: make(chan struct{}, 1), next: -1, committed: -1,
	}
	p.stop, p.finish = context.WithCancel(c.Stop)
	p.work, p.cancel = context.WithCancelCause(c.Work)
	p.queue = c.Queue(p.stop, p.work, p)
	go p.run() // wait waits for it.
	return p
}

// lose ends handlers: the partition is another's.
func (p *partition) lose(cause error) {
	p.finish() // First: a handler that ends must not be followed by another.
	p.cancel(cause)
}

// wait returns when nothing is delivered any more.
func (p *partition) wait() {
	<-p.ended
	p.finish()
	p.cancel(context.Canceled)
}

// feed takes records that were read. It does not block: when there are enough, it has the client read others.
func (p *partition) feed(records []*kgo.Record) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range records {
		if r.Offset >= p.fed {
			p.ready, p.fed = append(p.ready, r), r.Offset+1
		}
	}
	if !p.paused && len(p.ready) > window {
		p.paused = true
		p.client.PauseFetchPartitions(map[string][]int32{p.store.events.name: {p.number}})
	}
	deliver.Signal(p.more)
}

// run delivers until stop ends, and waits for handlers.
func (p *partition) run() {
	defer close(p.ended)
	for {
		r, ok := p.take()
		if !ok {
			break
		}
		if err := p.deliver(r); err != nil {
			if p.stop.Err() == nil {
				p.fail(err)
			}
			break
		}
	}
	p.queue.Wait()
}

// take returns the next record, once there is room for it.
func (p *partition) take() (r *kgo.Record, ok bool) {
	for {
		if r, ok := p.tryTake(); ok {
			return r, true
		}
		select {
		case <-p.more:
		case <-p.stop.Done():
			return nil, false
		}
	}
}

func (p *partition) tryTake() (r *kgo.Record, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.ready) == 0 || len(p.open) >= window || p.stop.Err() != nil {
		return nil, false
	}
	r = p.ready[0]
	p.ready[0], p.ready = nil, p.ready[1:]
	if p.paused && len(p.ready) < window/2 {
		p.paused = false
		p.client.ResumeFetchPartitions(map[string][]int32{p.store.events.name: {p.number}})
	}
	p.open = append(p.open, slot{offset: r.Offset})
	return r, true
}

// deliver hands a record to the queue, if it counts.
func (p *partition) deliver(r *kgo.Record) error {
	counts, err := p.store.counts(p.stop, r)
	if err != nil {
		return err
	}
	record := deliver.Record{ID: strconv.FormatInt(r.Offset, 10)}
	if !counts {
		p.Done(record)
		return nil
	}
	// One that counts and cannot be decoded must not vanish, nor be passed over.
	if record.Events, err = decode(r); err != nil {
		return err
	}
	p.queue.Add(record)
	return nil
}

// Done implements [deliver.Log].
func (p *partition) Done(r deliver.Record) {
	offset, _ := strconv.ParseInt(r.ID, 10, 64)
	p.Forget(r)
	p.mu.Lock()
	defer p.mu.Unlock()
	i := sort.Search(len(p.open), func(i int) bool { return p.open[i].offset >= offset })
	p.open[i].done = true
	n := 0
	for n < len(p.open) && p.open[n].done {
		p.next = p.open[n].offset + 1
		n++
	}
	if n > 0 {
		p.open = p.open[n:]
		deliver.Signal(p.more)
		deliver.Signal(p.toCommit)
	}
}
