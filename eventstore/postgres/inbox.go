package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

// An Inbox remembers which events were handled, in the transaction that handled them.
type Inbox struct {
	DB DB

	// Consumer names who handles: each event is handled once for each name.
	Consumer string
}

// Once calls f in a transaction, unless the event was handled before, and commits. If f fails, nothing is changed, and the
// event can be handled again. Of two calls with one event at the same time, the second waits for the first.
func (i Inbox) Once(ctx context.Context, e eventstore.Event, f func(context.Context, pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, i.DB, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, "INSERT INTO eventstore_inbox (consumer, stream, id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
			i.Consumer, e.Stream.String(), e.ID)
		if err != nil {
			return fmt.Errorf("cannot note event %s of %s in the inbox of %q: %w", e.ID, e.Stream, i.Consumer, err)
		}
		if tag.RowsAffected() == 0 {
			return nil
		}
		return f(ctx, tx)
	})
}

// Forget removes what was noted longer than age ago, and returns how much that was. An event that is delivered after it was
// forgotten is handled again, so age is longer than any delay of a delivery, a replay of the subscription included.
func (i Inbox) Forget(ctx context.Context, age time.Duration) (events int64, err error) {
	tag, err := i.DB.Exec(ctx, "DELETE FROM eventstore_inbox WHERE consumer = $1 AND handled < now() - $2::interval", i.Consumer, age)
	if err != nil {
		return 0, fmt.Errorf("cannot forget old events in the inbox of %q: %w", i.Consumer, err)
	}
	return tag.RowsAffected(), nil
}
