package kafka

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// While a group's coordinator moves, or comes up for the first time in the life of a cluster, a read waits for a moment,
	// and a write for as long as that may take.
	readPatience  = time.Second
	writePatience = 20 * time.Second
)

// coordinators remembers which broker keeps the positions of a group.
type coordinators struct {
	mu sync.Mutex
	of map[string]int32
}

// movedGroup reports whether a group may be elsewhere by now, or not be up yet.
func movedGroup(err error) bool {
	return slices.ContainsFunc([]error{kerr.NotCoordinator, kerr.CoordinatorNotAvailable, kerr.CoordinatorLoadInProgress},
		func(k error) bool { return errors.Is(err, k) })
}

// find returns the coordinators of groups, and asks for those that are not known, in one request.
func (c *coordinators) find(ctx context.Context, cl *cluster, groups []string, until time.Time) (found map[string]int32, errs map[string]error) {
	found, errs = map[string]int32{}, map[string]error{}
	for turn := 0; ; turn++ {
		var unknown []string
		c.mu.Lock()
		for _, g := range groups {
			if id, ok := c.of[g]; ok {
				found[g] = id
			} else {
				unknown = append(unknown, g)
			}
		}
		c.mu.Unlock()
		if len(unknown) == 0 {
			return found, nil
		}
		clear(errs)
		if turn > 0 { // One is asked for until it is there: they come up together, and a cluster that is busy with that is not to be asked for all.
			if c.ask(ctx, cl, unknown[:1], errs); len(errs) == 0 {
				c.ask(ctx, cl, unknown[1:], errs)
			}
		} else {
			c.ask(ctx, cl, unknown, errs)
		}
		again := time.Now().Before(until)
		for _, err := range errs {
			again = again && movedGroup(err)
		}
		if len(errs) > 0 && (!again || pause(ctx, turn+3) != nil) {
			return found, errs
		}
	}
}

func (c *coordinators) ask(ctx context.Context, cl *cluster, groups []string, errs map[string]error) {
	if len(groups) == 0 {
		return
	}
	req := kmsg.NewPtrFindCoordinatorRequest()
	req.CoordinatorKeys = groups
	resp, err := req.RequestWith(ctx, cl.client) // Which splits it for brokers that take one at a time.
	if err != nil {
		for _, g := range groups {
			errs[g] = err
		}
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil {
		c.of = map[string]int32{}
	}
	for _, r := range resp.Coordinators {
		if err := kerr.ErrorForCode(r.ErrorCode); err != nil {
			errs[r.Key] = err
			continue
		}
		c.of[r.Key] = r.NodeID
	}
}

func (c *coordinators) forget(groups ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, g := range groups {
		delete(c.of, g)
	}
}

// byCoordinator calls f for all coordinators at once, each with its groups, and again with those groups that turn out to
// have moved: those that f returns.
func (b *Backend) byCoordinator(ctx context.Context, patience time.Duration, groups []string, failed func(group string, err error), f func(id int32, groups []string) (moved []string, err error)) {
	until := time.Now().Add(patience)
	for turn := 0; len(groups) > 0; turn++ {
		found, errs := b.coordinators.find(ctx, b.cluster, groups, until)
		for g, err := range errs {
			failed(g, err)
		}
		nodes := map[int32][]string{}
		for _, g := range groups {
			if id, ok := found[g]; ok {
				nodes[id] = append(nodes[id], g)
			}
		}
		var mu sync.Mutex
		var again []string
		var wg sync.WaitGroup
		for id, some := range nodes {
			wg.Go(func() {
				moved, err := f(id, some)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					b.coordinators.forget(some...) // It may be down, and another have taken its groups.
					moved = some
				}
				for _, g := range moved {
					if time.Now().Before(until) && ctx.Err() == nil {
						again = append(again, g)
					} else {
						failed(g, first(err, kerr.CoordinatorNotAvailable))
					}
				}
			})
		}
		wg.Wait()
		b.coordinators.forget(again...)
		if groups = again; len(groups) > 0 && pause(ctx, turn+3) != nil {
			for _, g := range groups {
				failed(g, context.Cause(ctx))
			}
			return
		}
	}
}
