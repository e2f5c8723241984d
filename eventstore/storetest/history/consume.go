package history

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

// ConsumeOptions say how a subscription is consumed. The Secrets are required.
type ConsumeOptions struct {
	Store        eventstore.Secret // What events are appended to.
	Subscription eventstore.Secret // What every worker subscribes with, from the first event on.

	Events    int    // How many there are. Default: 600.
	Processes int    // How many workers there are at a time. Default: 3.
	Kills     int    // How many of them are killed. Default: 4.
	Seed      uint64 // What is drawn by.

	// Faults are injected one at a time, as often as processes are killed. Rare ones are left out.
	Faults []Fault

	// Overlap allows that several workers handle events of one stream for a while: who has lost its connection goes on with what it
	// holds, and others have that too. What comes for the first time comes in its order all the same.
	Overlap bool

	// Patience is how long it may take until the next event is handled. It must outlast what the broker waits for a consumer
	// that is dead. Default: 2m.
	Patience time.Duration
}

// consumedStreams is how many streams the events are of.
const consumedStreams = 20

// A ConsumeResult is what consumers saw.
type ConsumeResult struct {
	Events, Deliveries, Failed, Killed, Faults int
	Took                                       time.Duration
}

// String is one line.
func (r ConsumeResult) String() string {
	return fmt.Sprintf("%d events of %d streams in %s, %d deliveries, %d of them failed, %d processes killed, %d other faults",
		r.Events, consumedStreams, r.Took.Round(time.Millisecond), r.Deliveries, r.Failed, r.Killed, r.Faults)
}

// Consume has several processes consume a subscription while events are appended, some handlers fail, connections are cut
// and processes are killed, with an event in their hands or just after. Every event must be handled, those of a stream in order and one at a
// time. What was handled may be delivered again.
func Consume(ctx context.Context, o ConsumeOptions) (ConsumeResult, error) {
	o.Events, o.Processes, o.Kills = cmp.Or(o.Events, 600), cmp.Or(o.Processes, 3), cmp.Or(o.Kills, 4)
	o.Patience = cmp.Or(o.Patience, patience)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	c := &consumption{
		ConsumeOptions: o, ctx: ctx, cancel: cancel, rng: rand.New(rand.NewPCG(o.Seed, 0)), deliveries: newDeliveries(o.Overlap),
		failures: map[string]int{}, want: map[eventstore.StreamID]eventstore.Version{}, progress: make(chan struct{}, 1),
	}
	start := time.Now()
	err := c.run()
	c.mu.Lock()
	defer c.mu.Unlock()
	failed := 0
	for _, n := range c.failures {
		failed += n
	}
	return ConsumeResult{
		Events: o.Events, Deliveries: c.deliveries.total, Failed: failed, Killed: c.killed, Faults: c.injected, Took: time.Since(start),
	}, err
}

type consumption struct {
	ConsumeOptions

	ctx      context.Context //nolint:containedctx // Deliveries come from processes, which have none.
	cancel   context.CancelCauseFunc
	progress chan struct{} // Has something in it when an event was handled.
	answers  sync.WaitGroup

	mu         sync.Mutex
	rng        *rand.Rand
	deliveries *deliveries
	failures   map[string]int // By event.
	want       map[eventstore.StreamID]eventstore.Version
	processes  []*process
	killed     int
	injected   int
	over       bool // No process is to be started any more.
}

func (c *consumption) run() error {
	store, err := openPatiently(c.ctx, c.Store)
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	defer c.stop()
	for range c.Processes {
		if err := c.consumer(); err != nil {
			return err
		}
	}
	for n := range c.Events {
		if err := c.append(store, n); err != nil {
			return err
		}
	}
	for {
		left := c.left()
		if left == "" {
			return nil
		}
		select {
		case <-c.progress:
		case <-time.After(c.Patience):
			return fmt.Errorf("waited in vain for %s", left)
		case <-c.ctx.Done():
			return context.Cause(c.ctx)
		}
	}
}

// consumer starts one more process that subscribes.
func (c *consumption) consumer() error {
	p, err := startProcess(c.ctx, c.Subscription, c.delivered)
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.processes = append(c.processes, p)
	over := c.over
	c.mu.Unlock()
	if over {
		p.kill()
		return nil
	}
	p.send(request{Subscribe: true})
	return nil
}

// stop ends everything, in whatever state it is.
func (c *consumption) stop() {
	c.mu.Lock()
	c.over = true
	processes := slices.Clone(c.processes)
	c.mu.Unlock()
	for _, p := range processes {
		p.kill()
	}
	c.answers.Wait()
}

// append appends the n-th event, however often that takes.
func (c *consumption) append(store eventstore.Store, n int) error {
	stream := eventstore.StreamID{Type: "consumed", ID: fmt.Sprint(n % consumedStreams)}
	c.mu.Lock()
	expected := c.want[stream]
	c.want[stream] = expected + 1
	c.mu.Unlock()
	for deadline := time.Now().Add(patience); ; {
		_, err := store.Append(c.ctx, stream, expected, eventstore.EventData{ID: fmt.Sprintf("e%d", n), Type: "Counted"})
		if err == nil {
			return nil
		}
		if c.ctx.Err() != nil {
			return context.Cause(c.ctx)
		}
		if time.Now().After(deadline) {
			return err
		}
		pause(c.ctx, 20*time.Millisecond)
	}
}

// left names what has not been handled.
func (c *consumption) left() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	for stream, version := range c.want {
		if handled := c.deliveries.handled[stream]; handled < version {
			return fmt.Sprintf("version %d of %s, which is at version %d", handled+1, stream, version)
		}
	}
	return ""
}

// What becomes of a delivery.
type verdict int

const (
	handle verdict = iota
	fail
	killInstead
	killAfter
)

// delivered judges a delivery, and has it answered.
func (c *consumption) delivered(p *process, r response) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.deliveries.dead[p] { // Its last words.
		return
	}
	if err := c.deliveries.begin(p, r.Stream, r.Version); err != nil {
		c.cancel(err)
		return
	}
	v, wait := c.decide(r.Event), time.Duration(c.rng.Int64N(int64(5*time.Millisecond)))
	c.answers.Go(func() {
		pause(c.ctx, wait)
		c.answer(p, r, v)
	})
}

func (c *consumption) decide(event string) verdict {
	due := (c.killed + 1) * c.Events / (c.Kills + 1)
	if c.injected < c.killed && c.deliveries.total >= due-c.Events/(2*c.Kills) {
		c.inject()
	}
	switch n := c.rng.IntN(20); {
	case c.killed < c.Kills && c.deliveries.total >= due:
		c.killed++
		return []verdict{killInstead, killAfter}[n%2]
	case n == 0 && c.failures[event] < 3:
		c.failures[event]++
		return fail
	}
	return handle
}

// inject has something go wrong. The caller holds the lock.
func (c *consumption) inject() {
	faults := slices.DeleteFunc(slices.Clone(c.Faults), func(f Fault) bool { return f.Rare })
	if len(faults) == 0 {
		return
	}
	c.injected++
	f := faults[c.rng.IntN(len(faults))]
	c.answers.Go(func() {
		if err := f.Inject(c.ctx); err != nil {
			c.cancel(fmt.Errorf("%s: %w", f.Name, err))
		}
	})
}

func (c *consumption) answer(p *process, r response, v verdict) {
	if v != killInstead {
		c.mu.Lock()
		c.deliveries.end(p, r.Stream, v != fail)
		c.mu.Unlock()
		p.send(request{Answers: r.Delivery, Fail: v == fail})
	}
	if v == killInstead || v == killAfter {
		c.mu.Lock()
		c.deliveries.die(p)
		over := c.over
		c.mu.Unlock()
		p.kill()
		if over {
			return
		}
		if err := c.consumer(); err != nil {
			c.cancel(err)
		}
	}
	select {
	case c.progress <- struct{}{}:
	default:
	}
}
