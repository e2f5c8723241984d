package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/test/bench/backdoor"
	"github.com/crossplane-contrib/provider-eventstore/test/bench/plane"
)

const (
	// together is how many changes are made at a time, each some time after an earlier one is repaired.
	together = 10

	// longestPause is up to how long that is: an interval of the background refresh, so that changes come at any moment
	// between two of them. Without it all would come right after one, and wait for the whole of the next.
	longestPause = 10 * time.Second

	// repairPatience is how long a repair may take until it counts as none.
	repairPatience = 90 * time.Second
)

// An incident is one change that is made behind the provider's back.
type incident struct {
	backdoor.Change
	backdoor.Target

	store int           // Its number, or that of the store that the subscription is of.
	pause time.Duration // Before it.
	took  time.Duration
	err   error
}

// drift makes random changes on the broker, a few at a time, and measures how long each takes to be repaired.
func (b *bench) drift(ctx context.Context, w *plane.Workspace) error {
	incidents := draw(b.broker.Changes(), rand.New(rand.NewPCG(b.o.seed, 0)), b.o.changes, b.o.stores)
	for i, in := range incidents {
		incidents[i].Target = backdoor.Target{Store: w.External(storeName(in.store))}
		if in.Change.Subscription {
			incidents[i].Target.Subscription = subscriptionName(in.store)
		}
	}
	before, err := versions(ctx, w)
	if err != nil {
		return err
	}
	b.say("making %d changes, %d at a time, seed %d", len(incidents), together, b.o.seed)
	next := make(chan *incident)
	var wg sync.WaitGroup
	for range together {
		wg.Go(func() {
			for in := range next {
				if in.err = pause(ctx, in.pause); in.err != nil {
					continue
				}
				var before string
				if before, in.err = in.See(ctx, in.Target); in.err == nil {
					in.took, in.err = backdoor.Repair(ctx, in.Change, in.Target, before, repairPatience)
				}
				if in.err == nil {
					b.say("%s, %s: repaired after %s", in.Name, in.Target, in.took.Round(10*time.Millisecond))
				} else {
					b.say("%s, %s: %v", in.Name, in.Target, in.err)
				}
			}
		})
	}
	for i := range incidents {
		next <- &incidents[i]
	}
	close(next)
	wg.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	after, err := versions(ctx, w)
	if err != nil {
		return err
	}
	b.reportDrift(incidents, before, after)
	return nil
}

// draw chooses what is changed: every kind of change is as likely as another, and no store is chosen twice while there are
// others.
func draw(kinds []backdoor.Change, rng *rand.Rand, n, stores int) []incident {
	incidents, order := make([]incident, n), rng.Perm(stores)
	for i := range incidents {
		incidents[i] = incident{Change: kinds[rng.IntN(len(kinds))], store: order[i%stores], pause: time.Duration(rng.Int64N(int64(longestPause)))}
	}
	return incidents
}

func (b *bench) reportDrift(incidents []incident, before, after map[string]string) {
	var times []time.Duration
	missed, touched := 0, map[string]bool{}
	for _, in := range incidents {
		// A change of a store can concern its subscription too: a stream takes its groups along.
		touched[storeName(in.store)], touched[subscriptionName(in.store)] = true, true
		if in.err != nil {
			missed++
			continue
		}
		times = append(times, in.took)
	}
	disturbed := 0
	for name, v := range before {
		if !touched[name] && after[name] != v {
			disturbed++
		}
	}
	b.add(fmt.Sprintf("drift, repaired of %d changes beside %d stores and subscriptions", len(incidents), b.o.stores), float64(len(times)), "changes")
	b.add(driftMissed, float64(missed), "changes")
	b.times("drift", "s", times, time.Second, 50, 99, 100)
	b.add(driftOthers, float64(disturbed), "resources")
}

// versions returns the resource versions of the stores and subscriptions.
func versions(ctx context.Context, w *plane.Workspace) (map[string]string, error) {
	all := map[string]string{}
	stores, err := w.Watch(ctx, plane.EventStore)
	if err != nil {
		return nil, err
	}
	subscriptions, err := w.Watch(ctx, plane.Subscription)
	if err != nil {
		return nil, err
	}
	for _, watch := range []*plane.Watch{stores, subscriptions} {
		for name, v := range watch.Versions() {
			all[name] = v
		}
	}
	return all, nil
}
