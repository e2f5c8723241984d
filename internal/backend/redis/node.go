package redis

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// probeAfter is how long a server that did not answer is left alone, before it is asked whether it is back.
	probeAfter = time.Second

	// probeTimeout is how long it may take to say so.
	probeTimeout = 2 * time.Second

	// replicaTimeout is how long a server may take for what it is asked beside its keys, which is little. Others wait for
	// it, once: then it counts as one that does not answer.
	replicaTimeout = 5 * time.Second
)

// A node is one server of a Redis, or one of its Sentinels. It may be used concurrently.
type node struct {
	address  string
	client   *redis.Client
	sentinel bool

	// alone means that there is no other: it is always asked.
	alone bool

	mu     sync.Mutex
	failed error     // Why it did not answer last; nil: it did.
	asked  time.Time // When it was last asked whether it is back.
	self   server    // What it said of itself last, and when.
	selfAt time.Time

	// unswept means that it may have users that were deleted elsewhere while it did not answer.
	unswept bool
}

// A nodeError is a failure to reach one server of several.
type nodeError struct {
	address string
	error
}

func (e nodeError) Unwrap() error { return e.error }

// outOfReach reports whether an error is of the server as a whole, and not of what it was asked.
func outOfReach(err error) bool {
	if err == nil {
		return false
	}
	if _, answered := errors.AsType[redis.Error](err); !answered {
		_, known := errors.AsType[*reachError](err)
		return !known
	}
	return redis.HasErrorPrefix(err, "LOADING") || redis.IsAuthError(err)
}

// exec makes one round trip with the commands. Each has its own error afterwards, that of the connection included. It
// reports whether the server has ceased to answer.
func (n *node) exec(ctx context.Context, cmds []redis.Cmder) (ceased bool) {
	if err := cmpErr(context.Cause(ctx), n.failure()); err != nil && !n.alone {
		n.fail(cmds, err)
		return false
	}
	p := n.client.Pipeline()
	_ = p.BatchProcess(ctx, cmds...)
	_, err := p.Exec(ctx)
	if err != nil && !slices.ContainsFunc(cmds, func(c redis.Cmder) bool { return c.Err() != nil }) {
		// go-redis v9.23 leaves the commands as if they had succeeded if there was no connection for them.
		for _, c := range cmds {
			c.SetErr(err)
		}
	}
	if n.alone {
		return false
	}
	var reason error
	for _, c := range cmds {
		if err := c.Err(); outOfReach(err) {
			reason = err
			c.SetErr(nodeError{n.address, err})
		}
	}
	if errors.Is(ctx.Err(), context.Canceled) { // Nobody knows whether it would have answered.
		return false
	}
	n.report(reason)
	return reason != nil
}

func (n *node) fail(cmds []redis.Cmder, err error) {
	if _, named := errors.AsType[nodeError](err); !named {
		err = nodeError{n.address, err}
	}
	for _, c := range cmds {
		c.SetErr(err)
	}
}

// failure returns why the server is not asked now; nil if it is.
func (n *node) failure() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.failed
}

// report notes whether the server answered.
func (n *node) report(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err != nil {
		n.unswept, n.selfAt = true, time.Time{}
		if n.failed == nil {
			n.asked = time.Now()
		}
	}
	n.failed = err
}

// due reports whether a server that did not answer is to be asked whether it is back, and notes that it is.
func (n *node) due() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.failed == nil || time.Since(n.asked) < probeAfter {
		return false
	}
	n.asked = time.Now()
	return true
}

// probe asks the server whether it is back.
func (n *node) probe(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	err := n.client.Ping(ctx).Err()
	if outOfReach(err) {
		n.report(err)
		return
	}
	n.report(nil)
}
