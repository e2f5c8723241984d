package sdkbench

import (
	"context"
	"testing"

	"github.com/apache/pulsar-client-go/pulsar"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	_ "github.com/crossplane-contrib/provider-eventstore/eventstore/pulsar"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/pulsartest"
)

// inQueue is how many messages of a producer may be under way.
const inQueue = 2000

// pulsarSubjects are one broker that shows new records to those who read along at once, and one with the default delay.
func pulsarSubjects(t *testing.T) []subject {
	t.Helper()
	var all []subject
	for name, delay := range map[string]string{"pulsar": "0", "pulsar, 10 ms": "10"} {
		server := pulsartest.Start(t, broker.PulsarOptions{Heap: "512m", Config: map[string]string{"managedLedgerNewEntriesCheckDelayInMillis": delay}})
		s := subject{
			name:    name,
			indexed: true,
			store:   func(t *testing.T) eventstore.Secret { return server.Store(t, layout.Sourcing, nil) },
			subscription: func(t *testing.T, s eventstore.Secret, name string) eventstore.Secret {
				return server.Subscription(t, s, name)
			},
			appends: func(t *testing.T, s eventstore.Secret) func(context.Context, eventstore.StreamID, eventstore.Version) error {
				return pulsarAppends(t, server, s)
			},
			consumes: func(t *testing.T, s eventstore.Secret, n int) error { return pulsarConsumes(t, server, s, n) },
		}
		if delay == "0" {
			s.goals = goals{
				"append, 1 in flight, p50 above raw": "<= 0.5", "append, 128 in flight, of raw": ">= 90", "append, 1024 in flight, of raw": ">= 75",
				"subscribe, of raw": ">= 80", "memory for each of 50000 streams of 4 events": "<= 350",
				"restart with 1000000 events and an index on disk": "<= 3000",
			}
		}
		all = append(all, s)
	}
	return all
}

func pulsarAppends(t *testing.T, server *pulsartest.Server, secret eventstore.Secret) appender {
	t.Helper()
	client := server.Client(t)
	var producers [pulsartest.Partitions]pulsar.Producer
	for p := range producers {
		var err error
		producers[p], err = client.CreateProducer(pulsar.ProducerOptions{Topic: server.Events(secret, p), DisableBatching: true, MaxPendingMessages: inQueue})
		if err != nil {
			t.Fatal(err)
		}
		tail, err := client.CreateReader(pulsar.ReaderOptions{Topic: server.Events(secret, p), StartMessageID: pulsar.EarliestMessageID()})
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for err := error(nil); err == nil; {
				_, err = tail.Next(t.Context())
			}
		}()
	}
	return func(ctx context.Context, id eventstore.StreamID, version eventstore.Version) error {
		stream := id.String()
		m := &pulsar.ProducerMessage{Key: stream, Payload: payload, Properties: map[string]string{}}
		for _, h := range headers(stream, version) {
			m.Properties[h[0]] = h[1]
		}
		sent := make(chan error, 1)
		producers[layout.Partition(stream, pulsartest.Partitions)].SendAsync(ctx, m, func(_ pulsar.MessageID, _ *pulsar.ProducerMessage, err error) { sent <- err })
		return <-sent
	}
}

func pulsarConsumes(t *testing.T, server *pulsartest.Server, secret eventstore.Secret, n int) error {
	t.Helper()
	var topics []string
	for p := range pulsartest.Partitions {
		topics = append(topics, server.Events(secret, p))
	}
	c, err := server.Client(t).Subscribe(pulsar.ConsumerOptions{Topics: topics, SubscriptionName: secret.Get(layout.SecretSubscription), Type: pulsar.KeyShared})
	if err != nil {
		return err
	}
	defer c.Close()
	for read := 0; read < n; {
		m, err := c.Receive(t.Context())
		if err != nil {
			return err
		}
		if m.Key() != "" { // The genesis has none.
			read++
		}
		if err := c.Ack(m); err != nil {
			return err
		}
	}
	return nil
}
