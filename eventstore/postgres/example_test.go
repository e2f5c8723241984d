package postgres_test

import (
	"context"
	"log"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/postgres"
)

// A command changes the database and writes an event, both or neither. A relay, in this process or another, appends it.
func ExampleOutbox() {
	ctx := context.Background()
	db, err := pgxpool.New(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		log.Fatal(err)
	}
	store, err := eventstore.Open(ctx, os.DirFS("/bindings/orders"))
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	orders := postgres.Outbox{Name: "orders"}
	go func() { _ = postgres.Relay{DB: db, Outbox: orders, Store: store}.Run(ctx) }()

	err = pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "UPDATE orders SET status = 'paid' WHERE id = $1", 42); err != nil {
			return err
		}
		order := eventstore.StreamID{Type: "order", ID: "42"}
		return orders.Append(ctx, tx, order, eventstore.EventData{Type: "OrderPaid"})
	})
	if err != nil {
		log.Fatal(err)
	}
}

// What waits for the relay is worth an alarm when it gets old.
func ExampleOutbox_Waiting() {
	ctx := context.Background()
	db, err := pgxpool.New(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		log.Fatal(err)
	}
	appends, since, err := postgres.Outbox{Name: "orders"}.Waiting(ctx, db)
	if err == nil && appends > 0 {
		log.Printf("%d appends wait, the oldest for %s", appends, time.Since(since))
	}
}

// A payment is booked once, however often its event is delivered.
func ExampleInbox() {
	ctx := context.Background()
	db, err := pgxpool.New(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		log.Fatal(err)
	}
	if err := postgres.Create(ctx, db); err != nil { // Or postgres.Schema in your migrations.
		log.Fatal(err)
	}
	store, err := eventstore.Open(ctx, os.DirFS("/bindings/billing"))
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()

	inbox := postgres.Inbox{DB: db, Consumer: "billing"}
	err = store.Subscribe(ctx, func(ctx context.Context, e eventstore.Event) error {
		return inbox.Once(ctx, e, func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, "UPDATE accounts SET balance = balance + 1 WHERE id = $1", e.Stream.ID)
			return err
		})
	})
	if err != nil {
		log.Fatal(err)
	}
	_, _ = inbox.Forget(ctx, 90*24*time.Hour) // Now and then.
}

// A table that each event is applied to exactly once.
func ExampleView() {
	ctx := context.Background()
	var db postgres.DB
	db, err := pgxpool.New(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		log.Fatal(err)
	}
	store, err := eventstore.Open(ctx, os.DirFS("/bindings/orders"))
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()

	sales := postgres.View{
		DB: db, Name: "sales",
		Handle: func(ctx context.Context, tx pgx.Tx, events []eventstore.Event) error {
			_, err := tx.Exec(ctx, "UPDATE sales SET events = events + $1", len(events))
			return err
		},
		Empty: func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, "UPDATE sales SET events = 0")
			return err
		},
	}
	if err := (eventstore.Projection{View: sales}).Run(ctx, store); err != nil {
		log.Fatal(err)
	}
}
