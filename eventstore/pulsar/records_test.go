package pulsar

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/apache/pulsar-client-go/pulsar"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/pulsartest"
)

// subscribed returns the ids that a subscription gets, up to one.
func subscribed(t *testing.T, s eventstore.Store, last string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var got []string
	must(t, s.Subscribe(ctx, func(_ context.Context, e eventstore.Event) error {
		if got = append(got, e.ID); e.ID == last {
			cancel()
		}
		return nil
	}, eventstore.WithConcurrency(1)))
	return strings.Join(got, " ")
}

// Void records are for nobody: not for Read, nor Replay, nor subscriptions.
func TestVoidRecords(t *testing.T) {
	server := pulsartest.Start(t, broker.PulsarOptions{})
	secret := server.Store(t, layout.Sourcing, nil)
	s := openSecret(t, secret)
	_, err := s.Append(t.Context(), order42, 0, placed("a"))
	must(t, err)
	producer, err := server.Client(t).CreateProducer(pulsar.ProducerOptions{Topic: server.Events(secret, partition42), DisableBatching: true})
	must(t, err)
	for _, version := range []string{"1", "3", "2"} { // Lost, ahead, and one that counts.
		_, err := producer.Send(t.Context(), foreignRecord(version))
		must(t, err)
	}
	batched, err := server.Client(t).CreateProducer(pulsar.ProducerOptions{Topic: server.Events(secret, partition42), BatchingMaxPublishDelay: time.Hour})
	must(t, err)
	for range 2 {
		batched.SendAsync(t.Context(), foreignRecord("3"), func(pulsar.MessageID, *pulsar.ProducerMessage, error) {})
	}
	must(t, batched.FlushWithCtx(t.Context()))
	_, err = s.Append(t.Context(), order42, 2, placed("b"))
	must(t, err)
	const want = "a foreign-2 b"
	if got := ids(t, s, eventstore.Start{}); got != want {
		t.Errorf("Replay: %s, want %s", got, want)
	}
	if got := read(t, openSecret(t, secret)); got != want {
		t.Errorf("Read: %s, want %s", got, want)
	}
	if got := subscribed(t, openSecret(t, server.Subscription(t, secret, "billing")), "b"); got != want {
		t.Errorf("Subscribe: %s, want %s", got, want)
	}
}

// foreignRecord is one of a client in another language.
func foreignRecord(version string) *pulsar.ProducerMessage {
	return &pulsar.ProducerMessage{Key: order42.String(), Payload: []byte(`{}`), Properties: map[string]string{
		"ce_specversion": "1.0", "ce_id": "foreign-" + version, "ce_source": "/elsewhere", "ce_type": "OrderPlaced",
		"ce_subject": order42.String(), "ce_version": version,
	}}
}

// A streaming store forgets, and whoever was too slow is told, or goes on with what is left.
func TestStreamingForgets(t *testing.T) {
	server := pulsartest.Start(t, broker.PulsarOptions{})
	secret := server.Store(t, layout.Streaming, nil)
	s := openSecret(t, secret)
	_, err := s.Append(t.Context(), order42, eventstore.Any, placed("a"), placed("b"))
	must(t, err)
	var from eventstore.Start
	for e, err := range s.Replay(t.Context(), eventstore.Start{}) {
		must(t, err)
		from.After = []eventstore.Position{e.Position}
	}
	sub := openSecret(t, server.Subscription(t, secret, "billing"))
	truncate(t, server, secret)
	_, err = s.Append(t.Context(), order42, eventstore.Any, placed("d"))
	must(t, err)
	for _, err := range s.Replay(t.Context(), from) {
		if !errors.Is(err, eventstore.ErrHistoryLost) {
			t.Errorf("Replay after a position that the store forgot: %v, want ErrHistoryLost", err)
		}
	}
	if got := ids(t, openSecret(t, secret), eventstore.Start{}); got != "d" {
		t.Errorf("Replay of what is left: %s, want d", got)
	}
	if got := subscribed(t, sub, "d"); got != "d" {
		t.Errorf("Subscribe to what is left: %s, want d", got)
	}
}

// A subscription's rights are its own.
func TestForeignSubscription(t *testing.T) {
	server := pulsartest.Start(t, broker.PulsarOptions{})
	secret := server.Store(t, layout.Sourcing, nil)
	server.Subscription(t, secret, "billing")
	secret[layout.SecretSubscription] = []byte("billing")
	err := openSecret(t, secret).Subscribe(t.Context(), func(context.Context, eventstore.Event) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "has no right to do this") {
		t.Errorf("Subscribe as a subscription of somebody else: %v, want it to say that there is no right", err)
	}
}

// An empty state is one, although Pulsar takes a message without a payload for a deletion.
func TestEmptySnapshot(t *testing.T) {
	server := pulsartest.Start(t, broker.PulsarOptions{})
	s := openSecret(t, server.Store(t, layout.Sourcing, nil))
	must(t, s.SaveSnapshot(t.Context(), eventstore.Snapshot{Stream: order42, Version: 3}))
	got, err := s.LoadSnapshot(t.Context(), order42)
	if err != nil || got.Version != 3 || len(got.Data) > 0 {
		t.Errorf("LoadSnapshot: version %d, %d bytes, %v; want 3 and none", got.Version, len(got.Data), err)
	}
}
