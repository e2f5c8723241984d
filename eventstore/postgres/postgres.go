// Package postgres joins an event store with a PostgreSQL database, by transactions of the database. It is no driver: events
// are on the broker.
//
//   - [Inbox] lets a handler change the database once for each event, however often the event is delivered.
//   - [Outbox] writes events in the transaction that changes the database; a [Relay] appends them to a store.
//   - [View] is a projection's view in tables, to which each event is applied exactly once.
//
// Their tables are in [Schema]: put it into your migrations, or call [Create].
package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// DB is a pool or a connection of pgx.
type DB interface {
	Begin(ctx context.Context) (pgx.Tx, error)
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// Schema makes the tables. It changes nothing where they are.
const Schema = `
CREATE TABLE IF NOT EXISTS eventstore_inbox (
	consumer text NOT NULL,
	stream   text NOT NULL,
	id       text NOT NULL,
	handled  timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (consumer, stream, id)
);
CREATE INDEX IF NOT EXISTS eventstore_inbox_handled ON eventstore_inbox (consumer, handled);

CREATE TABLE IF NOT EXISTS eventstore_outbox (
	seq     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	outbox  text NOT NULL,
	stream  text NOT NULL,
	events  bytea NOT NULL,
	base    bigint,
	written timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS eventstore_outbox_seq ON eventstore_outbox (outbox, seq);

CREATE TABLE IF NOT EXISTS eventstore_views (
	view text PRIMARY KEY,
	at   text NOT NULL
);
`

// Create makes the tables of [Schema]. Processes that begin together may call it together.
func Create(ctx context.Context, db DB) error {
	// IF NOT EXISTS alone is not safe against itself: of two transactions that make a table at once, one fails.
	const lock = "SELECT pg_advisory_xact_lock(hashtextextended('eventstore/schema', 0));"
	if _, err := db.Exec(ctx, lock+Schema); err != nil {
		return fmt.Errorf("cannot create the tables of package postgres: %w", err)
	}
	return nil
}
