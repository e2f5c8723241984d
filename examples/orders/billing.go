package main

import (
	"context"
	"errors"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/postgres"
)

// bill handles the events of the orders' subscription: an invoice for each order, which is void if the order is cancelled. An event
// can come again, and a second time changes nothing here: such a handler needs no inbox. Events of one order come in
// order, so the invoice that is cancelled is there.
func bill(db postgres.DB) eventstore.Handler {
	return func(ctx context.Context, e eventstore.Event) error {
		v, err := orderEvents.Decode(e)
		if errors.Is(err, eventstore.ErrUnknownType) {
			return nil
		}
		switch v := v.(type) {
		case OrderPlaced:
			_, err = db.Exec(ctx, "INSERT INTO invoices (order_id, cents) VALUES ($1, $2) ON CONFLICT DO NOTHING", e.Stream.ID, v.Cents)
		case OrderCancelled:
			_, err = db.Exec(ctx, "UPDATE invoices SET void = true WHERE order_id = $1", e.Stream.ID)
		}
		return err
	}
}
