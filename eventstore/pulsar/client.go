package pulsar

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/apache/pulsar-client-go/pulsar"
	"github.com/apache/pulsar-client-go/pulsar/backoff"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/lifetime"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect/pulsarclient"
)

// client is a client that follows the Secret. Tokens and client certificates Pulsar's own asks for each time that it connects.
// Where the brokers are, and which authorities to trust, it takes once: when that changes, another takes its place, and what
// the former has ends, as if the connection had been lost for good. Whoever reconnects looks whether it has changed.
type client struct {
	binding eventstore.Binding

	mu      sync.Mutex
	closed  bool
	current pulsar.Client // nil: it is to be made
	made    pulsarclient.Config
	former  sync.WaitGroup
}

func newClient(b eventstore.Binding) (*client, error) {
	c := &client{binding: b}
	_, err := c.now()
	return c, err
}

func (c *client) make(settings pulsarclient.Config) (pulsar.Client, error) {
	settings.Renew = func() (pulsarclient.Config, error) {
		s, err := c.binding.Current()
		return connection(s), err
	}
	return settings.Client()
}

// now returns the client for the Secret of the moment.
func (c *client) now() (pulsar.Client, error) {
	s, err := c.binding.Current()
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return nil, lifetime.ErrClosed
	case err != nil:
		return nil, fmt.Errorf("cannot connect: %w", err)
	}
	settings := connection(s)
	if c.current != nil && same(settings, c.made) {
		return c.current, nil
	}
	next, err := c.make(settings)
	if err != nil {
		return nil, err
	}
	if c.current != nil {
		c.former.Go(c.current.Close)
	}
	c.current, c.made = next, settings
	return next, nil
}

// same reports whether a client for a would do for b.
func same(a, b pulsarclient.Config) bool {
	tokens := func(p pulsarclient.Config) bool { return p.Token != "" || p.OAuth != nil }
	if a.ServiceURL != b.ServiceURL || (a.TLS == nil) != (b.TLS == nil) || tokens(a) != tokens(b) {
		return false
	}
	return a.TLS == nil || bytes.Equal(a.TLS.CA, b.TLS.CA) && (len(a.TLS.Certificate) == 0) == (len(b.TLS.Certificate) == 0)
}

// reconnecting is called by Pulsar's client before it reconnects.
func (c *client) reconnecting() backoff.Policy {
	p := policy{Policy: backoff.NewDefaultBackoff(), client: c}
	p.look()
	return p
}

// policy looks at the Secret before each attempt to reconnect.
type policy struct {
	backoff.Policy

	client *client
}

func (p policy) Next() time.Duration {
	p.look()
	return p.Policy.Next()
}

// look ends what would else try for ever to connect with a Secret that it cannot use.
func (p policy) look() {
	if _, err := p.client.now(); errors.Is(err, eventstore.ErrRestart) {
		p.client.retire()
	}
}

func (c *client) retire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current != nil {
		c.former.Go(c.current.Close)
		c.current = nil
	}
}

// CreateProducer is that of [pulsar.Client], as are those that follow.
func (c *client) CreateProducer(o pulsar.ProducerOptions) (pulsar.Producer, error) {
	o.BackOffPolicyFunc = c.reconnecting
	now, err := c.now()
	if err != nil {
		return nil, err
	}
	return now.CreateProducer(o)
}

func (c *client) Subscribe(o pulsar.ConsumerOptions) (pulsar.Consumer, error) {
	o.BackOffPolicyFunc = c.reconnecting
	now, err := c.now()
	if err != nil {
		return nil, err
	}
	return now.Subscribe(o)
}

func (c *client) CreateReader(o pulsar.ReaderOptions) (pulsar.Reader, error) {
	now, err := c.now()
	if err != nil {
		return nil, err
	}
	return now.CreateReader(o)
}

func (c *client) TopicPartitions(topic string) ([]string, error) {
	now, err := c.now()
	if err != nil {
		return nil, err
	}
	return now.TopicPartitions(topic)
}

// Close closes the connections, and waits for former clients.
func (c *client) Close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.retire()
	c.former.Wait()
}
