// Package history has several processes append to a store and read it while things go wrong, and checks what they saw with
// porcupine: every stream must be linearizable, nothing that was acknowledged may be lost, and nothing may happen that
// was told not to.
//
//	func main() {
//		history.Work() // Workers are this program, started again.
//		result, err := history.Run(ctx, history.Options{Secret: secret, Operations: 100_000, Faults: faults})
//	}
package history

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

// Options say how a history is made. Secret is required.
type Options struct {
	Secret eventstore.Secret // What every worker opens.

	Operations int    // How many there are. Default: 2,000.
	Processes  int    // How many workers there are at a time. Default: 3.
	Clients    int    // How many calls each of them makes at a time. Default: 3.
	Seed       uint64 // What calls and faults are drawn by. What comes of them is not repeated by it.

	// Faults are injected one at a time, every FaultEvery operations or so. That a worker is killed is always among them.
	// Default: a hundredth of all, and 250 at least.
	Faults     []Fault
	FaultEvery int

	// Progress is told ten times how many operations were begun. Optional.
	Progress func(operations int)
}

const (
	// Few streams are in use at a time, so that their appends meet.
	streamsAtATime = 4

	// A stream has about so many operations, so that it can be checked and read soon.
	operationsPerStream = 250

	// repeats is how often an append of unknown outcome is repeated.
	repeats = 5
)

// A Result is what a run was.
type Result struct {
	History []Operation
	Faults  map[string]int // How often each was injected.
	Took    time.Duration
}

// String is one line.
func (r Result) String() string {
	tally := map[string]int{}
	for _, o := range r.History {
		tally[o.Outcome]++
	}
	var faults []string
	for _, name := range slices.Sorted(maps.Keys(r.Faults)) {
		faults = append(faults, fmt.Sprintf("%s: %d", name, r.Faults[name]))
	}
	return fmt.Sprintf("%d operations in %s, %d of them conflicts, %d of unknown outcome, %d failed; %s", len(r.History),
		r.Took.Round(time.Millisecond), tally[Conflict], tally[Unknown], tally[Failed], strings.Join(faults, ", "))
}

// Run makes a history, and checks it.
func Run(ctx context.Context, o Options) (Result, error) {
	o.Operations = cmp.Or(o.Operations, 2000)
	o.FaultEvery = cmp.Or(o.FaultEvery, max(250, o.Operations/100))
	o.Processes, o.Clients = cmp.Or(o.Processes, 3), cmp.Or(o.Clients, 3)
	r := &run{Options: o, start: time.Now(), tick: make(chan struct{}, 1), faults: map[string]int{}}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer r.stop()
	for range o.Processes {
		p, err := startProcess(ctx, o.Secret, nil)
		if err != nil {
			return Result{}, err
		}
		r.processes = append(r.processes, p)
	}
	var clients, faults sync.WaitGroup
	over := make(chan struct{})
	faults.Go(func() {
		if err := r.goWrong(ctx, over); err != nil {
			cancel(err)
		}
	})
	for c := range o.Processes * o.Clients {
		clients.Go(func() { r.client(ctx, c) })
	}
	clients.Wait()
	close(over)
	faults.Wait()
	if ctx.Err() == nil {
		if err := r.readAll(ctx); err != nil {
			cancel(err)
		}
	}
	result := Result{History: r.history, Faults: r.faults, Took: time.Since(r.start)}
	if ctx.Err() != nil {
		return result, fmt.Errorf("cannot make a history: %w", context.Cause(ctx))
	}
	return result, Check(r.history)
}

type run struct {
	Options

	start  time.Time
	tick   chan struct{} // Has something in it when a fault is due.
	faults map[string]int

	mu        sync.Mutex
	processes []*process
	history   []Operation
	begun     int
}

// stop ends the workers.
func (r *run) stop() {
	for _, p := range r.processes {
		p.stop()
	}
}

// next reports false when there were enough operations, and says which streams are in use.
func (r *run) next() (generation int, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.begun >= r.Operations {
		return 0, false
	}
	r.begun++
	if r.begun%r.FaultEvery == 0 {
		select {
		case r.tick <- struct{}{}:
		default: // One is under way.
		}
	}
	if r.Progress != nil && r.begun%max(r.Operations/10, 1) == 0 {
		r.Progress(r.begun)
	}
	return r.begun / (streamsAtATime * operationsPerStream), true
}

func (r *run) process(i int) *process {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.processes[i]
}

func (r *run) note(o Operation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.history = append(r.history, o)
}

// goWrong injects faults until the clients are done.
func (r *run) goWrong(ctx context.Context, over <-chan struct{}) error {
	rng := rand.New(rand.NewPCG(r.Seed, 0))
	faults := drawn(append(slices.Clone(r.Faults), Fault{Name: "processes killed", Inject: func(ctx context.Context) error {
		return r.replace(ctx, rng.IntN(r.Processes))
	}}))
	for n := 0; ; n++ {
		select {
		case <-over:
			return nil
		case <-ctx.Done():
			return nil
		case <-r.tick:
		}
		if n%len(faults) == 0 { // As from a deck of cards, so that in a long run the rare ones come too.
			rng.Shuffle(len(faults), func(i, j int) { faults[i], faults[j] = faults[j], faults[i] })
		}
		f := faults[n%len(faults)]
		if err := f.Inject(ctx); err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
		r.faults[f.Name]++
	}
}

// replace kills a worker, and starts another in its place.
func (r *run) replace(ctx context.Context, i int) error {
	r.process(i).kill()
	p, err := startProcess(ctx, r.Secret, nil)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.processes[i] = p
	return nil
}

// readAll reads every stream in the end.
func (r *run) readAll(ctx context.Context) error {
	streams := map[eventstore.StreamID]bool{}
	for _, o := range r.history {
		streams[o.Stream] = true
	}
	for stream := range streams {
		for deadline := time.Now().Add(patience); ; {
			o := r.do(0, Operation{Client: r.Processes * r.Clients, Stream: stream})
			if o.Outcome == Succeeded {
				r.history = append(r.history, o)
				break
			}
			if time.Now().After(deadline) {
				return errors.New(o.String())
			}
			pause(ctx, 20*time.Millisecond)
		}
	}
	return nil
}
