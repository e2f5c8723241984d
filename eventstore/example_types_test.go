package eventstore_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/memory"
)

type (
	OrderPlaced struct{ Total int }
	OrderPaid   struct{}
)

// With the types of its events registered, an aggregate switches on values.
func ExampleNewTypes() {
	events := eventstore.NewTypes(
		eventstore.TypeOf[OrderPlaced]("OrderPlaced"),
		eventstore.TypeOf[OrderPaid]("OrderPaid", eventstore.WithCodec(eventstore.JSON)), // The default.
	)
	type Order struct{ Open int }
	orders := eventstore.Aggregate[Order]{
		Type: "order",
		Evolve: func(o Order, e eventstore.Event) (Order, error) {
			v, err := events.Decode(e)
			switch v := v.(type) {
			case OrderPlaced:
				o.Open = v.Total
			case OrderPaid:
				o.Open = 0
			}
			return o, err
		},
	}

	order, err := orders.Execute(context.Background(), memory.New(), "42", func(Order) ([]eventstore.EventData, error) {
		return events.Encode(OrderPlaced{Total: 7})
	})
	fmt.Println(order, err)
	// Output: {7} <nil>
}

// A program sees every event as if it had been written today.
func ExampleUpcast() {
	type joinedBefore struct{ Name string } // Version 1 had one name, version 2 has two.
	type CustomerJoined struct{ First, Last string }
	split := func(old joinedBefore) (c CustomerJoined, err error) {
		_, err = fmt.Sscan(old.Name, &c.First, &c.Last)
		return c, err
	}
	events := eventstore.NewTypes(eventstore.TypeOf[CustomerJoined]("CustomerJoined", eventstore.Upcast(split)))

	ctx := context.Background()
	store := memory.New()
	ada := eventstore.StreamID{Type: "customer", ID: "ada"}
	_, _ = store.Append(ctx, ada, 0, eventstore.EventData{Type: "CustomerJoined", Data: map[string]string{"Name": "Ada Lovelace"}})
	joined, _ := events.Encode(CustomerJoined{First: "Grace", Last: "Hopper"})
	_, _ = store.Append(ctx, ada, 1, joined...)
	for e := range store.Read(ctx, ada, 0) {
		v, err := events.Decode(e)
		fmt.Printf("version %q: %+v %v\n", e.Metadata[eventstore.SchemaVersion], v, err)
	}
	// Output:
	// version "": {First:Ada Last:Lovelace} <nil>
	// version "2": {First:Grace Last:Hopper} <nil>
}

// A consumer that means to skip what it does not know says so.
func ExampleTypes_Decode() {
	events := eventstore.NewTypes(eventstore.TypeOf[OrderPlaced]("OrderPlaced"))
	_, err := events.Decode(eventstore.Event{ID: "e1", Type: "OrderLost"})
	fmt.Println(errors.Is(err, eventstore.ErrUnknownType))
	fmt.Println(err)
	// Output:
	// true
	// cannot decode event e1 of type "OrderLost": add eventstore.TypeOf for it to the types: unknown event type
}

// Policies compose: here every 500 events or megabyte, or every hour if there were at least 50.
func ExampleSnapshotPolicy() {
	policy := eventstore.EveryEvents(500).Or(eventstore.EveryBytes(1 << 20)).
		Or(eventstore.EveryDuration(time.Hour).And(eventstore.EveryEvents(50)))

	fmt.Println(policy(eventstore.Growth{Events: 500, Age: time.Minute}))
	fmt.Println(policy(eventstore.Growth{Events: 60, Age: 2 * time.Hour}))
	fmt.Println(policy(eventstore.Growth{Events: 10, Age: 24 * time.Hour}))
	// Output:
	// true
	// true
	// false
}
