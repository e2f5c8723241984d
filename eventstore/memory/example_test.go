package memory_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/memory"
)

// A test of an application needs no broker.
func ExampleNew() {
	ctx := context.Background()
	store := memory.New()
	defer store.Close()

	order := eventstore.StreamID{Type: "order", ID: "42"}
	version, err := store.Append(ctx, order, 0, eventstore.EventData{Type: "OrderPlaced"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(version)
	// Output: 1
}

// What a store in production is told by its Secret, one in memory is told by options.
func ExampleOption() {
	options := []memory.Option{
		memory.WithPartitions(1),        // So that a replay has all events in their order.
		memory.WithMaxEventBytes(1_000), // As the store in production has it.
		memory.WithDelivery(eventstore.Delivery{MaxDeliveries: 1, DeadLetter: true, Concurrency: 1, Grace: time.Second}),
	}
	store := memory.New(options...)
	defer store.Close()
	_, err := store.Append(context.Background(), eventstore.StreamID{Type: "order", ID: "42"}, 0,
		eventstore.EventData{Type: "OrderPlaced", Data: make([]byte, 1_001)})
	fmt.Println(err != nil)

	log := memory.New(memory.WithStreaming())
	defer log.Close()
	_, err = log.Append(context.Background(), eventstore.StreamID{Type: "device", ID: "7"}, eventstore.Any, eventstore.EventData{Type: "Measured"})
	fmt.Println(err)
	// Output:
	// true
	// <nil>
}

// Several subscriptions of one store.
func ExampleStore_Subscription() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	store := memory.New()
	defer store.Close()
	_, _ = store.Append(ctx, eventstore.StreamID{Type: "order", ID: "42"}, 0, eventstore.EventData{Type: "OrderPlaced"})

	for _, name := range []string{"billing", "shipping"} {
		var subscription *memory.Store
		subscription, err := store.Subscription(name, eventstore.WithConcurrency(1))
		if err != nil {
			log.Fatal(err)
		}
		ctx, handled := context.WithCancel(ctx)
		err = subscription.Subscribe(ctx, func(_ context.Context, e eventstore.Event) error {
			fmt.Println(name, e.Type)
			handled()
			return nil
		})
		if err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// billing OrderPlaced
	// shipping OrderPlaced
}
