package pulsar

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/apache/pulsar-client-go/pulsar"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/deliver"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/refuse"
)

// Subscribe implements [eventstore.Subscriber]. Consumers share the events as the type of the subscription says. Nothing is
// ever handed back to the broker, which would send it again after what follows: failures are repeated here.
func (s *store) Subscribe(ctx context.Context, h eventstore.Handler, opts ...eventstore.SubscribeOption) error {
	if err := refuse.Subscribe(s.Binding); err != nil {
		return err
	}
	d, err := s.Delivery.With(opts...)
	if err != nil {
		return err
	}
	ctx, done, err := s.open.Begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	if err := s.subscribe(ctx, d, h); err != nil {
		return fmt.Errorf("cannot subscribe as %q to store %q: %w", s.Subscription, s.Store, explain(s.Secret, err))
	}
	return nil
}

// consumer is one call of Subscribe.
type consumer struct {
	*deliver.Consumer
	store    *store
	delivery eventstore.Delivery
	typ      pulsar.SubscriptionType
	name     string          // The same in all partitions: brokers choose between stand-ins by it.
	stop     context.Context // No delivery begins any more.
	work     context.Context // Handlers must end.

	fail   func(error)
	once   sync.Once
	failed error
}

// types are the types of a subscription by what the Secret calls them.
var types = map[string]pulsar.SubscriptionType{
	"": pulsar.KeyShared, "KeyShared": pulsar.KeyShared, "Shared": pulsar.Shared, "Failover": pulsar.Failover, "Exclusive": pulsar.Exclusive,
}

func (s *store) subscribe(ctx context.Context, d eventstore.Delivery, h eventstore.Handler) error {
	typ, ok := types[s.SubscriptionType]
	if !ok {
		return fmt.Errorf("its type is %q, which this version of the SDK does not know: %w", s.SubscriptionType, eventstore.ErrUnsupported)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	work, release := deliver.Grace(ctx, d.Grace)
	defer release()
	c := &consumer{store: s, delivery: d, typ: typ, name: newName(), stop: ctx, work: work}
	c.fail = func(err error) {
		c.once.Do(func() { c.failed = err })
		cancel(err)
	}
	c.Consumer = deliver.NewConsumer(d, h, c.fail)
	var wg sync.WaitGroup
	for p := range s.Partitions {
		wg.Go(func() { c.partition(p) })
	}
	wg.Wait()
	return c.failed
}

// partition consumes one partition until stop ends.
func (c *consumer) partition(number int) {
	for n := 0; c.stop.Err() == nil; n++ {
		p := newPartition(c, number)
		err := p.open()
		if err == nil {
			p.run()
			n = 0
			_ = pause(c.stop, n)
			continue
		}
		switch {
		case c.stop.Err() != nil:
		case busy(err):
			c.fail(fmt.Errorf("another consumer has it, and its type allows one at a time: end that, or choose Failover: %w", err))
		case noSubscription(err), noTopic(err):
			c.fail(fmt.Errorf("it is gone from partition %d; the provider restores it: %w: %w", number, eventstore.ErrNotFound, err))
		case !passes(err):
			c.fail(err)
		default:
			_ = pause(c.stop, n)
		}
	}
}

// errInactive is why handlers end when another consumer takes over.
var errInactive = errors.New("the partition was given to another consumer")

// open subscribes.
func (p *partition) open() (err error) {
	o := pulsar.ConsumerOptions{
		Topic: p.store.events(p.number), SubscriptionName: p.store.Subscription, Type: p.typ, Name: p.name,
		AckWithResponse: true, ReceiverQueueSize: readAhead,
	}
	if p.typ == pulsar.Failover {
		o.EventListener = p
	}
	p.client, err = within(p.stop, func() (pulsar.Consumer, error) { return p.store.client.Subscribe(o) }, pulsar.Consumer.Close)
	return err
}

// BecameActive implements [pulsar.ConsumerEventListener].
func (p *partition) BecameActive(pulsar.Consumer, string, int32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.active = true
}

// BecameInactive implements [pulsar.ConsumerEventListener]. What was received goes to the consumer that is active now, so
// that we begin anew, as its stand-in.
func (p *partition) BecameInactive(pulsar.Consumer, string, int32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.active || len(p.held) > 0 {
		p.finish() // First: a handler that ends must not be followed by another.
		p.cancel(errInactive)
	}
}
