package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

// A View is an [eventstore.View] in tables. Events and checkpoint are written in one transaction, so each event is applied
// exactly once, whatever crashes, and however many processes run the projection.
type View struct {
	DB DB

	// Name is that of its checkpoint.
	Name string

	// Handle applies events, in order.
	Handle func(ctx context.Context, tx pgx.Tx, events []eventstore.Event) error

	// Empty empties the view, before it is rebuilt. A view whose Handle writes into an outbox has none: it would write all of it again.
	Empty func(ctx context.Context, tx pgx.Tx) error
}

var _ eventstore.View = View{}

// Checkpoint implements [eventstore.View].
func (v View) Checkpoint(ctx context.Context) (eventstore.Checkpoint, error) {
	var at string
	err := v.DB.QueryRow(ctx, "SELECT at FROM eventstore_views WHERE view = $1", v.Name).Scan(&at)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the checkpoint of view %q: %w", v.Name, err)
	}
	return eventstore.ParseCheckpoint(at)
}

// Apply implements [eventstore.View].
func (v View) Apply(ctx context.Context, b eventstore.Batch) error {
	return pgx.BeginFunc(ctx, v.DB, func(tx pgx.Tx) error {
		if err := v.move(ctx, tx, b); err != nil {
			return fmt.Errorf("cannot move the checkpoint of view %q: %w", v.Name, err)
		}
		return v.Handle(ctx, tx, b.Events)
	})
}

// move locks the checkpoint's row, so that of two processes the second waits, and then finds that it was moved.
func (v View) move(ctx context.Context, tx pgx.Tx, b eventstore.Batch) error {
	sql, args := "UPDATE eventstore_views SET at = $2 WHERE view = $1 AND at = $3", []any{v.Name, b.To.String(), b.From.String()}
	if len(b.From) == 0 {
		sql, args = "INSERT INTO eventstore_views (view, at) VALUES ($1, $2) ON CONFLICT DO NOTHING", args[:2]
	}
	tag, err := tx.Exec(ctx, sql, args...)
	if err == nil && tag.RowsAffected() == 0 {
		err = fmt.Errorf("another process did: %w", eventstore.ErrConcurrency)
	}
	return err
}

// Reset implements [eventstore.View].
func (v View) Reset(ctx context.Context) error {
	return pgx.BeginFunc(ctx, v.DB, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "DELETE FROM eventstore_views WHERE view = $1", v.Name); err != nil {
			return fmt.Errorf("cannot forget the checkpoint of view %q: %w", v.Name, err)
		}
		if v.Empty == nil {
			return fmt.Errorf("cannot rebuild view %q: it does not say how to empty it", v.Name)
		}
		return v.Empty(ctx, tx)
	})
}
