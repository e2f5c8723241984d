// Orders is an order service in miniature: it places, pays and ships an order in an event store, and checks what the
// store then says. It works on any backend: the connection Secret decides.
//
//	go run ./examples/orders --binding DIR [--subscription-binding DIR]
//
// DIR is a folder with the mounted connection Secret of an EventStore, and of one of its Subscriptions. Orders exits with
// 0 if everything was as expected, and with 1 otherwise.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	_ "github.com/crossplane-contrib/provider-eventstore/eventstore/kafka"
	_ "github.com/crossplane-contrib/provider-eventstore/eventstore/memory"
	_ "github.com/crossplane-contrib/provider-eventstore/eventstore/pulsar"
	_ "github.com/crossplane-contrib/provider-eventstore/eventstore/redis"
)

func main() {
	binding := flag.String("binding", "", "folder with the connection Secret of the EventStore")
	subscription := flag.String("subscription-binding", "", "folder with the connection Secret of a Subscription; without it nothing is subscribed")
	timeout := flag.Duration("timeout", time.Minute, "how long everything may take")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, *timeout)
	defer cancel()
	if err := run(ctx, os.Stdout, *binding, *subscription); err != nil {
		fmt.Fprintln(os.Stderr, "orders:", err)
		os.Exit(1) //nolint:gocritic // The process ends, and its deferred calls with it.
	}
}

func run(ctx context.Context, out io.Writer, binding, subscription string) error {
	if binding == "" {
		return errors.New("--binding is required: the folder with the connection Secret of an EventStore")
	}
	store, err := eventstore.Open(ctx, os.DirFS(binding))
	if err != nil {
		return err
	}
	defer store.Close()
	s := service{out: out, store: store, id: eventstore.StreamID{Type: "order", ID: fmt.Sprint(time.Now().UnixNano())}}
	if err := s.write(ctx); err != nil {
		return err
	}
	if err := s.read(ctx); err != nil {
		return err
	}
	if subscription != "" {
		if err := s.project(ctx, subscription); err != nil {
			return err
		}
	}
	s.say("everything matched")
	return nil
}

type service struct {
	out     io.Writer
	store   eventstore.Store
	id      eventstore.StreamID
	started time.Time // By the broker's clock.
}

// lifeOf is what happens to every order here.
var lifeOf = []string{"OrderPlaced", "OrderPaid", "OrderShipped"}

func (s *service) say(format string, args ...any) { fmt.Fprintf(s.out, format+"\n", args...) }

// write places, pays and ships an order. In between, somebody else decides on what they read too early.
func (s *service) write(ctx context.Context) error {
	order, err := orders.Execute(ctx, s.store, s.id.ID, place(4200))
	if err != nil {
		return err
	}
	s.say("placed    %s for %d cents: %s", s.id, order.Total, order.Status)
	if order, err = orders.Execute(ctx, s.store, s.id.ID, pay); err != nil {
		return err
	}
	s.say("paid      %s: %s", s.id, order.Status)

	_, err = s.store.Append(ctx, s.id, 1, eventstore.EventData{Type: "OrderCancelled"})
	conflict, ok := errors.AsType[*eventstore.ConcurrencyError](err)
	if !ok {
		return fmt.Errorf("an append to version 1 of an order at version 2: %w, want a conflict", err)
	}
	s.say("conflict  a cancellation expected version %d, the order was at %d: refused", conflict.Expected, conflict.Actual)

	if order, err = orders.Execute(ctx, s.store, s.id.ID, ship); err != nil {
		return err
	}
	s.say("shipped   %s: %s", s.id, order.Status)
	return nil
}

// read gets the order back in three ways: its events, its state from the snapshot on, and the whole store's events.
func (s *service) read(ctx context.Context) error {
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
	if want := (Order{Status: "shipped", Total: 4200}); order != want || version != 3 {
		return fmt.Errorf("loaded %+v at version %d, want %+v at 3", order, version, want)
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

// project counts orders by status: a view that a subscription keeps up to date. It stops once our order is in it.
func (s *service) project(ctx context.Context, binding string) error {
	subscription, err := eventstore.Open(ctx, os.DirFS(binding))
	if err != nil {
		return err
	}
	defer subscription.Close()
	view := map[string]int{}
	running, stop := context.WithCancel(ctx)
	defer stop()
	var types []string
	err = subscription.Subscribe(running, func(_ context.Context, e eventstore.Event) error {
		view[e.Type]++
		if e.Stream == s.id && !slices.Contains(types, e.Type) { // Delivery is at least once.
			types = append(types, e.Type)
		}
		if len(types) == len(lifeOf) {
			stop()
		}
		return nil
	}, eventstore.WithConcurrency(1)) // So that view and types need no lock.
	if err != nil {
		return err
	}
	if !slices.Equal(types, lifeOf) {
		return fmt.Errorf("the subscription delivered %v of the order, want %v: %w", types, lifeOf, context.Cause(ctx))
	}
	s.say("projected %d placed, %d paid, %d shipped", view["OrderPlaced"], view["OrderPaid"], view["OrderShipped"])
	return nil
}
