package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/test/bench/backdoor"
	"github.com/crossplane-contrib/provider-eventstore/test/bench/plane"
)

// pace is the pause between two records of one store, on average.
const pace = 500 * time.Millisecond

// Traffic is applications that write to stores, and others that consume what is written, each with its own Secret.
type traffic struct {
	writers, readers *group
	apps             []backdoor.Application

	mu      sync.Mutex
	written map[string]bool // Whether it was consumed.
}

// A group is goroutines that end together.
type group struct {
	cancel context.CancelFunc
	wg     sync.WaitGroup
	errs   chan error // Of those that gave up. It has room for all.
}

func newGroup(ctx context.Context, n int) (context.Context, *group) {
	ctx, cancel := context.WithCancel(ctx)
	return ctx, &group{cancel: cancel, errs: make(chan error, n)}
}

// stop ends the goroutines, waits for them and returns what made some give up.
func (g *group) stop() error {
	g.cancel()
	g.wg.Wait()
	close(g.errs)
	var all []error
	for err := range g.errs {
		all = append(all, err)
	}
	return errors.Join(all...)
}

// startTraffic starts the applications of the first n stores.
func (b *bench) startTraffic(ctx context.Context, w *plane.Workspace, n int) (*traffic, error) {
	t := &traffic{written: map[string]bool{}, apps: make([]backdoor.Application, 2*n)}
	err := plane.Parallel(2*n, func(i int) error {
		name := storeName(i / 2)
		if i%2 == 1 {
			name = subscriptionName(i / 2)
		}
		secret, err := w.Secret(ctx, name)
		if err != nil {
			return err
		}
		if t.apps[i], err = b.broker.Connect(ctx, secret); err != nil {
			return fmt.Errorf("cannot connect with the Secret %s: %w", name, err)
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(err, t.close())
	}
	var wctx, rctx context.Context
	wctx, t.writers = newGroup(ctx, n)
	rctx, t.readers = newGroup(ctx, n)
	for i := range n {
		writer, reader := t.apps[2*i], t.apps[2*i+1]
		t.readers.wg.Go(func() {
			if err := reader.Consume(rctx, t.consumed); err != nil && rctx.Err() == nil {
				t.readers.errs <- fmt.Errorf("cannot consume %s: %w", subscriptionName(i), err)
			}
		})
		t.writers.wg.Go(func() {
			if err := t.write(wctx, storeName(i), writer); err != nil && wctx.Err() == nil {
				t.writers.errs <- fmt.Errorf("cannot write to %s: %w", storeName(i), err)
			}
		})
	}
	return t, nil
}

func (t *traffic) write(ctx context.Context, store string, a backdoor.Application) error {
	for i := 0; ; i++ {
		if err := pause(ctx, pace/2+rand.N(pace)); err != nil {
			return nil //nolint:nilerr // It was told to stop.
		}
		id := fmt.Sprintf("%s-%d", store, i)
		t.mu.Lock()
		t.written[id] = false // Before the write, because a consumer may be faster than we are.
		t.mu.Unlock()
		// A record that is under way when the traffic stops is waited for.
		if err := a.Write(context.WithoutCancel(ctx), id); err != nil {
			return err
		}
	}
}

func (t *traffic) consumed(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.written[id]; ok {
		t.written[id] = true
	}
}

// missing returns how many records were not consumed yet.
func (t *traffic) missing() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for _, consumed := range t.written {
		if !consumed {
			n++
		}
	}
	return n
}

// stop ends the writers, waits until the consumers have seen everything or patience is over, and ends them too.
func (t *traffic) stop(patience time.Duration) (written, missing int, err error) {
	err = t.writers.stop()
	_ = plane.Until(context.Background(), patience, "everything is consumed", func(context.Context) (bool, error) {
		return t.missing() == 0, nil
	})
	err = errors.Join(err, t.readers.stop())
	return len(t.written), t.missing(), errors.Join(err, t.close())
}

func (t *traffic) close() error {
	var errs []error
	for _, a := range t.apps {
		if a != nil {
			errs = append(errs, a.Close())
		}
	}
	return errors.Join(errs...)
}
