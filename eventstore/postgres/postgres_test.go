package postgres_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/postgres"
	"github.com/crossplane-contrib/provider-eventstore/internal/postgrestest"
)

const deadline = 2 * time.Minute

var (
	order42 = eventstore.StreamID{Type: "order", ID: "42"}
	errBoom = errors.New("boom")
)

func database(t *testing.T, server *postgrestest.Server, sql ...string) *pgxpool.Pool {
	t.Helper()
	db := server.Database(t)
	for range 2 { // What is there stays.
		if err := postgres.Create(t.Context(), db); err != nil {
			t.Fatal(err)
		}
	}
	for _, q := range sql {
		if _, err := db.Exec(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	return db
}

func number(t *testing.T, db postgres.DB, sql string, args ...any) (n int) {
	t.Helper()
	if err := db.QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return n
}

// eventually polls until done says so.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(deadline); !done(); {
		if time.Now().After(end) {
			t.Fatalf("waited %s for %s", deadline, what)
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		}
	}
}

// cut ends connections of the database by chance, until stop is called.
func cut(t *testing.T, db *pgxpool.Pool) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		for ctx.Err() == nil {
			_, _ = db.Exec(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND random() < 0.3")
			select {
			case <-time.After(30 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	})
	return func() {
		cancel()
		wg.Wait()
		db.Reset() // A connection may have been told to end, and not have heard of it yet.
	}
}

// Replicas of a service begin together, on a database that is empty.
func TestCreateAtOnce(t *testing.T) {
	db := postgrestest.Start(t).Database(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := postgres.Create(t.Context(), db); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}
