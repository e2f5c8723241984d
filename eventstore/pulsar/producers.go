package pulsar

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/apache/pulsar-client-go/pulsar"

	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/lifetime"
)

const (
	// sendTimeout is how long a client tries to hand over a record. Whoever waits longer publishes it again.
	sendTimeout = 30 * time.Second

	// pending is how many records of a topic may be under way.
	pending = 1 << 14
)

// producers has a producer for each topic that is written to, from the first time on.
type producers struct {
	client creator

	mu      sync.Mutex
	byTopic map[string]*opening
	closed  bool
	wg      sync.WaitGroup
}

// creator is what producers need of a client.
type creator interface {
	CreateProducer(o pulsar.ProducerOptions) (pulsar.Producer, error)
}

// opening is a producer that several may wait for.
type opening struct {
	done     chan struct{}
	producer pulsar.Producer
	err      error
}

func newProducers(client creator) *producers {
	return &producers{client: client, byTopic: map[string]*opening{}}
}

// ready returns the producer of a topic if there is one.
func (p *producers) ready(topic string) pulsar.Producer {
	p.mu.Lock()
	defer p.mu.Unlock()
	o := p.byTopic[topic]
	if o == nil {
		return nil
	}
	select {
	case <-o.done:
		return o.producer
	default:
		return nil
	}
}

// get returns the producer of a topic, and creates it if there is none.
func (p *producers) get(ctx context.Context, topic string) (pulsar.Producer, error) {
	o, err := p.opening(topic)
	if err != nil {
		return nil, err
	}
	select {
	case <-o.done:
		return o.producer, o.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (p *producers) opening(topic string) (*opening, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	o := p.byTopic[topic]
	switch {
	case p.closed:
		return nil, lifetime.ErrClosed
	case o == nil:
		o = &opening{done: make(chan struct{})}
		p.byTopic[topic] = o
		p.wg.Go(func() { p.create(topic, o) })
	}
	return o, nil
}

// close waits for producers that are being created: the client closes those that it has, and no later ones.
func (p *producers) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.wg.Wait()
}

func (p *producers) create(topic string, o *opening) {
	producer, err := p.client.CreateProducer(pulsar.ProducerOptions{
		Topic: topic, DisableBatching: true, SendTimeout: sendTimeout, MaxPendingMessages: pending,
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		o.err = err
		delete(p.byTopic, topic)
	} else {
		o.producer = producer
	}
	close(o.done)
}

// drop forgets a producer, so that the next message gets another. It reports whether the producer was still in use.
func (p *producers) drop(topic string, producer pulsar.Producer) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	o := p.byTopic[topic]
	if o == nil || o.producer != producer {
		return false
	}
	delete(p.byTopic, topic)
	return true
}

// send publishes a message, and calls done with its place or with an error.
func (p *producers) send(topic string, producer pulsar.Producer, m *pulsar.ProducerMessage, done func(place, error)) {
	defer func() {
		if given := recover(); given != nil {
			if err, ok := given.(error); !ok || err.Error() != "send on closed channel" {
				panic(given)
			}
			p.drop(topic, producer) // The client gives a producer up, as its topic is gone, while we hand it a message.
			done(nowhere, pulsar.ErrProducerClosed)
		}
	}()
	producer.SendAsync(context.Background(), m, func(id pulsar.MessageID, _ *pulsar.ProducerMessage, err error) {
		switch {
		case errors.Is(err, pulsar.ErrProducerClosed): // The client has given it up.
			p.drop(topic, producer)
		case errors.Is(err, pulsar.ErrSendTimeout) && p.drop(topic, producer):
			// The client may not have heard that the broker closed it. Another producer is answered.
			go producer.Close()
		}
		if err != nil {
			done(nowhere, err)
			return
		}
		done(placeOf(id), nil)
	})
}

// sendSync publishes a message, and waits for the answer. sent says that it may be there.
func (p *producers) sendSync(ctx context.Context, topic string, m *pulsar.ProducerMessage) (sent bool, err error) {
	producer, err := p.get(ctx, topic)
	if err != nil {
		return false, err
	}
	result := make(chan error, 1)
	p.send(topic, producer, m, func(_ place, err error) { result <- err })
	select {
	case err := <-result:
		return true, err
	case <-ctx.Done():
		return true, context.Cause(ctx)
	}
}
