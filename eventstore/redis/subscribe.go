package redis

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/deliver"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/endpoint"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// timing is how long things take. Tests shorten it.
type timing struct {
	lease  time.Duration // A lease holds so long without being renewed.
	tick   time.Duration // Leases are taken and renewed so often.
	block  time.Duration // A read waits for new entries so long.
	answer time.Duration // The server may take so long to answer a consumer.

	patience time.Duration // The server may not know our user, or our password, for so long.
}

var defaultTiming = timing{lease: 10 * time.Second, tick: time.Second, block: time.Second, answer: 3 * time.Second, patience: endpoint.Patience}

// Subscribe implements [eventstore.Subscriber]. Consumers share the partitions by leases, each of which has a token that
// grows: a consumer that lost its lease, and does not know it yet, can neither read nor acknowledge any more.
func (s *store) Subscribe(ctx context.Context, h eventstore.Handler, opts ...eventstore.SubscribeOption) error {
	return deliver.Subscribe(ctx, s.Binding, s.open, h, opts, func(base *deliver.Consumer) error {
		wait, err := s.blocking(base.Stop)
		if err != nil {
			return err
		}
		defer func() { _ = wait.Close() }()
		c := &consumer{
			Consumer: base, store: s, id: rand.Text(), wait: wait, held: map[int]*lease{}, tokens: make([]int64, s.Partitions),
			finished: make(chan *lease, s.Partitions),
		}
		c.run(c.Stop, c.Work)
		return nil
	})
}

// consumer is one call of Subscribe. Its loop, run, alone touches held, tokens and denied.
type consumer struct {
	*deliver.Consumer
	store    *store
	id       string
	wait     redis.UniversalClient // For reads that block.
	held     map[int]*lease
	tokens   []int64   // The last one that we got, by partition: a greater one is ours by a reply that was lost.
	denied   time.Time // Since when the server does not know our user.
	finished chan *lease
}

// lease is the right to read a partition.
type lease struct {
	partition int
	token     int64
	stop      context.CancelFunc      // Begins to give it back.
	lose      context.CancelCauseFunc // It is gone: handlers must end.
	expiry    *time.Timer
	given     bool // It is stopped, for another consumer that asked.
}

// run takes and renews leases until ctx ends and all are given back.
func (c *consumer) run(ctx, work context.Context) {
	ticker := time.NewTicker(c.store.timing.tick)
	defer ticker.Stop()
	for stopping := ctx.Done(); ; {
		c.tick(ctx, work)
		if stopping == nil && len(c.held) == 0 {
			return
		}
		select {
		case <-ticker.C:
		case l := <-c.finished:
			c.release(work, l)
		case <-stopping:
			stopping = nil
		}
	}
}

// begin delivers a partition whose lease was taken just now, until it is to be given back or lost.
func (c *consumer) begin(ctx, work context.Context, p int, token int64, asked time.Time) {
	stop, cancel := context.WithCancel(ctx)
	work, lose := context.WithCancelCause(work)
	l := &lease{partition: p, token: token, stop: cancel, lose: lose}
	lost := func() {
		cancel() // First: a handler that ends must not be followed by another.
		lose(fmt.Errorf("lease of partition %d is lost", p))
	}
	l.expiry = time.AfterFunc(time.Until(c.safe(asked)), lost)
	c.held[p], c.tokens[p] = l, token
	go func() { // run waits for it: it ends with a message on finished.
		defer func() { c.finished <- l }()
		newPartition(c, l, stop, work, lost).run()
	}()
}

// safe is until when a lease that was asked for then can be relied on.
func (c *consumer) safe(asked time.Time) time.Time { return asked.Add(c.store.timing.lease * 8 / 10) }

// release gives back the lease of a partition that is no longer delivered.
func (c *consumer) release(ctx context.Context, l *lease) {
	l.expiry.Stop()
	l.stop()
	l.lose(context.Canceled)
	delete(c.held, l.partition)
	ctx, cancel := c.store.answer(ctx)
	defer cancel()
	_ = releaseScript.Run(ctx, c.store.client, []string{c.leaseKey(l.partition)}, l.token).Err() // Else it expires.
}

func (c *consumer) leaseKey(p int) string {
	return layout.RedisLease(c.store.Store, p, c.store.Subscription)
}

// answer bounds a request that must go on when its caller stops.
func (s *store) answer(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), s.timing.answer)
}
