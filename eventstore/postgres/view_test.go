package postgres_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/memory"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/postgres"
	"github.com/crossplane-contrib/provider-eventstore/internal/postgrestest"
)

// Each event is in the view exactly once, though connections are cut, handlers fail, and two processes run the projection.
func TestView(t *testing.T) {
	const events = 300
	server := postgrestest.Start(t)
	db := database(t, server, "CREATE TABLE seen (id text)")
	store := memory.New()
	for n := range events {
		if _, err := store.Append(t.Context(), eventstore.StreamID{Type: "order", ID: fmt.Sprint(n % 9)}, eventstore.Any, eventstore.EventData{ID: fmt.Sprint(n), Type: "T"}); err != nil {
			t.Fatal(err)
		}
	}
	var calls atomic.Int64
	view := postgres.View{
		DB: db, Name: "seen",
		Handle: func(ctx context.Context, tx pgx.Tx, events []eventstore.Event) error {
			for _, e := range events {
				if _, err := tx.Exec(ctx, "INSERT INTO seen VALUES ($1)", e.ID); err != nil {
					return err
				}
			}
			if calls.Add(1)%7 == 0 {
				return errBoom
			}
			return nil
		},
		Empty: func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, "DELETE FROM seen")
			return err
		},
	}
	p := eventstore.Projection{View: view, BatchSize: 7}
	stop := cut(t, db)
	catchUp := func(first func(context.Context, eventstore.Reader) error) {
		err := first(t.Context(), store)
		for tries := 0; err != nil && tries < 100_000 && t.Context().Err() == nil; tries++ {
			err = p.CatchUp(t.Context(), store)
		}
		if err != nil {
			t.Errorf("CatchUp: %v", err)
		}
	}
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() { catchUp(p.CatchUp) })
	}
	wg.Wait()
	stop()
	check := func() {
		t.Helper()
		all, different := number(t, db, "SELECT count(*) FROM seen"), number(t, db, "SELECT count(DISTINCT id) FROM seen")
		if all != events || different != events {
			t.Errorf("the view has %d events, %d of them different; want %d", all, different, events)
		}
	}
	check()
	catchUp(p.Rebuild)
	check()
	if err := (postgres.View{DB: db, Name: "seen"}).Reset(t.Context()); err == nil || !strings.Contains(err.Error(), "does not say how to empty it") {
		t.Errorf("Reset without Empty: %v", err)
	}
	check()
}
