package pulsar

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apache/pulsar-client-go/pulsar"

	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/deliver"
)

// window is how many records of a partition are held at a time: received, and not yet acknowledged.
const window = 4096

// partition is one partition that a consumer reads, for as long as it is its own. It implements [deliver.Log].
type partition struct {
	*consumer
	deliver.Failures
	number int
	client pulsar.Consumer
	queue  *deliver.Queue
	stop   context.Context
	work   context.Context
	finish context.CancelFunc      // No delivery begins any more.
	cancel context.CancelCauseFunc // Handlers must end.

	heard atomic.Bool   // Something came since somebody looked.
	room  chan struct{} // Has something when records were acknowledged.
	toAck chan struct{} // Has something when there is something to acknowledge.

	mu      sync.Mutex
	standIn standIn
	overdue *time.Timer        // Runs while the first record waits for the word that this is the active consumer.
	silent  bool               // The word did not come.
	held    map[string]*held   // by place
	done    []pulsar.MessageID // to be acknowledged
}

// held is a record that was received.
type held struct {
	id   pulsar.MessageID
	done bool
}

// newName returns a name that no other consumer has.
func newName() string { return "eventstore-" + rand.Text() }

// newPartition is of a subscription that is not a failover subscription, or trusts its broker to send nothing too early, if
// trusted is true.
func newPartition(c *consumer, number int, trusted bool) *partition {
	p := &partition{
		consumer: c, number: number, room: make(chan struct{}, 1), toAck: make(chan struct{}, 1), held: map[string]*held{},
		standIn: standIn{trusted: trusted},
	}
	p.stop, p.finish = context.WithCancel(c.Stop)
	p.work, p.cancel = context.WithCancelCause(c.Work)
	p.queue = c.Queue(p.stop, p.work, p)
	return p
}

// run delivers until stop ends, waits for handlers, and acknowledges what they have done.
func (p *partition) run() {
	acks, end := context.WithCancel(context.Background())
	defer end()
	var wg sync.WaitGroup
	wg.Go(func() { p.acknowledge(acks) })
	wg.Go(p.attend)
	for p.stop.Err() == nil {
		if err := p.receive(); err != nil && p.stop.Err() == nil {
			p.fail(err)
		}
	}
	p.queue.Wait()
	p.cancel(context.Canceled)
	p.settle()
	end()
	wg.Wait()
	p.client.Close()
	p.finish()
}

// attention is how often a partition from which nothing comes looks whether the broker still has its consumer.
const attention = 10 * time.Second

// attend ends the partition if the broker has closed its consumer and the client does not know, as when a topic moves to another
// broker at the moment at which it is subscribed to (pulsar-client-go 0.19.0).
func (p *partition) attend() {
	look := time.NewTicker(attention)
	defer look.Stop()
	for {
		select {
		case <-look.C:
		case <-p.stop.Done():
			return
		}
		if p.heard.Swap(false) {
			continue
		}
		if _, err := within(p.stop, p.client.GetLastMessageIDs, nil); err != nil && noConsumer(err) {
			p.finish()
		}
	}
}

// batch is how many records are judged at a time, at most.
const batch = 256

// receive takes what has come, once there is room for it, and delivers it.
func (p *partition) receive() error {
	for p.full() {
		select {
		case <-p.room:
		case <-p.stop.Done():
			return nil
		}
	}
	m, err := p.client.Receive(p.stop)
	if err != nil {
		p.finish()
		return nil //nolint:nilerr // The client has given up: we begin anew.
	}
	p.heard.Store(true)
	records := make([]pulsar.Message, 0, batch)
	for more := true; more; {
		if m.ID().BatchSize() > 1 { // It shares its place with others, and none of them is a record.
			err = errors.Join(err, confirmed(p.stop, func() error { return p.client.Ack(m) }))
		} else if p.ours(placeOf(m.ID())) && p.take(m.ID()) {
			records = append(records, m)
		}
		if more = len(records) < batch; more {
			m, more = p.next()
		}
	}
	return errors.Join(err, p.deliver(records))
}

// next returns a record that has come already.
func (p *partition) next() (m pulsar.Message, ok bool) {
	select {
	case came, open := <-p.client.Chan():
		return came.Message, open
	default:
		return nil, false
	}
}

// deliver hands the records to the queue that count.
func (p *partition) deliver(records []pulsar.Message) error {
	if len(records) == 0 {
		return nil
	}
	counts, err := p.store.counts(p.stop, p.number, records)
	if err != nil {
		return err
	}
	ready := make([]deliver.Record, 0, len(records))
	for i, m := range records {
		r := deliver.Record{ID: idOf(m.ID())}
		if !counts[i] {
			p.Done(r)
			continue
		}
		// One that counts and cannot be decoded must not vanish, nor be passed over.
		if r.Events, err = decode(p.number, m); err != nil {
			break
		}
		ready = append(ready, r)
	}
	p.queue.Add(ready...)
	return err
}

// idOf is what the queue calls a record.
func idOf(id pulsar.MessageID) string { return cursor{place: placeOf(id)}.String() }

func (p *partition) full() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.held) >= window
}

// ours reports whether a record may be delivered by this consumer. If it waits in vain for the word that it may, it begins anew,
// upon which the broker sends again what was dropped.
func (p *partition) ours(at place) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	ours := p.standIn.admits(at)
	switch {
	case ours && p.overdue != nil:
		p.overdue.Stop()
		p.overdue = nil
	case !ours && p.overdue == nil:
		p.overdue = time.AfterFunc(silence, p.miss)
	}
	return ours
}

// miss ends the partition because the word that it is ours did not come.
func (p *partition) miss() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.overdue != nil {
		p.silent = true
		p.finish()
	}
}

// unheard reports whether the partition ended because the word did not come.
func (p *partition) unheard() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.silent
}

// take notes a record. It is false if we have it already: the broker sends it again after a reconnection.
func (p *partition) take(id pulsar.MessageID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := idOf(id)
	h, ok := p.held[at]
	if !ok {
		p.held[at] = &held{id: id}
		return true
	}
	if h.id = id; h.done { // Its acknowledgement was lost.
		p.done = append(p.done, id)
		deliver.Signal(p.toAck)
	}
	return false
}

// Done implements [deliver.Log].
func (p *partition) Done(r deliver.Record) {
	p.Forget(r)
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.held[r.ID]
	h.done = true
	p.done = append(p.done, h.id)
	deliver.Signal(p.toAck)
}

// ackPause is how long to wait after acknowledgements that failed.
const ackPause = 100 * time.Millisecond

// acknowledge tells the broker what is done, until ctx ends.
func (p *partition) acknowledge(ctx context.Context) {
	for {
		select {
		case <-p.toAck:
		case <-ctx.Done():
			return
		}
		if p.ackAll(ctx) {
			continue
		}
		select {
		case <-time.After(ackPause):
		case <-ctx.Done():
			return
		}
	}
}

// confirmed calls ack, and returns when ctx ends if that is first: a client that closes meanwhile, as it does when it can no longer
// log in, leaves whoever acknowledges waiting for ever.
func confirmed(ctx context.Context, ack func() error) error {
	_, err := within(ctx, func() (struct{}, error) { return struct{}{}, ack() }, nil)
	return err
}

// ackAll acknowledges what is done. It reports whether the broker has confirmed that; if not, it is told again.
func (p *partition) ackAll(ctx context.Context) bool {
	p.mu.Lock()
	ids := p.done
	p.done = nil
	p.mu.Unlock()
	if len(ids) == 0 {
		return true
	}
	err := confirmed(ctx, func() error { return p.client.AckIDList(ids) })
	failed, known := err.(pulsar.AckError) //nolint:errorlint // The client returns it as it is.
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range ids {
		if _, again := failed[id]; again || err != nil && !known {
			p.done = append(p.done, id)
			continue
		}
		delete(p.held, idOf(id))
	}
	deliver.Signal(p.room)
	if len(p.done) > 0 {
		deliver.Signal(p.toAck)
	}
	return err == nil
}

// settleTimeout bounds how long the end waits for acknowledgements. What is not acknowledged is delivered again.
const settleTimeout = 5 * time.Second

// settle waits until what is done was acknowledged.
func (p *partition) settle() {
	late := time.NewTimer(settleTimeout)
	defer late.Stop()
	for p.unsettled() {
		select {
		case <-p.room:
		case <-late.C:
			return
		}
	}
}

func (p *partition) unsettled() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, h := range p.held {
		if h.done {
			return true
		}
	}
	return false
}
