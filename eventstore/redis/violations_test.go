package redis

import (
	"context"
	"errors"
	"iter"
	"sync"
	"testing"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/storetest/history"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/redistest"
)

// Drivers that are wrong only while something goes wrong around them. Their names are providers.
var careless = map[string]struct {
	reason string
	append func(v eventstore.Version, err error, expected eventstore.Version, n int) (eventstore.Version, error)
	read   bool // A read that fails yields what it has.
}{
	"optimist": {
		reason: "An append whose answer is lost is acknowledged.",
		append: func(v eventstore.Version, err error, expected eventstore.Version, n int) (eventstore.Version, error) {
			if errors.Is(err, eventstore.ErrUnknownOutcome) && expected != eventstore.Any {
				return expected + eventstore.Version(n), nil
			}
			return v, err
		},
	},
	"pessimist": {
		reason: "An append whose answer is lost is said to have failed.",
		append: func(v eventstore.Version, err error, _ eventstore.Version, _ int) (eventstore.Version, error) {
			if errors.Is(err, eventstore.ErrUnknownOutcome) {
				return v, errors.New("no answer")
			}
			return v, err
		},
	},
	"forgetful": {
		reason: "A read that is cut ends as if there were no more.",
		append: func(v eventstore.Version, err error, _ eventstore.Version, _ int) (eventstore.Version, error) {
			return v, err
		},
		read: true,
	},
}

func init() {
	for name := range careless {
		eventstore.Register(name, carelessDriver(name))
	}
}

type carelessDriver string

func (d carelessDriver) Open(ctx context.Context, b eventstore.Binding) (eventstore.Store, error) {
	s, err := driver{}.Open(ctx, b)
	return carelessStore{Store: s, name: string(d)}, err
}

type carelessStore struct {
	eventstore.Store

	name string
}

func (s carelessStore) Append(ctx context.Context, stream eventstore.StreamID, expected eventstore.Version, events ...eventstore.EventData) (eventstore.Version, error) {
	v, err := s.Store.Append(ctx, stream, expected, events...)
	return careless[s.name].append(v, err, expected, len(events))
}

func (s carelessStore) Read(ctx context.Context, stream eventstore.StreamID, after eventstore.Version) iter.Seq2[eventstore.Event, error] {
	if !careless[s.name].read {
		return s.Store.Read(ctx, stream, after)
	}
	return func(yield func(eventstore.Event, error) bool) {
		for e, err := range s.Store.Read(ctx, stream, after) {
			if err != nil || !yield(e, nil) {
				return
			}
		}
	}
}

// hasty is a driver that acknowledges events before they were handled.
const hasty = "hasty"

func init() { eventstore.Register(hasty, hastyDriver{}) }

type hastyDriver struct{}

func (hastyDriver) Open(ctx context.Context, b eventstore.Binding) (eventstore.Store, error) {
	s, err := driver{}.Open(ctx, b)
	return hastyStore{s}, err
}

type hastyStore struct{ eventstore.Store }

// Subscribe keeps the order of each stream, so that nothing is wrong until a consumer dies.
func (s hastyStore) Subscribe(ctx context.Context, h eventstore.Handler, opts ...eventstore.SubscribeOption) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	var mu sync.Mutex
	queues := map[eventstore.StreamID]chan eventstore.Event{}
	return s.Store.Subscribe(ctx, func(_ context.Context, e eventstore.Event) error {
		mu.Lock()
		defer mu.Unlock()
		if queues[e.Stream] == nil {
			queue := make(chan eventstore.Event, 1000)
			queues[e.Stream] = queue
			wg.Go(func() { handleAll(ctx, h, queue) })
		}
		queues[e.Stream] <- e
		return nil
	}, opts...)
}

func handleAll(ctx context.Context, h eventstore.Handler, queue <-chan eventstore.Event) {
	for {
		select {
		case e := <-queue:
			for h(ctx, e) != nil && ctx.Err() == nil {
			}
		case <-ctx.Done():
			return
		}
	}
}

// What a consumer that is killed has in its hands is missed if it does not come again.
func TestLossWithConsumerIsCaught(t *testing.T) {
	server := redistest.Start(t)
	store := server.Store(t, layout.Sourcing, nil)
	sub := server.Subscription(t, store, "hasty")
	sub[layout.SecretProvider] = []byte(hasty)
	// Longer than a lease; and there is nothing to wait for.
	o := history.ConsumeOptions{Store: store, Subscription: sub, Seed: 1, Patience: 2 * defaultTiming.lease}
	result, err := history.Consume(t.Context(), o)
	if err == nil {
		t.Errorf("nothing wrong was found: %s", result)
	}
	t.Log(err)
}

// The check of histories finds drivers that only a fault makes wrong, and so would find one in the driver for Redis.
func TestViolationsUnderFaultsAreCaught(t *testing.T) {
	server := redistest.Start(t)
	p, err := broker.NewProxy(server.Addr)
	must(t, err)
	t.Cleanup(func() { _ = p.Close() })
	for name, tc := range careless {
		t.Run(name, func(t *testing.T) {
			const runs = 10
			for seed := range uint64(runs) {
				secret := server.Store(t, layout.Sourcing, nil)
				secret[layout.SecretProvider], secret[layout.SecretEndpoints] = []byte(name), []byte(p.Addr)
				result, err := history.Run(t.Context(), history.Options{
					Secret: secret, Operations: 1500, Seed: seed, FaultEvery: 20, Faults: history.ConnectionFaults(p),
				})
				if v, ok := errors.AsType[*history.Violation](err); ok {
					t.Logf("run %d: %s: %s", seed+1, v.Stream, v.Problem)
					return
				}
				must(t, err)
				t.Logf("run %d finds nothing: %s", seed+1, result)
			}
			t.Errorf("%s\n%d runs find nothing wrong", tc.reason, runs)
		})
	}
}
