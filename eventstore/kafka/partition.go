package kafka

import (
	"context"
	"strconv"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/deliver"
)

// What a consumer holds of a partition: so many records, with so many bytes, that were read and are not done, and so many behind
// a position that stands still. A stream that is blocked holds its partition up only with the last of its records that fits.
const (
	window      = 8192
	windowBytes = 64 << 20
	reach       = 1 << 18
)

// batch is how many records are judged at a time.
const batch = 512

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

	mu      sync.Mutex
	ready   []*kgo.Record
	waiting int   // Their bytes.
	fed     int64 // The offset after the last record that was read.
	paused  bool
	done    progress
	changed bool // Since it was committed.
}

func newPartition(c *consumer, number int32) *partition {
	p := &partition{consumer: c, number: number, ended: make(chan struct{}), more: make(chan struct{}, 1)}
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

// begin says where the records begin, and what is known of those behind. It is called before any are fed.
func (p *partition) begin(position int64, known note) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done = progress{next: position, earlier: known.done}
	p.Restore(known.failed)
}

// feed takes records that were read. It does not block.
func (p *partition) feed(records []*kgo.Record) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range records {
		if r.Offset >= p.fed {
			p.ready, p.fed = append(p.ready, r), r.Offset+1
			p.waiting += len(r.Value)
		}
	}
	deliver.Signal(p.more)
}

// full reports whether there are enough records for now.
func (p *partition) full() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.plenty() && !p.paused
}

// plenty reports whether more are ready than there is room for. The caller holds the lock.
func (p *partition) plenty() bool { return len(p.ready) > window || p.waiting > windowBytes }

// pause has the client read other partitions, as this one cannot go on.
func (p *partition) pause() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.plenty() && !p.paused {
		p.paused = true
		p.client.PauseFetchPartitions(map[string][]int32{p.store.events.name: {p.number}})
	}
}

// run delivers until stop ends, and waits for handlers.
func (p *partition) run() {
	defer close(p.ended)
	j := judge{store: p.store, decoder: decoder{packed: true}}
	for {
		records, ok := p.take()
		if !ok {
			break
		}
		err := p.deliver(&j, records)
		for i, r := range records {
			r.Recycle() // Its events are copies.
			records[i] = nil
		}
		if err != nil {
			if p.stop.Err() == nil {
				p.fail(err)
			}
			break
		}
	}
	p.queue.Wait()
}

// take returns the next records, once there is room for some.
func (p *partition) take() (records []*kgo.Record, ok bool) {
	for {
		if records := p.tryTake(); len(records) > 0 {
			return records, true
		}
		select {
		case <-p.more:
		case <-p.stop.Done():
			return nil, false
		}
	}
}

func (p *partition) tryTake() []*kgo.Record {
	p.mu.Lock()
	defer p.mu.Unlock()
	most := min(len(p.ready), batch, window-p.done.pending(), reach-len(p.done.open))
	n, bytes := 0, 0
	for n < most && p.done.bytes+bytes < windowBytes {
		bytes += len(p.ready[n].Value)
		n++
	}
	if n == 0 || p.stop.Err() != nil {
		return nil
	}
	records := p.ready[:n:n]
	p.ready, p.waiting = p.ready[n:], p.waiting-bytes
	if len(p.ready) < window/2 && p.waiting < windowBytes/2 {
		if p.paused {
			p.paused = false
			p.client.ResumeFetchPartitions(map[string][]int32{p.store.events.name: {p.number}})
		}
		deliver.Signal(p.drained)
	}
	return records
}

// deliver hands the records to the queue that count.
func (p *partition) deliver(j *judge, records []*kgo.Record) error {
	counts, err := j.counts(p.stop, records)
	if err != nil {
		return err
	}
	p.note(records, counts)
	ready := make([]deliver.Record, 0, len(records))
	for i, r := range records {
		if !counts[i] {
			continue
		}
		// One that counts and cannot be decoded must not vanish, nor be passed over.
		events, undecoded := j.decoder.events(r, &j.envelopes[i])
		if err = undecoded; err != nil {
			break
		}
		ready = append(ready, deliver.Record{ID: events[0].Position.Offset, Events: events})
	}
	p.queue.Add(ready...)
	return err
}

// note notes records that were taken. Those that do not count are done, and those that are done do not count any more.
func (p *partition) note(records []*kgo.Record, counts []bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	position := p.done.next
	for i, r := range records {
		switch {
		case !p.done.take(r.Offset, len(r.Value)):
			counts[i] = false
		case !counts[i]:
			p.done.finish(r.Offset)
		}
	}
	if p.done.next > position {
		p.moved()
	}
}

// Done implements [deliver.Log].
func (p *partition) Done(r deliver.Record) {
	offset, _ := strconv.ParseInt(r.ID, 10, 64)
	p.Forget(r)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done.finish(offset)
	p.moved()
}

// moved has what is done committed, and more taken. The caller holds the lock.
func (p *partition) moved() {
	p.changed = true
	deliver.Signal(p.more)
	deliver.Signal(p.toCommit)
}

// Failed implements [deliver.Log].
func (p *partition) Failed(ctx context.Context, r deliver.Record, i, attempts int) error {
	defer p.commitSoon()
	return p.Failures.Failed(ctx, r, i, attempts)
}

// commitSoon has the position committed once more, with what is known of those behind.
func (p *partition) commitSoon() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.moved()
}
