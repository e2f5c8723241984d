package pulsar

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/apache/pulsar-client-go/pulsar"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/deliver"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/pause"
)

// Subscribe implements [eventstore.Subscriber]. Consumers share the events as the type of the subscription says. Nothing is
// ever handed back to the broker, which would send it again after what follows: failures are repeated here.
func (s *store) Subscribe(ctx context.Context, h eventstore.Handler, opts ...eventstore.SubscribeOption) error {
	return deliver.Subscribe(ctx, s.Binding, s.open, h, opts, func(base *deliver.Consumer) error {
		typ, ok := types[s.SubscriptionType]
		if !ok {
			return fmt.Errorf("its type is %q, which this version of the SDK does not know: %w", s.SubscriptionType, eventstore.ErrUnsupported)
		}
		c := &consumer{Consumer: base, store: s, typ: typ, name: newName()}
		var wg sync.WaitGroup
		for p := range s.Partitions {
			wg.Go(func() { c.partition(p) })
		}
		wg.Wait()
		return nil
	})
}

// consumer is one call of Subscribe.
type consumer struct {
	*deliver.Consumer
	store *store
	typ   pulsar.SubscriptionType
	name  string // The same in all partitions: brokers choose between stand-ins by it.
}

// types are the types of a subscription by what the Secret calls them.
var types = map[string]pulsar.SubscriptionType{
	"": pulsar.KeyShared, "KeyShared": pulsar.KeyShared, "Shared": pulsar.Shared, "Failover": pulsar.Failover, "Exclusive": pulsar.Exclusive,
}

// fail is Fail with what to do about it.
func (c *consumer) fail(err error) { c.Fail(explain(c.store.Secret, err)) }

// partition consumes one partition until stop ends.
func (c *consumer) partition(number int) {
	trusted := c.typ != pulsar.Failover
	for n := 0; c.Stop.Err() == nil; n++ {
		p := newPartition(c, number, trusted)
		err := p.open()
		if err == nil {
			p.run()
			trusted = trusted || p.unheard()
			n = 0
			_ = pause.Before(c.Stop, n)
			continue
		}
		switch {
		case c.Stop.Err() != nil:
		case busy(err):
			c.fail(fmt.Errorf("another consumer has it, and its type allows one at a time: end that, or choose Failover: %w", err))
		case noSubscription(err), noTopic(err):
			c.fail(fmt.Errorf("it is gone from partition %d; the provider restores it: %w: %w", number, eventstore.ErrNotFound, err))
		case !passes(err):
			c.fail(err)
		default:
			_ = pause.Before(c.Stop, n)
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
	p.standIn.active = true
}

// BecameInactive implements [pulsar.ConsumerEventListener]. What was received goes to the consumer that is active now, so
// that we begin anew, as its stand-in.
func (p *partition) BecameInactive(pulsar.Consumer, string, int32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.standIn.active || len(p.held) > 0 {
		p.finish() // First: a handler that ends must not be followed by another.
		p.cancel(errInactive)
	}
}
