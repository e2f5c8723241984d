package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sync/errgroup"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/deliver"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

const (
	// sessionTimeout is how long a consumer may be silent until others get its partitions.
	sessionTimeout = 15 * time.Second

	// commitPause is between two commits. What was done since is delivered again if the process dies.
	commitPause = 50 * time.Millisecond

	// answerTimeout bounds a request that goes on when its caller stops.
	answerTimeout = 5 * time.Second

	// fetchBytes is about how much is fetched at a time, as it is compressed, and partitionBytes how much of it of one partition,
	// so that all have something to do. As much waits in the client while what came before is delivered.
	fetchBytes     = 4 << 20
	partitionBytes = 512 << 10

	// askAtOnce is of how many partitions the brokers are asked at the same time.
	askAtOnce = 16

	// patience is how long a partition that has enough records may keep others waiting. Then it is paused, which costs the
	// records that the client has read ahead: they are read again.
	patience = 100 * time.Millisecond
)

// Subscribe implements [eventstore.Subscriber]. Consumers share the partitions as members of a group; whoever gives one up
// lets handlers finish and commits before the next one begins.
func (s *store) Subscribe(ctx context.Context, h eventstore.Handler, opts ...eventstore.SubscribeOption) error {
	return deliver.Subscribe(ctx, s.Binding, s.open, h, opts, func(base *deliver.Consumer) error {
		c := &consumer{
			Consumer: base, store: s, toCommit: make(chan struct{}, 1), drained: make(chan struct{}, 1),
			held: map[int32]*partition{}, notes: map[int32]string{},
		}
		return c.run()
	})
}

// consumer is one call of Subscribe.
type consumer struct {
	*deliver.Consumer
	store    *store
	client   *kgo.Client
	toCommit chan struct{} // Has something when a partition has made progress.
	drained  chan struct{} // Has something when a partition wants more records.

	mu    sync.Mutex
	held  map[int32]*partition
	notes map[int32]string // What was noted with the positions.
}

// fail is Fail with what to do about it.
func (c *consumer) fail(err error) { c.Fail(explain(c.store.Secret, err)) }

func (c *consumer) run() (err error) {
	if c.client, err = kgo.NewClient(append(c.store.options, c.options()...)...); err != nil {
		return err
	}
	defer context.AfterFunc(c.store.logins.restart, func() { c.fail(context.Cause(c.store.logins.restart)) })()
	var wg sync.WaitGroup
	wg.Go(func() { c.commits(c.Stop) })
	wg.Go(func() { c.connect(c.Stop) })
	c.poll(c.Stop)
	wg.Wait()
	c.giveUp(c.all(), c.Delivery.Grace)
	c.client.CloseAllowingRebalance()
	return nil
}

// connect has the store's own client connect to the brokers that adjust will ask, while the group takes the consumer in. What goes
// wrong, adjust will be told too.
func (c *consumer) connect(ctx context.Context) {
	known, _, err := c.store.events.leaders(ctx, 0)
	if err != nil {
		return
	}
	asked := map[int32]bool{}
	for p, l := range known {
		if !asked[l.broker] {
			asked[l.broker] = true
			_, _ = c.store.events.offset(ctx, int32(p), endOffset)
		}
	}
}

func (c *consumer) options() []kgo.Opt {
	missing := kgo.NoResetOffset()
	if c.store.Streaming { // Whoever is too slow goes on with what the store still has.
		missing = kgo.NewOffset().AtStart()
	}
	return append(packing(),
		kgo.ConsumerGroup(layout.KafkaGroup(c.store.Store, c.store.Subscription)),
		kgo.ConsumeTopics(c.store.events.name),
		kgo.Balancers(kgo.CooperativeStickyBalancer()),
		kgo.SessionTimeout(sessionTimeout),
		kgo.RebalanceTimeout(2*c.Delivery.Grace+30*time.Second), // Whoever gives a partition up waits for handlers.
		kgo.DisableAutoCommit(),
		kgo.FetchMaxBytes(fetchBytes),
		kgo.FetchMaxPartitionBytes(partitionBytes),
		kgo.BlockRebalanceOnPoll(), // So that nothing is delivered of a partition that was given up.
		kgo.KeepControlRecords(),   // Their offsets are committed too.
		kgo.ConsumeResetOffset(missing),
		kgo.OnOffsetsFetched(c.fetched),
		kgo.AdjustFetchOffsetsFn(c.adjust),
		kgo.OnPartitionsAssigned(c.assigned),
		kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, places map[string][]int32) {
			c.giveUp(c.take(places), c.Delivery.Grace)
		}),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, places map[string][]int32) {
			for _, p := range c.take(places) {
				p.lose(errors.New("the partition was given to another consumer"))
				p.wait()
			}
		}),
	)
}

// poll hands out what comes, until ctx ends.
func (c *consumer) poll(ctx context.Context) {
	for {
		c.drain(ctx)
		fetches := c.client.PollFetches(ctx)
		if ctx.Err() != nil || fetches.IsClientClosed() {
			return
		}
		for _, e := range fetches.Errors() {
			c.failIfFinal(e.Err)
		}
		c.mu.Lock()
		fetches.EachPartition(func(f kgo.FetchTopicPartition) {
			if f.LogStartOffset > 0 && !c.store.Streaming {
				c.fail(begins(f.Partition, f.LogStartOffset))
			} else if p := c.held[f.Partition]; p != nil && len(f.Records) > 0 {
				p.feed(f.Records)
			}
		})
		c.mu.Unlock()
		c.client.AllowRebalance()
	}
}

// drain waits for partitions that have enough records, and leaves those alone for which it takes long.
func (c *consumer) drain(ctx context.Context) {
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		full := c.full()
		if len(full) == 0 {
			return
		}
		select {
		case <-c.drained:
		case <-late.C:
			for _, p := range full {
				p.pause()
			}
			return
		case <-ctx.Done():
			return
		}
	}
}

func (c *consumer) full() (full []*partition) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.held {
		if p.full() {
			full = append(full, p)
		}
	}
	return full
}

// failIfFinal ends the subscription because of what does not pass by itself.
func (c *consumer) failIfFinal(err error) {
	var answer *kerr.Error
	var loss *kgo.ErrDataLoss
	switch {
	case c.store.logins.passes(err):
	case errors.As(err, &loss), errors.Is(err, kerr.OffsetOutOfRange):
		c.fail(lost(err))
	case errors.As(err, &answer) && !answer.Retriable && !errors.Is(err, kerr.UnknownMemberID) && !errors.Is(err, kerr.FencedInstanceID) &&
		!errors.Is(err, kerr.IllegalGeneration) && !errors.Is(err, kerr.RebalanceInProgress):
		c.fail(err)
	}
}

// fetched keeps what is noted with the positions, before adjust looks at them.
func (c *consumer) fetched(_ context.Context, _ *kgo.Client, r *kmsg.OffsetFetchResponse) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	keep := func(topic string, partition int32, note *string) {
		if delete(c.notes, partition); topic == c.store.events.name && note != nil {
			c.notes[partition] = *note
		}
	}
	for _, t := range r.Topics {
		for _, p := range t.Partitions {
			keep(t.Topic, p.Partition, p.Metadata)
		}
	}
	for _, g := range r.Groups { // As newer brokers answer.
		for _, t := range g.Topics {
			for _, p := range t.Partitions {
				keep(t.Topic, p.Partition, p.Metadata)
			}
		}
	}
	return nil
}

// adjust looks at the positions that the group has, before anything is read.
func (c *consumer) adjust(ctx context.Context, offsets map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	var mu sync.Mutex
	asked, asking := errgroup.WithContext(ctx)
	asked.SetLimit(askAtOnce)
	adjusted := map[string]map[int32]kgo.Offset{}
	for topic, places := range offsets {
		found := map[int32]kgo.Offset{}
		adjusted[topic] = found
		for p, committed := range places {
			if int(p) >= c.store.Partitions { // Somebody added it: nobody appends there, and nobody reads.
				continue
			}
			asked.Go(func() error {
				from, err := c.position(asking, p, committed.EpochOffset().Offset)
				if err == nil {
					from, err = c.begin(asking, p, from)
				}
				mu.Lock()
				defer mu.Unlock()
				found[p] = kgo.NewOffset().At(from)
				return err
			})
		}
	}
	if err := asked.Wait(); err != nil {
		if ctx.Err() == nil && !c.store.logins.passes(err) {
			c.fail(err)
		}
		return nil, err
	}
	return adjusted, nil
}

// begin tells a partition its position, and returns from where on to read it. While nobody else in this process reads what is
// before, somebody must, as that decides what counts.
func (c *consumer) begin(ctx context.Context, number int32, position int64) (from int64, err error) {
	from = position
	if !c.store.Streaming {
		unread, tailed, err := c.store.arbiter.Unread(ctx, int(number))
		if err != nil {
			return 0, err
		}
		if !tailed {
			from = min(position, unread.Offset)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.held[number]; p != nil {
		p.begin(position, decodeNote(c.notes[number], position))
	}
	return from, nil
}

// position returns from where on to read a partition.
func (c *consumer) position(ctx context.Context, p int32, committed int64) (int64, error) {
	if committed < 0 { // We never make one up, as we could not know which.
		return 0, fmt.Errorf("its position is gone from partition %d; the provider restores it: %w", p, eventstore.ErrNotFound)
	}
	start, err := c.store.events.offset(ctx, p, startOffset)
	if err != nil {
		return 0, err
	}
	end, err := c.store.events.offset(ctx, p, endOffset)
	switch {
	case err != nil:
		return 0, err
	case start > 0 && !c.store.Streaming:
		return 0, begins(p, start)
	case committed < start || committed > end: // Forgotten, or of a former log of that name.
		return start, nil
	}
	return committed, nil
}

func (c *consumer) assigned(_ context.Context, _ *kgo.Client, places map[string][]int32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, numbers := range places {
		for _, n := range numbers {
			if int(n) < c.store.Partitions {
				c.held[n] = newPartition(c, n)
			}
		}
	}
}

// take removes partitions from those that are held.
func (c *consumer) take(places map[string][]int32) (taken []*partition) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, numbers := range places {
		for _, n := range numbers {
			if p := c.held[n]; p != nil {
				taken = append(taken, p)
				delete(c.held, n)
			}
		}
	}
	return taken
}

func (c *consumer) all() []*partition {
	c.mu.Lock()
	defer c.mu.Unlock()
	held := make([]*partition, 0, len(c.held))
	for n, p := range c.held {
		held = append(held, p)
		delete(c.held, n)
	}
	return held
}

// giveUp lets running handlers finish, and commits.
func (c *consumer) giveUp(partitions []*partition, grace time.Duration) {
	var wg sync.WaitGroup
	for _, p := range partitions {
		wg.Go(func() {
			p.finish()
			late := time.AfterFunc(grace, func() { p.lose(deliver.ErrGrace) })
			p.wait()
			late.Stop()
		})
	}
	wg.Wait()
	c.commit(partitions)
}
