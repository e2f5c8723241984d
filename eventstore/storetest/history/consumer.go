package history

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

// consumer is the worker's side of a subscription: each delivery is told, and its handler waits to be told the outcome.
type consumer struct {
	respond func(response)

	mu      sync.Mutex
	last    int
	waiting map[int]chan error
}

var errTold = errors.New("told to fail")

// subscribe consumes until ctx ends, and again if the broker fails it.
func (c *consumer) subscribe(ctx context.Context, store eventstore.Store) {
	for ctx.Err() == nil {
		_ = store.Subscribe(ctx, c.handle, eventstore.WithMaxDeliveries(1000), eventstore.WithBackoff(time.Millisecond, 10*time.Millisecond))
		pause(ctx, 20*time.Millisecond)
	}
}

func (c *consumer) handle(ctx context.Context, e eventstore.Event) error {
	told := make(chan error, 1)
	c.mu.Lock()
	c.last++
	n := c.last
	c.waiting[n] = told
	c.mu.Unlock()
	c.respond(response{Delivery: n, Stream: e.Stream, Version: e.Version, Event: e.ID})
	select {
	case err := <-told:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// answer ends a delivery.
func (c *consumer) answer(r request) {
	c.mu.Lock()
	told := c.waiting[r.Answers]
	delete(c.waiting, r.Answers)
	c.mu.Unlock()
	switch {
	case told == nil:
	case r.Fail:
		told <- errTold
	default:
		told <- nil
	}
}
