// Package churn has claims with stores in several locations change all the time, while a broker is down for a while, and the
// provider and the composition function are killed at random. Then it compares every location with its claim, and says how
// many are equal, and how long that took.
package churn

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// A Location is where claims may have stores.
type Location struct {
	Cloud, Region string

	// Traces names what the broker there has of stores whose names begin with prefix.
	Traces func(ctx context.Context, prefix string) ([]string, error)

	// Outage takes the broker down, and brings it back after d. Nil: it stays up.
	Outage func(ctx context.Context, d time.Duration) error
}

// Options say what happens. All are needed, but for those with a default.
type Options struct {
	Kube      client.Client
	Namespace string // Of the claims.
	Class     string // That is offered in all locations.
	Locations []Location

	Claims   int
	Duration time.Duration
	Pause    time.Duration // At most, between two edits of a claim.
	Seed     uint64

	// Outage is how long a broker is down, once for each location that can be.
	Outage time.Duration

	// Kill ends a process, which somebody starts again. Each is called about three times.
	Kill map[string]func() error

	// Patience is how long everything may take to become equal. Default: 10 minutes.
	Patience time.Duration

	// Progress gets a line for what happens. Default: nobody.
	Progress io.Writer
}

// A Result is how it ended.
type Result struct {
	Locations, Equal      int
	Converged             time.Duration // From the end of the churn until all were equal; or until it gave up.
	Edits, Kills, Outages int64
	Different             []string // What is not equal, if anything.
}

// String says it in one line.
func (r Result) String() string {
	return fmt.Sprintf("%d of %d locations are equal to their claims (%.1f %%), %s after the last of %d edits, %d kills and %d outages",
		r.Equal, r.Locations, 100*float64(r.Equal)/float64(max(1, r.Locations)), r.Converged.Round(time.Second), r.Edits, r.Kills, r.Outages)
}

// A churn is one run.
type churn struct {
	Options

	edits, kills, outages atomic.Int64
	mu                    sync.Mutex
}

// Run churns, waits until everything is equal, and deletes all claims. The error is of what could not be tried; that something
// is not equal is in the result.
func Run(ctx context.Context, o Options) (Result, error) {
	if o.Patience == 0 {
		o.Patience = 10 * time.Minute
	}
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	c := &churn{Options: o}
	c.say("seed %d, %d claims, for %s", o.Seed, o.Claims, o.Duration)
	subjects := make([]*subject, o.Claims)
	alive, cancel := context.WithTimeout(ctx, o.Duration)
	defer cancel()
	var wg sync.WaitGroup
	var mu sync.Mutex
	var failed error
	start := func(f func() error) {
		wg.Go(func() {
			if err := f(); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed = fmt.Errorf("%w (seed %d)", err, o.Seed)
				cancel()
			}
		})
	}
	for i := range subjects {
		subjects[i] = newSubject(c, i)
		start(func() error { return subjects[i].live(ctx, alive) })
	}
	rng := rand.New(rand.NewPCG(o.Seed, 0))
	for _, name := range slices.Sorted(maps.Keys(o.Kill)) {
		at := c.moments(rng, 3)
		start(func() error { return c.killing(alive, name, o.Kill[name], at) })
	}
	for _, l := range o.Locations {
		if at := c.moments(rng, 1); l.Outage != nil {
			start(func() error { return c.outage(ctx, alive, l, at[0]) })
		}
	}
	wg.Wait()
	if failed != nil {
		return Result{}, failed
	}
	return c.settle(ctx, subjects)
}

// moments are n of them within the run, in order.
func (c *churn) moments(rng *rand.Rand, n int) []time.Duration {
	all := make([]time.Duration, n)
	for i := range all {
		all[i] = time.Duration(rng.Int64N(int64(c.Duration)))
	}
	slices.Sort(all)
	return all
}

func (c *churn) killing(alive context.Context, name string, kill func() error, at []time.Duration) error {
	start := time.Now()
	for _, moment := range at {
		if !pause(alive, moment-time.Since(start)) {
			return nil
		}
		if err := kill(); err != nil {
			c.say("%s does not run just now: %v", name, err) // It was killed a moment ago.
			continue
		}
		c.kills.Add(1)
		c.say("%s is killed", name)
	}
	return nil
}

func (c *churn) outage(ctx, alive context.Context, l Location, at time.Duration) error {
	if !pause(alive, at) {
		return nil
	}
	c.say("the broker of %s/%s is down for %s", l.Cloud, l.Region, c.Outage)
	c.outages.Add(1)
	return l.Outage(ctx, c.Outage) // Also if the time is over meanwhile.
}

// settle waits until all is equal, and deletes the claims.
func (c *churn) settle(ctx context.Context, subjects []*subject) (Result, error) {
	c.say("the time is over: waiting until all is equal")
	start, said := time.Now(), time.Now()
	for {
		r := Result{Edits: c.edits.Load(), Kills: c.kills.Load(), Outages: c.outages.Load()}
		for _, s := range subjects {
			if err := s.confirm(ctx); err != nil {
				return r, err
			}
			equal, different, err := s.compare(ctx)
			if err != nil {
				different = append(different, fmt.Sprintf("%s cannot be compared: %v", s.name, err))
			}
			r.Locations += len(c.Locations)
			r.Equal += equal
			r.Different = append(r.Different, different...)
		}
		r.Converged = time.Since(start)
		if r.Equal == r.Locations {
			return r, c.clear(ctx, subjects)
		}
		if time.Since(said) > 30*time.Second {
			said = time.Now()
			c.say("%d of %d locations are equal; not yet: %s", r.Equal, r.Locations, r.Different[:min(1, len(r.Different))])
		}
		if r.Converged > c.Patience || !pause(ctx, time.Second) {
			return r, ctx.Err()
		}
	}
}

// clear deletes all claims, and waits until nothing is left of them.
func (c *churn) clear(ctx context.Context, subjects []*subject) error {
	for _, s := range subjects {
		if err := s.remove(ctx); err != nil {
			return err
		}
	}
	deadline := time.Now().Add(c.Patience)
	for {
		var left []string
		for _, s := range subjects {
			_, different, err := s.compare(ctx)
			if err != nil {
				return err
			}
			left = append(left, different...)
		}
		if len(left) == 0 {
			return nil
		}
		if time.Now().After(deadline) || !pause(ctx, time.Second) {
			return fmt.Errorf("%d things are left of deleted claims: %v", len(left), left[:min(5, len(left))])
		}
	}
}

func (c *churn) say(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fmt.Fprintf(c.Progress, "%s  %s\n", time.Now().Format(time.TimeOnly), fmt.Sprintf(format, args...))
}

// pause waits, and reports whether the context lives on.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
