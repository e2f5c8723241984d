package main

import (
	"fmt"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

// Order is what the events of one order add up to.
type Order struct {
	Status string
	Total  int // cents
}

// What can happen to an order. These are the payloads of its events, stored as JSON.
type (
	OrderPlaced  struct{ Total int }
	OrderPaid    struct{ Amount int }
	OrderShipped struct{ Parcel string }
)

// orders rebuilds an Order from its events, and keeps a snapshot after every second one.
var orders = eventstore.Aggregate[Order]{Type: "order", Evolve: evolve, Snapshot: eventstore.EveryEvents(2)}

func evolve(o Order, e eventstore.Event) (Order, error) {
	switch e.Type {
	case "OrderPlaced":
		var placed OrderPlaced
		if err := e.Decode(&placed); err != nil {
			return o, err
		}
		return Order{Status: "placed", Total: placed.Total}, nil
	case "OrderPaid":
		o.Status = "paid"
	case "OrderShipped":
		o.Status = "shipped"
	}
	return o, nil
}

// The commands: each looks at the order as it is, and refuses or says what happens.

func place(total int) func(Order) ([]eventstore.EventData, error) {
	return func(o Order) ([]eventstore.EventData, error) {
		if o.Status != "" {
			return nil, fmt.Errorf("the order is already %s", o.Status)
		}
		return []eventstore.EventData{{Type: "OrderPlaced", Data: OrderPlaced{Total: total}}}, nil
	}
}

func pay(o Order) ([]eventstore.EventData, error) {
	if o.Status != "placed" {
		return nil, fmt.Errorf("an order that is %q cannot be paid", o.Status)
	}
	return []eventstore.EventData{{Type: "OrderPaid", Data: OrderPaid{Amount: o.Total}}}, nil
}

func ship(o Order) ([]eventstore.EventData, error) {
	if o.Status != "paid" {
		return nil, fmt.Errorf("an order that is %q cannot be shipped", o.Status)
	}
	return []eventstore.EventData{{Type: "OrderShipped", Data: OrderShipped{Parcel: "P-1"}}}, nil
}
