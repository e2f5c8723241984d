package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

// tour shows what a store does, with its Secret alone: no database, no warehouse, no HTTP. It places, pays and ships one order, and
// checks what the store then says. With the Secret of a subscription it waits until that has delivered the order's events.
func tour(ctx context.Context, out io.Writer, binding, subscription string) error {
	store, err := eventstore.Open(ctx, os.DirFS(binding))
	if err != nil {
		return err
	}
	defer store.Close()
	s := guide{out: out, store: store, id: eventstore.StreamID{Type: orders.Type, ID: fmt.Sprint(time.Now().UnixNano())}}
	if err := s.write(ctx); err != nil {
		return err
	}
	if err := s.read(ctx); err != nil {
		return err
	}
	if subscription != "" {
		if err := s.follow(ctx, subscription); err != nil {
			return err
		}
	}
	s.say("everything matched")
	return nil
}

type guide struct {
	out     io.Writer
	store   eventstore.Store
	id      eventstore.StreamID
	started time.Time // By the broker's clock.
}

// lifeOf is what happens to every order here.
var lifeOf = []string{"OrderPlaced", "OrderPaid", "OrderShipped"}

func (s *guide) say(format string, args ...any) { fmt.Fprintf(s.out, format+"\n", args...) }

// write places, pays and ships an order. In between, somebody else decides on what they read too early.
func (s *guide) write(ctx context.Context) error {
	order, err := execute(ctx, s.store, s.id.ID, "place", place(OrderPlaced{Product: "apple", Quantity: 6, Cents: 4200}))
	if err != nil {
		return err
	}
	s.say("placed    %s for %d cents: %s", s.id, order.Cents, order.Status)
	if order, err = execute(ctx, s.store, s.id.ID, "pay", pay); err != nil {
		return err
	}
	s.say("paid      %s: %s", s.id, order.Status)

	_, err = s.store.Append(ctx, s.id, 1, eventstore.EventData{Type: "OrderCancelled"})
	conflict, ok := errors.AsType[*eventstore.ConcurrencyError](err)
	if !ok {
		return fmt.Errorf("an append to version 1 of an order at version 2: %w, want a conflict", err)
	}
	s.say("conflict  a cancellation expected version %d, the order was at %d: refused", conflict.Expected, conflict.Actual)

	if order, err = execute(ctx, s.store, s.id.ID, "ship", ship(OrderShipped{Parcel: "P-1"})); err != nil {
		return err
	}
	s.say("shipped   %s: %s", s.id, order.Status)
	return nil
}

// read gets the order back in three ways: its events, its state from the snapshot on, and the whole store's events.
func (s *guide) read(ctx context.Context) error {
	var types []string
	for e, err := range s.store.Read(ctx, s.id, 0) {
		if err != nil {
			return err
		}
		if s.started.IsZero() {
			s.started = e.Recorded
		}
		s.say("read      version %d: %-12s %s", e.Version, e.Type, e.Data)
		types = append(types, e.Type)
	}
	if !slices.Equal(types, lifeOf) {
		return fmt.Errorf("read %v, want %v", types, lifeOf)
	}

	snapshot, err := s.store.LoadSnapshot(ctx, s.id)
	if err != nil {
		return err
	}
	order, version, err := orders.Load(ctx, s.store, s.id.ID)
	if err != nil {
		return err
	}
	if order.Status != "shipped" || order.Cents != 4200 || version != 3 {
		return fmt.Errorf("loaded %+v at version %d, want it shipped for 4200 cents at 3", order, version)
	}
	s.say("loaded    %+v at version %d, from a snapshot at version %d", order, version, snapshot.Version)

	replayed, all := 0, 0
	for e, err := range s.store.Replay(ctx, eventstore.Start{Time: s.started}) {
		if err != nil {
			return err
		}
		if all++; e.Stream == s.id {
			replayed++
		}
	}
	if replayed != len(lifeOf) {
		return fmt.Errorf("replayed %d events of the order, want %d", replayed, len(lifeOf))
	}
	s.say("replayed  %d events since the order was placed, %d of them its own", all, replayed)
	return nil
}

// follow has the subscription bring events, and counts them. It stops once it had all of our order.
func (s *guide) follow(ctx context.Context, binding string) error {
	subscription, err := eventstore.Open(ctx, os.DirFS(binding))
	if err != nil {
		return err
	}
	defer subscription.Close()
	counts := map[string]int{}
	running, stop := context.WithCancel(ctx)
	defer stop()
	var types []string
	err = subscription.Subscribe(running, func(_ context.Context, e eventstore.Event) error {
		counts[e.Type]++
		if e.Stream == s.id && !slices.Contains(types, e.Type) { // Delivery is at least once.
			types = append(types, e.Type)
		}
		if len(types) == len(lifeOf) {
			stop()
		}
		return nil
	}, eventstore.WithConcurrency(1)) // So that counts and types need no lock.
	if err != nil {
		return err
	}
	if !slices.Equal(types, lifeOf) {
		return fmt.Errorf("the subscription delivered %v of the order, want %v: %w", types, lifeOf, context.Cause(ctx))
	}
	s.say("followed  %d placed, %d paid, %d shipped", counts["OrderPlaced"], counts["OrderPaid"], counts["OrderShipped"])
	return nil
}
