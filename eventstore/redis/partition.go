package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/deliver"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// window is how many records of a partition are held at a time: read, and not yet acknowledged.
const window = 256

// partition is one partition that a consumer has the lease of. It implements [deliver.Log].
type partition struct {
	*consumer
	lease
	queue   *deliver.Queue
	stopped context.Context // No delivery begins any more.
	work    context.Context // Handlers must end.
	lost    func()          // The lease is gone.
	events  string          // Keys.
	leased  string
	retries string
	dead    string
	newest  string // The last entry that was read: wait for later ones.
	number  int64  // Of the next read of what is new: it stays the same until that took something, and we know.
	group   string
	acked   chan struct{} // Has something when there is room again.
	toAck   chan struct{} // Has something when done is not empty.

	mu       sync.Mutex
	done     []string       // Entries to acknowledge.
	inFlight int            // Entries that were read and are not acknowledged.
	attempts map[string]int // Failed deliveries by event; -1: it is a dead letter.
}

func newPartition(c *consumer, l *lease, stop, work context.Context, lost func()) *partition {
	s := c.store
	p := &partition{
		consumer: c, lease: *l, stopped: stop, work: work, lost: lost, group: s.Subscription,
		number: 1, events: layout.RedisEvents(s.Store, l.partition), leased: c.leaseKey(l.partition),
		retries: layout.RedisRetries(s.Store, l.partition, s.Subscription),
		dead:    layout.RedisDeadLetters(s.Store, l.partition, s.Subscription),
		acked:   make(chan struct{}, 1), toAck: make(chan struct{}, 1), attempts: map[string]int{},
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
	from := "0"
	for p.stopped.Err() == nil {
		room, ok := p.room()
		if !ok {
			return nil
		}
		var entries []redis.XMessage
		err := p.retry(func(ctx context.Context) (err error) {
			entries, err = p.fetch(ctx, room, from)
			return err
		})
		if err != nil {
			return err
		}
		for _, m := range entries {
			p.add(m)
		}
		switch n := len(entries); {
		case n > 0 && from != ">":
			from = entries[n-1].ID
		case n > 0:
			p.newest = entries[n-1].ID
		case from != ">":
			from = ">"
		default:
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
	for _, g := range groups {
		if g.Name == p.group {
			p.newest = g.LastDeliveredID
		}
	}
	if p.newest == "" {
		return p.noGroup()
	}
	failed, err := p.store.client.HGetAll(ctx, p.retries).Result()
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for event, n := range failed {
		p.attempts[event], _ = strconv.Atoi(n)
	}
	return nil
}

// noGroup is final for this consumer: it never makes a group, as it could not know from where.
func (p *partition) noGroup() error {
	return fmt.Errorf("its group is gone from partition %d; the provider restores it: %w", p.lease.partition, eventstore.ErrNotFound)
}

// isFinal reports whether trying again is useless. Servers that restart or fail over reply LOADING, READONLY and more.
func isFinal(err error) bool {
	return errors.Is(err, eventstore.ErrNotFound) || redis.HasErrorPrefix(err, "NOPERM") || redis.HasErrorPrefix(err, "WRONGTYPE")
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

// fetch may be repeated: what it takes, it takes under a number.
func (p *partition) fetch(ctx context.Context, count int, from string) ([]redis.XMessage, error) {
	reply, err := fetchScript.Run(ctx, p.store.client, []string{p.events, p.leased},
		p.token, p.group, layout.RedisConsumer, count, from, p.number).Slice()
	if err != nil {
		return nil, err
	}
	if len(reply) != 2 {
		return nil, fmt.Errorf("cannot understand the server's reply %v", reply)
	}
	raw, _ := reply[1].([]any)
	entries, err := decodeEntries(raw)
	if used, _ := reply[0].(int64); err == nil && used == 1 && from == ">" {
		p.number++
	}
	return entries, err
}

func decodeEntries(reply []any) ([]redis.XMessage, error) {
	entries := make([]redis.XMessage, len(reply))
	for i, r := range reply {
		entry, _ := r.([]any)
		if len(entry) != 2 {
			return nil, fmt.Errorf("cannot understand the server's reply %v", r)
		}
		entries[i].ID, _ = entry[0].(string)
		fields, _ := entry[1].([]any) // nil if the entry was trimmed away while it was pending.
		entries[i].Values = make(map[string]any, len(fields)/2)
		for n := 1; n < len(fields); n += 2 {
			name, _ := fields[n-1].(string)
			entries[i].Values[name] = fields[n]
		}
	}
	return entries, nil
}

// add hands an entry to the queue.
func (p *partition) add(m redis.XMessage) {
	p.mu.Lock()
	p.inFlight++
	p.mu.Unlock()
	r := deliver.Record{ID: m.ID}
	if len(m.Values) > 0 {
		var err error
		if r.Events, err = decode(p.lease.partition, m); err != nil {
			// Nobody but a client that breaks the layout writes such an entry. It must not vanish, nor be passed over.
			p.Fail(err)
			return
		}
	}
	p.queue.Add(r)
}

// room waits until entries may be read, and says how many. ok is false if the partition stops.
func (p *partition) room() (n int, ok bool) {
	for {
		p.mu.Lock()
		n = window - p.inFlight
		p.mu.Unlock()
		if n > 0 {
			return n, true
		}
		select {
		case <-p.acked:
		case <-p.stopped.Done():
			return 0, false
		}
	}
}

// pause waits until there is something new, or the server has waited long enough.
func (p *partition) pause() {
	err := p.wait.XRead(p.stopped, &redis.XReadArgs{Streams: []string{p.events, p.newest}, Count: 1, Block: p.store.timing.block}).Err()
	if err != nil && err != redis.Nil { //nolint:errorlint // go-redis returns it bare.
		select {
		case <-time.After(p.store.timing.tick / 4):
		case <-p.stopped.Done():
		}
	}
}
