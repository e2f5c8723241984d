package postgres_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/postgres"
	"github.com/crossplane-contrib/provider-eventstore/internal/postgrestest"
)

func TestInbox(t *testing.T) {
	server := postgrestest.Start(t)
	e := eventstore.Event{Stream: order42, ID: "e1"}
	pay := func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "INSERT INTO payments VALUES ($1)", e.ID)
		return err
	}
	cases := map[string]struct {
		reason string
		calls  func(ctx context.Context, t *testing.T, i postgres.Inbox)
		want   int
	}{
		"Twice": {reason: "A second delivery changes nothing.", want: 1, calls: func(ctx context.Context, t *testing.T, i postgres.Inbox) {
			for range 2 {
				if err := i.Once(ctx, e, pay); err != nil {
					t.Errorf("Once: %v", err)
				}
			}
		}},
		"Fails": {reason: "What failed left nothing, and can be done again.", want: 1, calls: func(ctx context.Context, t *testing.T, i postgres.Inbox) {
			err := i.Once(ctx, e, func(ctx context.Context, tx pgx.Tx) error { return errors.Join(pay(ctx, tx), errBoom) })
			if !errors.Is(err, errBoom) {
				t.Errorf("Once: %v, want the handler's error", err)
			}
			if err := i.Once(ctx, e, pay); err != nil {
				t.Errorf("Once: %v", err)
			}
		}},
		"Panics": {reason: "A panic is no commit.", want: 1, calls: func(ctx context.Context, t *testing.T, i postgres.Inbox) {
			func() {
				defer func() { _ = recover() }()
				_ = i.Once(ctx, e, func(ctx context.Context, tx pgx.Tx) error { panic(errors.Join(pay(ctx, tx), errBoom)) })
			}()
			if err := i.Once(ctx, e, pay); err != nil {
				t.Errorf("Once: %v", err)
			}
		}},
		"SideBySide": {reason: "Of many at the same time, one does it.", want: 1, calls: func(ctx context.Context, t *testing.T, i postgres.Inbox) {
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					if err := i.Once(ctx, e, pay); err != nil {
						t.Errorf("Once: %v", err)
					}
				})
			}
			wg.Wait()
		}},
		"OtherConsumer": {reason: "Each consumer handles each event.", want: 2, calls: func(ctx context.Context, t *testing.T, i postgres.Inbox) {
			for _, name := range []string{"billing", "mail"} {
				i.Consumer = name
				if err := i.Once(ctx, e, pay); err != nil {
					t.Errorf("Once: %v", err)
				}
			}
		}},
		"OtherStream": {reason: "The same id in another stream is another event.", want: 2, calls: func(ctx context.Context, t *testing.T, i postgres.Inbox) {
			other := eventstore.Event{Stream: eventstore.StreamID{Type: "order", ID: "7"}, ID: "e1"}
			for _, e := range []eventstore.Event{e, other} {
				if err := i.Once(ctx, e, pay); err != nil {
					t.Errorf("Once: %v", err)
				}
			}
		}},
		"Forget": {reason: "What was forgotten is done again.", want: 2, calls: func(ctx context.Context, t *testing.T, i postgres.Inbox) {
			for _, age := range []time.Duration{time.Hour, 0} {
				if err := i.Once(ctx, e, pay); err != nil {
					t.Errorf("Once: %v", err)
				}
				if n, err := i.Forget(ctx, age); err != nil || n != map[bool]int64{true: 1}[age == 0] {
					t.Errorf("Forget(%s): %d, %v", age, n, err)
				}
			}
			if err := i.Once(ctx, e, pay); err != nil {
				t.Errorf("Once: %v", err)
			}
		}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			db := database(t, server, "CREATE TABLE payments (id text)")
			tc.calls(t.Context(), t, postgres.Inbox{DB: db, Consumer: "billing"})
			if got := number(t, db, "SELECT count(*) FROM payments"); got != tc.want {
				t.Errorf("%s\n%d payments, want %d", tc.reason, got, tc.want)
			}
		})
	}
}
