package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

// Order is what the events of one order add up to.
type Order struct {
	Status   string // placed, paid, shipped or cancelled; empty: there is no such order
	Product  string
	Quantity int
	Cents    int // Of all pieces together.
	Parcel   string
	Version  eventstore.Version
	Done     []string // The ids of its events: the commands that were carried out.
}

// What can happen to an order.
type (
	OrderPlaced struct {
		Product         string
		Quantity, Cents int
	}
	OrderPaid struct { // It says what was paid for, so that whoever ships it need not ask.
		Product         string
		Quantity, Cents int
	}
	OrderShipped   struct{ Parcel string }
	OrderCancelled struct{ Reason string }
)

var orderEvents = eventstore.NewTypes(
	eventstore.TypeOf[OrderPlaced]("OrderPlaced"),
	eventstore.TypeOf[OrderPaid]("OrderPaid"),
	eventstore.TypeOf[OrderShipped]("OrderShipped"),
	eventstore.TypeOf[OrderCancelled]("OrderCancelled"),
)

// orders rebuilds an Order from its events. An order has few of them; one with hundreds would have a snapshot every hundred.
var orders = eventstore.Aggregate[Order]{Type: "order", Evolve: evolve, Snapshot: eventstore.EveryEvents(2), Schema: "1"}

// evolve says what an event makes of an order. It decides nothing: what happened, happened.
func evolve(o Order, e eventstore.Event) (Order, error) {
	v, err := orderEvents.Decode(e)
	switch v := v.(type) {
	case OrderPlaced:
		o.Status, o.Product, o.Quantity, o.Cents = "placed", v.Product, v.Quantity, v.Cents
	case OrderPaid:
		o.Status = "paid"
	case OrderShipped:
		o.Status, o.Parcel = "shipped", v.Parcel
	case OrderCancelled:
		o.Status = "cancelled"
	}
	o.Version, o.Done = e.Version, append(slices.Clip(o.Done), e.ID)
	return o, err
}

// A Command looks at an order as it is, and says what happens, or refuses.
type Command func(Order) (event any, err error)

// A refusal says why the order, as it is, does not take a command. Repeating the command is useless.
type refusal string

func (r refusal) Error() string { return string(r) }

func (o Order) refuse(what string) error {
	if o.Status == "" {
		return fmt.Errorf("%w: there is no such order, place it first", errAbsent)
	}
	return refusal("an order that is " + o.Status + " cannot be " + what)
}

func place(p OrderPlaced) Command {
	return func(o Order) (any, error) {
		if o.Status != "" {
			return nil, o.refuse("placed")
		}
		return p, nil
	}
}

func pay(o Order) (any, error) {
	if o.Status != "placed" {
		return nil, o.refuse("paid")
	}
	return OrderPaid{Product: o.Product, Quantity: o.Quantity, Cents: o.Cents}, nil
}

func ship(s OrderShipped) Command {
	return func(o Order) (any, error) {
		if o.Status != "paid" {
			return nil, o.refuse("shipped")
		}
		return s, nil
	}
}

func cancel(c OrderCancelled) Command {
	return func(o Order) (any, error) {
		if o.Status != "placed" {
			return nil, o.refuse("cancelled")
		}
		return c, nil
	}
}

// execute carries a command out, once for each key: the key becomes the id of the event, by which the order knows it again.
func execute(ctx context.Context, store eventstore.Store, id, key string, c Command) (Order, error) {
	return orders.Execute(ctx, store, id, func(o Order) ([]eventstore.EventData, error) {
		if slices.Contains(o.Done, key) {
			return nil, nil
		}
		event, err := c(o)
		if err != nil {
			return nil, err
		}
		events, err := orderEvents.Encode(event)
		if err != nil {
			return nil, err
		}
		events[0].ID = key
		return events, nil
	})
}
