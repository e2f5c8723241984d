package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

// settle waits until the read model, billing and the warehouse have all that was sold.
func (c *checker) settle(ctx context.Context) error {
	for n := range c.orders {
		want := c.placed[c.id(n)]
		want.Invoice, want.Picked = "due", want.Quantity
		switch n {
		case cancelled:
			want.Invoice, want.Picked = "void", 0
		case poison:
			want.Picked = 0
		}
		err := c.until(ctx, fmt.Sprintf("the read model has %+v", want), func() error {
			got, err := c.api.order(ctx, c.id(n))
			if err == nil && got != want {
				err = fmt.Errorf("%+v", got)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	c.say("settled   the read model has all %d orders, billing has invoiced them, and the warehouse has picked each once", c.orders)
	return nil
}

// mine yields the events of this run's orders.
func (c *checker) mine(ctx context.Context, store eventstore.Reader, handle func(id string, e eventstore.Event) error) error {
	for e, err := range store.Replay(ctx, eventstore.Start{}) {
		if err != nil {
			return err
		}
		if !strings.HasPrefix(e.Stream.ID, c.run+"-") {
			continue
		}
		if err := handle(e.Stream.ID, e); err != nil {
			return err
		}
	}
	return nil
}

// replayed makes the orders from their events, and compares them with what the API says.
func (c *checker) replayed(ctx context.Context) error {
	replayed, events := map[string]Order{}, 0
	err := c.mine(ctx, c.store, func(id string, e eventstore.Event) (err error) {
		if e.Stream.Type == orders.Type {
			events++
			replayed[id], err = evolve(replayed[id], e)
		}
		return err
	})
	if err != nil {
		return err
	}
	for id, want := range c.placed {
		if got := answerOf(id, replayed[id]); got != want || int64(len(replayed[id].Done)) != want.Version {
			return fmt.Errorf("the events of order %s make %+v of it, in %d events; the API says %+v", id, got, len(replayed[id].Done), want)
		}
	}
	if len(replayed) != c.orders {
		return fmt.Errorf("the store has events of %d orders, want %d", len(replayed), c.orders)
	}
	c.say("replayed  %d events, which make the same %d orders", events, len(replayed))
	return nil
}

// shipments counts what the warehouse was asked for.
func (c *checker) shipments(ctx context.Context) error {
	requests := map[string]int{}
	err := c.mine(ctx, c.warehouse, func(id string, e eventstore.Event) error {
		if e.Type == "ShipmentRequested" {
			requests[id]++
		}
		return nil
	})
	if err != nil {
		return err
	}
	for n := range c.orders {
		want := 1
		if n == cancelled {
			want = 0
		}
		if got := requests[c.id(n)]; got != want {
			return fmt.Errorf("the warehouse's store has %d requests to ship order %s, want %d", got, c.id(n), want)
		}
	}
	c.say("shipped   the warehouse's store has one request for each of %d orders that were paid", len(requests))
	return nil
}

// givenUp waits for the one event that the warehouse cannot handle. A crash can write a dead letter again, so the same event counts
// once.
func (c *checker) givenUp(ctx context.Context) error {
	reader, ok := eventstore.As[eventstore.DeadLetterReader](c.picking)
	if !ok {
		return errors.New("this driver cannot read dead letters")
	}
	var reason string
	err := c.until(ctx, "the warehouse has given up on "+unknownProduct, func() error {
		given := map[string]string{}
		for d, err := range reader.DeadLetters(ctx) {
			if err != nil {
				return err
			}
			if strings.HasPrefix(d.Event.Stream.ID, c.run+"-") {
				given[d.Event.Stream.ID+" "+d.Event.ID] = d.Reason
				reason = d.Reason
			}
		}
		if len(given) != 1 || !strings.Contains(reason, unknownProduct) {
			return fmt.Errorf("dead letters %v, want one that names %s", given, unknownProduct)
		}
		return nil
	})
	if err == nil {
		c.say("given up  the warehouse has one dead letter: %s", reason)
	}
	return err
}
