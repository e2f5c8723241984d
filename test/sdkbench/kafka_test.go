package sdkbench

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	_ "github.com/crossplane-contrib/provider-eventstore/eventstore/kafka"
	"github.com/crossplane-contrib/provider-eventstore/internal/kafkatest"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

func kafkaSubjects(t *testing.T) []subject {
	t.Helper()
	server := kafkatest.Start(t)
	return []subject{{
		name: "kafka",
		goals: goals{
			"append, 1 in flight, p50 above raw": "<= 0.2", "append, 128 in flight, of raw": ">= 85", "append, 1024 in flight, of raw": ">= 75",
			"subscribe, of raw": ">= 80", "memory for each of 50000 streams of 4 events": "<= 350",
			"restart with 1000000 events and an index on disk": "<= 3000",
		},
		indexed: true,
		store:   func(t *testing.T) eventstore.Secret { return server.Store(t, layout.Sourcing, nil) },
		subscription: func(t *testing.T, s eventstore.Secret, name string) eventstore.Secret {
			return server.Subscription(t, s, name)
		},
		appends: func(t *testing.T, s eventstore.Secret) func(context.Context, eventstore.StreamID, eventstore.Version) error {
			return kafkaAppends(t, server, s)
		},
		consumes: func(t *testing.T, s eventstore.Secret, n int) error { return kafkaConsumes(t, server, s, n) },
	}}
}

// headers are what a record of the driver has beside its payload.
func headers(stream string, version eventstore.Version) [][2]string {
	return [][2]string{
		{"ce_specversion", "1.0"},
		{"ce_id", "01890a5d-ac96-774b-bcce-b302099a8057"},
		{"ce_source", "/eventstores/shop.orders-1"},
		{"ce_type", "Counted"},
		{"ce_subject", stream},
		{"ce_time", time.Now().UTC().Format(time.RFC3339Nano)},
		{"content-type", "application/json"},
		{"ce_version", fmt.Sprint(version + 1)},
		{"attempt", "0123456789abcdef0123456789abcdef"},
	}
}

func kafkaAppends(t *testing.T, server *kafkatest.Server, secret eventstore.Secret) appender {
	t.Helper()
	topic := layout.KafkaEvents(secret.Get(layout.SecretStore))
	client := server.Admin(t, kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0))
	tail := server.Admin(t, kgo.ConsumeTopics(topic))
	go func() {
		for !tail.PollFetches(context.Background()).IsClientClosed() { //nolint:revive // What it reads is for nobody.
		}
	}()
	return func(ctx context.Context, id eventstore.StreamID, version eventstore.Version) error {
		stream := id.String()
		r := &kgo.Record{Key: []byte(stream), Value: payload, Partition: int32(layout.Partition(stream, kafkatest.Partitions))}
		for _, h := range headers(stream, version) {
			r.Headers = append(r.Headers, kgo.RecordHeader{Key: h[0], Value: []byte(h[1])})
		}
		return client.ProduceSync(ctx, r).FirstErr()
	}
}

func kafkaConsumes(t *testing.T, server *kafkatest.Server, secret eventstore.Secret, n int) error {
	t.Helper()
	store := secret.Get(layout.SecretStore)
	c := server.Admin(t, kgo.ConsumeTopics(layout.KafkaEvents(store)), kgo.ConsumerGroup(layout.KafkaGroup(store, secret.Get(layout.SecretSubscription))))
	defer c.Close()
	for read := 0; read < n; {
		fetches := c.PollFetches(t.Context())
		if err := fetches.Err(); err != nil {
			return err
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if r.Key != nil { // The genesis has none.
				read++
			}
		})
	}
	return c.CommitUncommittedOffsets(t.Context())
}
