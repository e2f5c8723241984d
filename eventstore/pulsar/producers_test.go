package pulsar

import (
	"context"
	"errors"
	"testing"

	"github.com/apache/pulsar-client-go/pulsar"
)

// givenUp is a producer that the client closes while it is handed a message.
type givenUp struct{ pulsar.Producer }

func (givenUp) SendAsync(context.Context, *pulsar.ProducerMessage, func(pulsar.MessageID, *pulsar.ProducerMessage, error)) {
	messages := make(chan struct{})
	close(messages)
	messages <- struct{}{}
}

// What the client breaks off is an error, and the next message gets another producer.
func TestSendToProducerThatWasGivenUp(t *testing.T) {
	p, one := newProducers(nil), &opening{done: make(chan struct{}), producer: givenUp{}}
	p.byTopic["events"] = one
	var err error
	p.send("events", one.producer, nil, func(_ place, e error) { err = e })
	if !errors.Is(err, pulsar.ErrProducerClosed) || p.byTopic["events"] != nil {
		t.Errorf("send: %v, producer kept: %t; want ErrProducerClosed, false", err, p.byTopic["events"] != nil)
	}
}

// silent is a producer that the broker never answers.
type silent struct {
	pulsar.Producer

	closed chan struct{}
}

func (silent) SendAsync(_ context.Context, _ *pulsar.ProducerMessage, done func(pulsar.MessageID, *pulsar.ProducerMessage, error)) {
	done(nil, nil, pulsar.ErrSendTimeout)
}

func (s silent) Close() { close(s.closed) }

// A producer that the broker does not answer is closed, once, and the next message gets another producer.
func TestSendWithoutAnswer(t *testing.T) {
	one := &opening{done: make(chan struct{}), producer: silent{closed: make(chan struct{})}}
	p := newProducers(nil)
	p.byTopic["events"] = one
	for range 2 {
		var err error
		p.send("events", one.producer, nil, func(_ place, e error) { err = e })
		if !errors.Is(err, pulsar.ErrSendTimeout) || p.byTopic["events"] != nil {
			t.Errorf("send: %v, producer kept: %t; want ErrSendTimeout, false", err, p.byTopic["events"] != nil)
		}
	}
	<-one.producer.(silent).closed
}
