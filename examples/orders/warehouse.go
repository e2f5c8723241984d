package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/postgres"
)

// ShipmentRequested is what happens in the warehouse's store, in a stream for each order.
type ShipmentRequested struct {
	Product  string
	Quantity int
}

var shipmentEvents = eventstore.NewTypes(eventstore.TypeOf[ShipmentRequested]("ShipmentRequested"))

// pick handles the events of the warehouse's subscription: it takes the pieces from the stock. An event can come again, and taking
// twice would be wrong; so the inbox notes the event in the same transaction.
func pick(db postgres.DB) eventstore.Handler {
	inbox := postgres.Inbox{DB: db, Consumer: "warehouse"}
	return func(ctx context.Context, e eventstore.Event) error {
		v, err := shipmentEvents.Decode(e)
		if err != nil {
			return eventstore.Permanent(err) // No repetition will mend it.
		}
		request, _ := v.(ShipmentRequested)
		return inbox.Once(ctx, e, func(ctx context.Context, tx pgx.Tx) error { return take(ctx, tx, e.Stream.ID, request) })
	}
}

func take(ctx context.Context, tx pgx.Tx, order string, r ShipmentRequested) error {
	tag, err := tx.Exec(ctx, "UPDATE stock SET pieces = pieces - $2 WHERE product = $1", r.Product, r.Quantity)
	if err != nil {
		return err
	}
	if tag.RowsAffected() == 0 {
		return eventstore.Permanent(fmt.Errorf("the warehouse has no product %q", r.Product))
	}
	_, err = tx.Exec(ctx, `INSERT INTO picks VALUES ($1, $2) ON CONFLICT (order_id) DO UPDATE SET pieces = picks.pieces + excluded.pieces`,
		order, r.Quantity) // Twice would be seen.
	return err
}

// deadLetters prints what the warehouse gave up on.
func deadLetters(ctx context.Context, out io.Writer, subscription eventstore.Store) error {
	r, ok := eventstore.As[eventstore.DeadLetterReader](subscription)
	if !ok {
		return errors.New("this driver cannot read dead letters")
	}
	for d, err := range r.DeadLetters(ctx) {
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s  %s@%d  %s  %s  deliveries: %d, reason: %s\n",
			d.Time.Format(time.RFC3339), d.Event.Stream, d.Event.Version, d.Event.Type, d.Event.Data, d.Attempts, d.Reason)
	}
	return nil
}

// redrive picks once more what the warehouse gave up on, for example when it has the product after all.
func redrive(ctx context.Context, out io.Writer, subscription eventstore.Store, database string) error {
	r, ok := eventstore.As[eventstore.Redriver](subscription)
	if !ok {
		return errors.New("this driver cannot redrive dead letters")
	}
	db, err := pgxpool.New(ctx, database)
	if err != nil {
		return err
	}
	defer db.Close()
	picked, err := r.Redrive(ctx, pick(db))
	fmt.Fprintf(out, "picked after all: %d\n", picked)
	return err
}
