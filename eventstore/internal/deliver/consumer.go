package deliver

import (
	"context"
	"fmt"
	"sync"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/lifetime"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/refuse"
)

// Consumer is one call of Subscribe: what its queues share, and what ends it.
type Consumer struct {
	Delivery eventstore.Delivery
	Stop     context.Context // No delivery begins any more.
	Work     context.Context // Handlers must end.

	handler eventstore.Handler
	slots   chan struct{}
	fail    func(error)
}

// Subscribe is [eventstore.Subscriber] for all drivers, as long as the store is open. It returns once run has, which delivers
// until Stop ends, and waits for its queues.
func Subscribe(
	ctx context.Context, b eventstore.Binding, open *lifetime.Lifetime, h eventstore.Handler, opts []eventstore.SubscribeOption,
	run func(*Consumer) error,
) error {
	if err := refuse.Subscribe(b); err != nil {
		return err
	}
	d, err := b.Delivery.With(opts...)
	if err != nil {
		return err
	}
	ctx, done, err := open.Begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var once sync.Once
	failures := make(chan error, 1)
	c := newConsumer(d, h, func(err error) {
		once.Do(func() { failures <- err })
		cancel(err)
	})
	work, release := Grace(ctx, d.Grace)
	defer release()
	c.Stop, c.Work = ctx, work
	if err = run(c); err == nil {
		select {
		case err = <-failures:
		default:
			return nil
		}
	}
	return fmt.Errorf("cannot subscribe as %q to store %q: %w", b.Subscription, b.Store, err)
}

func newConsumer(d eventstore.Delivery, h eventstore.Handler, fail func(error)) *Consumer {
	return &Consumer{Delivery: d, handler: h, slots: make(chan struct{}, d.Concurrency), fail: fail}
}

// Fail ends the consumer. Of several reasons, Subscribe returns the first.
func (c *Consumer) Fail(err error) { c.fail(err) }

// Queue returns a queue that begins no delivery once stop has ended. Handlers get work as their context, which should
// outlive it for as long as they are given to finish.
func (c *Consumer) Queue(stop, work context.Context, log Log) *Queue {
	return &Queue{
		delivery: c.Delivery, handler: c.handler, log: log, slots: c.slots, fail: c.fail,
		stop: stop, work: work, lines: map[eventstore.StreamID]*line{},
	}
}

// Signal puts something into a channel with room for one, if nothing is in it.
func Signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
