package main

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/postgres"
)

// readModel is the table that questions are answered from. It has nothing that is not in the events, so it can be emptied and
// built again at any time.
func readModel(db postgres.DB) postgres.View {
	return postgres.View{
		DB: db, Name: "orders",
		Handle: func(ctx context.Context, tx pgx.Tx, events []eventstore.Event) error {
			var b pgx.Batch
			for _, e := range events {
				if err := project(&b, e); err != nil {
					return err
				}
			}
			return tx.SendBatch(ctx, &b).Close()
		},
		Empty: func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, "DELETE FROM orders")
			return err
		},
	}
}

// project says what an event changes in the table. Each event comes once, so nothing here is prepared for a second time.
func project(b *pgx.Batch, e eventstore.Event) error {
	v, err := orderEvents.Decode(e)
	if errors.Is(err, eventstore.ErrUnknownType) {
		return nil // Of a newer program, or of another stream.
	}
	switch v := v.(type) {
	case OrderPlaced:
		b.Queue("INSERT INTO orders (id, version, status, product, quantity, cents) VALUES ($1, $2, 'placed', $3, $4, $5)",
			e.Stream.ID, e.Version, v.Product, v.Quantity, v.Cents)
	case OrderPaid:
		b.Queue("UPDATE orders SET version = $2, status = 'paid' WHERE id = $1", e.Stream.ID, e.Version)
	case OrderShipped:
		b.Queue("UPDATE orders SET version = $2, status = 'shipped', parcel = $3 WHERE id = $1", e.Stream.ID, e.Version, v.Parcel)
	case OrderCancelled:
		b.Queue("UPDATE orders SET version = $2, status = 'cancelled' WHERE id = $1", e.Stream.ID, e.Version)
	}
	return err
}

// toWarehouse holds requests until the relay has appended them to the warehouse's store.
var toWarehouse = postgres.Outbox{Name: "warehouse"}

// shipping requests a shipment for each order that is paid. Checkpoint and request are written in one transaction, so there is one
// request, whatever crashes. It is a view of its own, and cannot be emptied: to build it again would be to ship again.
func shipping(db postgres.DB) postgres.View {
	return postgres.View{
		DB: db, Name: "shipping",
		Handle: func(ctx context.Context, tx pgx.Tx, events []eventstore.Event) error {
			for _, e := range events {
				if err := request(ctx, tx, e); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func request(ctx context.Context, tx pgx.Tx, e eventstore.Event) error {
	v, err := orderEvents.Decode(e)
	if errors.Is(err, eventstore.ErrUnknownType) {
		return nil
	}
	paid, ok := v.(OrderPaid)
	if err != nil || !ok {
		return err
	}
	events, err := shipmentEvents.Encode(ShipmentRequested{Product: paid.Product, Quantity: paid.Quantity})
	if err != nil {
		return err
	}
	events[0].CorrelationID, events[0].CausationID = e.CorrelationID, e.ID
	return toWarehouse.Append(ctx, tx, eventstore.StreamID{Type: "shipment", ID: e.Stream.ID}, events...)
}
