package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/deliver"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/record"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

const (
	// window is how many records of a partition are held at a time: read, and not yet acknowledged.
	window = 2048

	// plenty is how many entries a read must bring to be thought to leave many more.
	plenty = 256

	// linger is how long a read waits until there is room for plenty.
	linger = 20 * time.Millisecond
)

// partition is one partition that a consumer has the lease of. It implements [deliver.Log].
type partition struct {
	*consumer
	deliver.Failures
	lease
	queue   *deliver.Queue
	stopped context.Context // No delivery begins any more.
	work    context.Context // Handlers must end.
	lost    func()          // The lease is gone.
	events  string          // Keys.
	leased  string
	retries string
	dead    string
	from    string // Where to read on: after an entry that is pending, or what is fresh.
	decoder record.Decoder
	newest  entryID // The last entry that was read: wait for later ones.
	number  int64   // Of the next read of what is fresh: it stays the same until that took something, and we know.
	many    bool    // There is much to read.
	unsure  bool    // A read has perhaps taken entries that we do not know of.
	group   string
	acked   chan struct{} // Has something when there is room again.
	toAck   chan struct{} // Has something when done is not empty.

	// acking keeps acknowledgements out while entries that are pending are read: one that is acknowledged in between is no longer
	// held, and would be taken for one that nobody has handled.
	acking sync.Mutex

	mu   sync.Mutex
	done []done              // To acknowledge.
	held map[string]struct{} // Entries that were read and are not acknowledged.
}

// done is an entry that is.
type done struct {
	id     string
	failed []string // Events of it of which failures are kept.
}

func newPartition(c *consumer, l *lease, stop, work context.Context, lost func()) *partition {
	s := c.store
	p := &partition{
		consumer: c, lease: *l, stopped: stop, work: work, lost: lost, group: s.Subscription,
		number: 1, events: layout.RedisEvents(s.Store, l.partition), leased: c.leaseKey(l.partition),
		retries: layout.RedisRetries(s.Store, l.partition, s.Subscription),
		dead:    layout.RedisDeadLetters(s.Store, l.partition, s.Subscription),
		acked:   make(chan struct{}, 1), toAck: make(chan struct{}, 1), held: map[string]struct{}{},
	}
	p.queue = c.Queue(stop, work, p)
	return p
}

// run delivers until stopped ends; then it waits for handlers, and acknowledges what they did.
func (p *partition) run() {
	acks, noMore := context.WithCancel(context.WithoutCancel(p.work))
	var wg sync.WaitGroup
	wg.Go(func() { p.acknowledge(acks) })
	if err := p.deliver(); err != nil && p.stopped.Err() == nil {
		p.Fail(err)
	}
	p.queue.Wait()
	noMore()
	wg.Wait()
}

// deliver reads what a predecessor left unfinished, in order, and then what is new.
func (p *partition) deliver() error {
	if err := p.retry(p.start); err != nil {
		return err
	}
	p.from = "0"
	for p.stopped.Err() == nil {
		room, ok := p.room()
		if !ok {
			return nil
		}
		var entries, more []redis.XMessage
		err := p.retry(func(ctx context.Context) (err error) {
			if p.unsure || p.from != fresh {
				p.acking.Lock()
				defer p.acking.Unlock()
			}
			entries, err = p.fetch(ctx, room)
			more = p.hold(entries)
			return err
		})
		if err != nil {
			return err
		}
		if err := p.add(more); err != nil {
			return err
		}
		p.many = len(entries) == room && room >= plenty
		switch n := len(entries); {
		case n > 0 && p.from != fresh:
			p.from = entries[n-1].ID
		case n == 0 && p.from != fresh:
			p.from = fresh
		case n == 0 && !p.unsure:
			p.pause()
		}
	}
	return nil
}

// start reads where the group is, and how often events failed before.
func (p *partition) start(ctx context.Context) error {
	groups, err := p.store.client.XInfoGroups(ctx, p.events).Result()
	if isNoKey(err) {
		return p.noGroup()
	}
	if err != nil {
		return err
	}
	i := slices.IndexFunc(groups, func(g redis.XInfoGroup) bool { return g.Name == p.group })
	if i < 0 {
		return p.noGroup()
	}
	if p.newest, err = parseEntryID(groups[i].LastDeliveredID); err != nil {
		return err
	}
	failed, err := p.store.client.HGetAll(ctx, p.retries).Result()
	if err != nil {
		return err
	}
	known := make(map[string]int, len(failed))
	for event, n := range failed {
		known[event], _ = strconv.Atoi(n)
	}
	p.Restore(known)
	return nil
}

// noGroup is final for this consumer: it never makes a group, as it could not know from where.
func (p *partition) noGroup() error {
	return fmt.Errorf("its group is gone from partition %d; the provider restores it: %w", p.lease.partition, eventstore.ErrNotFound)
}

// isFinal reports whether trying again is useless. Servers that restart or fail over reply LOADING, READONLY and more.
func isFinal(err error) bool {
	return errors.Is(err, eventstore.ErrNotFound) || isForbidden(err) || redis.HasErrorPrefix(err, "WRONGTYPE")
}

// retry calls f until it succeeds, or that is hopeless, while the lease holds. An earlier call whose reply was lost may
// have been carried out, or may be yet.
func (p *partition) retry(f func(context.Context) error) error {
	for {
		ctx, cancel := p.store.answer(p.stopped)
		err := f(ctx)
		cancel()
		switch {
		case isStale(err):
			p.lost()
			return nil
		case isNoGroup(err):
			return p.noGroup()
		case err == nil, isFinal(err):
			return err
		}
		select {
		case <-time.After(p.store.timing.tick / 4):
		case <-p.stopped.Done():
			return nil
		}
	}
}

// add hands entries to the queue.
func (p *partition) add(entries []redis.XMessage) error {
	records := make([]deliver.Record, len(entries))
	for i, m := range entries {
		at, events, err := decode(&p.decoder, p.lease.partition, m)
		if err != nil {
			// Nobody but a client that breaks the layout writes such an entry. It must not vanish, nor be passed over.
			p.queue.Add(records[:i]...)
			return err
		}
		if p.newest.compare(at) < 0 {
			p.newest = at
		}
		records[i] = deliver.Record{ID: m.ID, Events: events}
	}
	p.queue.Add(records...)
	return nil
}

// hold notes entries, and returns those that were not held.
func (p *partition) hold(entries []redis.XMessage) (more []redis.XMessage) {
	p.mu.Lock()
	defer p.mu.Unlock()
	more = entries[:0:0]
	for _, m := range entries {
		if _, ok := p.held[m.ID]; !ok {
			p.held[m.ID] = struct{}{}
			more = append(more, m)
		}
	}
	return more
}

// room waits until entries may be read, and says how many. It waits a little longer for plenty: few at a time cost the server
// more. ok is false if the partition stops.
func (p *partition) room() (n int, ok bool) {
	var late <-chan time.Time
	for {
		p.mu.Lock()
		n = window - len(p.held)
		p.mu.Unlock()
		switch {
		case n >= plenty:
			return n, true
		case n > 0 && late == nil:
			late = time.After(linger)
		}
		select {
		case <-p.acked:
		case <-late:
			return n, true
		case <-p.stopped.Done():
			return 0, false
		}
	}
}

// pause waits until there is something new, or the server has waited long enough.
func (p *partition) pause() {
	err := p.wait.XRead(p.stopped, &redis.XReadArgs{Streams: []string{p.events, p.newest.String()}, Count: 1, Block: p.store.timing.block}).Err()
	if err != nil && err != redis.Nil { //nolint:errorlint // go-redis returns it bare.
		select {
		case <-time.After(p.store.timing.tick / 4):
		case <-p.stopped.Done():
		}
	}
}
