package kafka

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/internal/kafkatest"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// A subscription that is made again while somebody redrives the old one's dead letters keeps its own.
func TestRedriveAnotherTopic(t *testing.T) {
	server := kafkatest.Start(t)
	secret := server.Store(t, layout.Sourcing, nil)
	billing := server.Subscription(t, secret, "billing")
	sub := openSecret(t, billing).(*store)
	e := eventstore.Event{ID: "old", Stream: order42, Version: 1, Type: "OrderPlaced", Position: eventstore.Position{Offset: "1"}}
	bury := func(by *store, id string) {
		e.ID = id
		must(t, by.bury(t.Context(), e, 1, errors.New("told to fail")))
	}
	bury(sub, "old")
	bury(sub, "older")
	admin := server.Admin(t)
	handled, err := sub.Redrive(t.Context(), func(context.Context, eventstore.Event) error {
		makeAgain(t, admin, layout.KafkaDeadLetters(sub.Secret.Get(layout.SecretStore), "billing"))
		bury(openSecret(t, billing).(*store), "new")
		return nil
	})
	if handled != 1 || err == nil || !strings.Contains(err.Error(), "deleted and made again") {
		t.Errorf("Redrive: %d handled, %v; want it to say that the topic is another", handled, err)
	}
	var left []string
	for d, err := range sub.DeadLetters(t.Context()) {
		must(t, err)
		left = append(left, d.Event.ID)
	}
	if len(left) != 1 || left[0] != "new" {
		t.Errorf("dead letters %q are left, want the new one", left)
	}
}

// makeAgain deletes a topic, and makes another with its name.
func makeAgain(t *testing.T, admin *kgo.Client, topic string) {
	t.Helper()
	gone := kmsg.NewPtrDeleteTopicsRequest()
	one := kmsg.NewDeleteTopicsRequestTopic()
	one.Topic = &topic
	gone.TopicNames, gone.Topics, gone.TimeoutMillis = []string{topic}, append(gone.Topics, one), 10_000
	deleted, err := gone.RequestWith(t.Context(), admin)
	must(t, err)
	must(t, kerr.ErrorForCode(deleted.Topics[0].ErrorCode))
	anew := kmsg.NewPtrCreateTopicsRequest()
	like := kmsg.NewCreateTopicsRequestTopic()
	like.Topic, like.NumPartitions, like.ReplicationFactor = topic, 1, 1
	anew.Topics, anew.TimeoutMillis = append(anew.Topics, like), 10_000
	for {
		made, err := anew.RequestWith(t.Context(), admin)
		must(t, err)
		err = kerr.ErrorForCode(made.Topics[0].ErrorCode)
		if !errors.Is(err, kerr.TopicAlreadyExists) { // It is on its way out.
			must(t, err)
			return
		}
	}
}
