package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/test/bench/backdoor"
	"github.com/crossplane-contrib/provider-eventstore/test/bench/plane"
)

// patience is how long anything may take that takes seconds at most while all brokers run.
const patience = 4 * time.Minute

type options struct {
	duration time.Duration
	seed     uint64
	slots    int
	pause    time.Duration // At most, between two things that happen to a store.
	memory   float64       // MiB
	claims   int
	churn    time.Duration
	schemas  int

	operations, repeats int // Of the SDK's drivers.
}

// A brokerUnderTest is one broker, and what happened to it.
type brokerUnderTest struct {
	name    string // Of the backend.
	config  string // The ClusterProviderConfig.
	door    backdoor.Broker
	process restartable

	// up is held for writing while the broker is down, and for reading by whoever needs it to be there.
	up        sync.RWMutex
	restarted atomic.Int32 // How often it was.

	mu    sync.Mutex
	tally map[string]int
}

// count adds to what happened.
func (b *brokerUnderTest) count(what string, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tally == nil {
		b.tally = map[string]int{}
	}
	b.tally[what] += n
}

// soak runs until the duration is over or something is wrong, checks everything, and says what happened.
func soak(ctx context.Context, p *plane.Plane, brokers []*brokerUnderTest, o options) (summary string, err error) {
	say("seed %d, for %s", o.seed, o.duration)
	w, err := p.Workspace(ctx, "soak-")
	if err != nil {
		return "", err
	}
	defer w.Close()
	memory := watchMemory(p)
	// What is under way when the time is over is brought to its end, and what goes wrong ends everything.
	alive, cancel := context.WithTimeout(ctx, o.duration)
	defer cancel()
	var wg sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	start := func(f func() error) {
		wg.Go(func() {
			if err := f(); err != nil {
				say("WRONG: %v", err)
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
				cancel()
			}
		})
	}
	var slots []*slot
	for i, b := range brokers {
		rng := func(part int) *rand.Rand { return rand.New(rand.NewPCG(o.seed, uint64(i<<16|part))) }
		start(func() error { return b.restarts(ctx, alive, rng(0), o.duration) })
		for n := range o.slots {
			s := &slot{w: w, broker: b, name: fmt.Sprintf("%s-%d", b.name, n), rng: rng(n + 1), pause: o.pause}
			slots = append(slots, s)
			start(func() error { return s.live(ctx, alive) })
		}
	}
	wg.Wait()
	errs = append(errs, finish(ctx, w, brokers, slots, len(errs) > 0)...)
	peak, merr := memory.stop(o.memory)
	errs = append(errs, merr)
	return summarize(brokers, peak), errors.Join(errs...)
}

// finish checks what is there when the time is over, and deletes it.
func finish(ctx context.Context, w *plane.Workspace, brokers []*brokerUnderTest, slots []*slot, failed bool) (errs []error) {
	if failed {
		for _, s := range slots {
			s.stop()
		}
		return nil // What is there is left to be looked at.
	}
	say("the time is over: waiting until all is Ready")
	for _, kind := range plane.Kinds() {
		errs = append(errs, w.AwaitReady(ctx, kind, 0, patience, nil))
	}
	for _, s := range slots {
		errs = append(errs, s.check(ctx))
		s.stop()
	}
	if errors.Join(errs...) != nil {
		return errs
	}
	say("deleting everything")
	err := plane.Parallel(len(slots), func(i int) error { return slots[i].delete(ctx) })
	if err = cmp.Or(err, w.Clear(ctx, patience)); err != nil {
		return []error{err}
	}
	for _, b := range brokers {
		left, err := b.door.Traces(ctx, w.Namespace+".")
		if len(left) > 0 {
			err = fmt.Errorf("%d things are left on %s: %s", len(left), b.name, strings.Join(left[:min(10, len(left))], ", "))
		}
		errs = append(errs, err)
	}
	return errs
}

func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%s  %s\n", time.Now().Format(time.TimeOnly), fmt.Sprintf(format, args...))
}

// pause waits, unless the context ends first.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
