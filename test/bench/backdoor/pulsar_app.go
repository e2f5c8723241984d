package backdoor

import (
	"context"
	"strconv"
	"time"

	"github.com/apache/pulsar-client-go/pulsar"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect/pulsarclient"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// A pulsarApplication uses Pulsar's own client with what the Secret says, as an application in another language does.
type pulsarApplication struct {
	client       pulsar.Client
	topic        string
	subscription string // Empty with the Secret of a store.
	typ          pulsar.SubscriptionType
	partitions   int
	producer     pulsar.Producer // nil with the Secret of a subscription.
}

func (b *pulsarBroker) Connect(_ context.Context, s eventstore.Secret) (Application, error) {
	a := &pulsarApplication{
		topic:        layout.PulsarTopic(s.Get(layout.SecretTenant), s.Get(layout.SecretStore), layout.PulsarEvents),
		subscription: s.Get(layout.SecretSubscription), typ: pulsarType(s.Get(layout.SecretSubscriptionType)),
	}
	var err error
	if a.partitions, err = strconv.Atoi(s.Get(layout.SecretPartitions)); err != nil {
		return nil, err
	}
	a.client, err = pulsarclient.Config{ServiceURL: s.Get(layout.SecretURI), Token: s.Get(layout.SecretPassword)}.Client()
	if err != nil || a.subscription != "" {
		return a, err
	}
	a.producer, err = a.client.CreateProducer(pulsar.ProducerOptions{Topic: a.topic, DisableBatching: true, SendTimeout: deliveryTimeout})
	if err != nil {
		a.client.Close()
		return nil, err
	}
	return a, nil
}

func pulsarType(name string) pulsar.SubscriptionType {
	switch name {
	case "Exclusive":
		return pulsar.Exclusive
	case "Failover":
		return pulsar.Failover
	case "Shared":
		return pulsar.Shared
	default:
		return pulsar.KeyShared
	}
}

func (a *pulsarApplication) Write(ctx context.Context, id string) error {
	_, err := a.producer.Send(ctx, &pulsar.ProducerMessage{
		Key: "bench/" + stream(id), Payload: []byte("{}"), Properties: map[string]string{headerID: id},
	})
	return err
}

func (a *pulsarApplication) Records(ctx context.Context) (map[string]int, error) {
	found := map[string]int{}
	for p := range a.partitions {
		if err := a.readPartition(ctx, p, found); err != nil {
			return nil, err
		}
	}
	return found, nil
}

func (a *pulsarApplication) readPartition(ctx context.Context, partition int, found map[string]int) error {
	r, err := a.client.CreateReader(pulsar.ReaderOptions{Topic: layout.PulsarPartition(a.topic, partition), StartMessageID: pulsar.EarliestMessageID()})
	if err != nil {
		return err
	}
	defer r.Close()
	for r.HasNext() {
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		m, err := r.Next(ctx)
		cancel()
		if err != nil {
			return err
		}
		if id := m.Properties()[headerID]; id != "" { // Not the genesis record.
			found[id]++
		}
	}
	return nil
}

func (a *pulsarApplication) Consume(ctx context.Context, handle func(id string)) error {
	c, err := a.client.Subscribe(pulsar.ConsumerOptions{Topic: a.topic, SubscriptionName: a.subscription, Type: a.typ})
	if err != nil {
		return err
	}
	defer c.Close()
	for {
		m, err := c.Receive(ctx)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // It was told to stop.
		}
		if err != nil {
			return err
		}
		if id := m.Properties()[headerID]; id != "" {
			handle(id)
		}
		if err := c.Ack(m); err != nil {
			return err
		}
	}
}

func (a *pulsarApplication) Close() error {
	if a.producer != nil {
		a.producer.Close()
	}
	a.client.Close()
	return nil
}
