package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

// replayOrder prints the events of one order, and what each made of it: what was known, and when.
func replayOrder(ctx context.Context, out io.Writer, store eventstore.Reader, id string) error {
	var o Order
	for e, err := range store.Read(ctx, eventstore.StreamID{Type: orders.Type, ID: id}, 0) {
		if err != nil {
			return err
		}
		printEvent(out, e)
		if o, err = evolve(o, e); err != nil {
			return err
		}
		state, err := json.Marshal(o)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "    %s\n", state)
	}
	if o.Version == 0 {
		return fmt.Errorf("there is no order %q", id)
	}
	return nil
}

// replayAll prints all events since a time. It moves nobody's position.
func replayAll(ctx context.Context, out io.Writer, store eventstore.Reader, since time.Time) error {
	for e, err := range store.Replay(ctx, eventstore.Start{Time: since}) {
		if err != nil {
			return err
		}
		printEvent(out, e)
	}
	return nil
}

func printEvent(out io.Writer, e eventstore.Event) {
	fmt.Fprintf(out, "%s  %s  %s@%d  %s  %s  id %s\n", e.Recorded.Format(time.RFC3339Nano), e.Position, e.Stream, e.Version, e.Type, e.Data, e.ID)
}

// rebuild empties the read model, and makes it anew from the events. The service may run meanwhile: it goes on from where the
// rebuilt one is.
func rebuild(ctx context.Context, out io.Writer, store eventstore.Reader, database string) error {
	db, err := connect(ctx, database)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := (eventstore.Projection{View: readModel(db)}).Rebuild(ctx, store); err != nil {
		return err
	}
	var n int
	if err := db.QueryRow(ctx, "SELECT count(*) FROM orders").Scan(&n); err != nil {
		return err
	}
	fmt.Fprintf(out, "the read model has %d orders\n", n)
	return nil
}
