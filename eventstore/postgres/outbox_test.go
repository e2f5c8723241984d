package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/memory"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/postgres"
	"github.com/crossplane-contrib/provider-eventstore/internal/postgrestest"
)

// unreliable loses replies, refuses by chance, and lets others write to the same streams.
type unreliable struct {
	eventstore.Store
	mu     sync.Mutex
	random *rand.Rand
	others int
}

func (u *unreliable) chance(n int) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.random.IntN(n) == 0
}

func (u *unreliable) Append(ctx context.Context, id eventstore.StreamID, expected eventstore.Version, events ...eventstore.EventData) (eventstore.Version, error) {
	if u.chance(8) {
		return 0, errors.New("connection refused")
	}
	if u.chance(8) {
		u.mu.Lock()
		u.others++
		u.mu.Unlock()
		_, _ = u.Store.Append(ctx, id, eventstore.Any, eventstore.EventData{Type: "Other"})
	}
	v, err := u.Store.Append(ctx, id, expected, events...)
	if u.chance(8) {
		return 0, fmt.Errorf("no reply: %w", eventstore.ErrUnknownOutcome)
	}
	return v, err
}

// Whatever dies, the store has in the end what the database committed, once, in the order of its transactions.
func TestOutbox(t *testing.T) {
	const writers, transactions, streams = 8, 40, 5
	server := postgrestest.Start(t)
	db := database(t, server, "CREATE TABLE changes (stream text, n int, id text, UNIQUE (stream, n))")
	out := postgres.Outbox{Name: "orders"}
	store := &unreliable{Store: memory.New(), random: rand.New(rand.NewPCG(1, 2))}
	quiet := slog.New(slog.DiscardHandler)

	ctx, cancel := context.WithCancel(t.Context())
	var relays, writing sync.WaitGroup
	for range 2 { // Two processes, which die and come back.
		relays.Go(func() {
			for ctx.Err() == nil {
				life, die := context.WithTimeout(ctx, 150*time.Millisecond)
				_ = postgres.Relay{DB: db, Outbox: out, Store: store, Every: time.Millisecond, Logger: quiet}.Run(life)
				die()
			}
		})
	}
	stop := cut(t, db)
	for w := range writers {
		random := rand.New(rand.NewPCG(3, uint64(w)))
		writing.Go(func() {
			for n := range transactions {
				id := eventstore.StreamID{Type: "order", ID: fmt.Sprint(random.IntN(streams))}
				if err := change(t.Context(), db, out, id, fmt.Sprintf("w%d-%d", w, n), random.IntN(5) == 0); isDuplicate(err) {
					t.Errorf("two transactions wrote to %s at the same time: %v", id, err)
				}
			}
		})
	}
	writing.Wait()
	stop()
	eventually(t, "the relay", func() bool {
		n, _, err := out.Waiting(t.Context(), db)
		if err != nil {
			t.Fatal(err)
		}
		return n == 0
	})
	cancel()
	relays.Wait()

	for s := range streams {
		id := eventstore.StreamID{Type: "order", ID: fmt.Sprint(s)}
		rows, _ := db.Query(t.Context(), "SELECT id FROM changes WHERE stream = $1 ORDER BY n", id.String())
		want, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		got := []string{}
		for e, err := range store.Read(t.Context(), id, 0) {
			if err != nil {
				t.Fatal(err)
			}
			if e.Type == "Changed" {
				got = append(got, e.ID)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: events -want, +got:\n%s", id, diff)
		}
	}
	t.Logf("%d changes; others wrote %d events", number(t, db, "SELECT count(*) FROM changes"), store.others)
}

// change writes an event and a row that says which place it has among those of its stream, or rolls both back.
func change(ctx context.Context, db *pgxpool.Pool, out postgres.Outbox, stream eventstore.StreamID, id string, roll bool) error {
	return pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		data := strings.Repeat("\x00ä", 3)
		if err := out.Append(ctx, tx, stream, eventstore.EventData{ID: id, Type: "Changed", Data: []byte(data), ContentType: "text/plain"}); err != nil {
			return err
		}
		// Unique, because whoever writes to the stream waits for this transaction.
		_, err := tx.Exec(ctx, "INSERT INTO changes SELECT $1, count(*), $2 FROM changes WHERE stream = $1", stream.String(), id)
		if err == nil && roll {
			err = errBoom
		}
		return err
	})
}

// isDuplicate tells the only error that is nobody's wish: others are those of connections that were cut.
func isDuplicate(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && e.Code == "23505"
}

// A stream that cannot go on does not keep the others waiting, and is reported.
func TestRelayBlockedStream(t *testing.T) {
	server := postgrestest.Start(t)
	db := database(t, server)
	out := postgres.Outbox{Name: "orders"}
	store := memory.New(memory.WithMaxEventBytes(1000))
	var log syncBuffer
	write := func(id, event string, size int) {
		t.Helper()
		err := pgx.BeginFunc(t.Context(), db, func(tx pgx.Tx) error {
			return out.Append(t.Context(), tx, eventstore.StreamID{Type: "order", ID: id}, eventstore.EventData{ID: event, Type: "T", Data: make([]byte, size)})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	write("1", "small", 1)
	write("1", "large", 2000)
	write("1", "after", 1)
	write("2", "other", 1)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		err := postgres.Relay{DB: db, Outbox: out, Store: store, Every: time.Millisecond, Logger: slog.New(slog.NewTextHandler(&log, nil))}.Run(ctx)
		if err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	eventually(t, "the other stream", func() bool {
		n, since, err := out.Waiting(t.Context(), db)
		return err == nil && n == 2 && !since.IsZero() && strings.Contains(log.String(), "too large")
	})
	cancel()
	wg.Wait()
	var got []string
	for e := range store.Replay(t.Context(), eventstore.Start{}) {
		got = append(got, e.ID)
	}
	if len(got) != 2 {
		t.Errorf("the store has %v, want small and other", got)
	}
	if n := strings.Count(log.String(), "too large"); n != 1 {
		t.Errorf("the same failure was logged %d times", n)
	}
}

// What is logged of a store that does not answer is why, and not what follows from it.
func TestRelayNamesTheCause(t *testing.T) {
	db := database(t, postgrestest.Start(t))
	out := postgres.Outbox{Name: "orders"}
	if err := pgx.BeginFunc(t.Context(), db, func(tx pgx.Tx) error {
		return out.Append(t.Context(), tx, order42, eventstore.EventData{Type: "T"})
	}); err != nil {
		t.Fatal(err)
	}
	store := memory.New()
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var log syncBuffer
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = postgres.Relay{DB: db, Outbox: out, Store: store, Every: time.Millisecond, Logger: slog.New(slog.NewTextHandler(&log, nil))}.Run(ctx)
	})
	eventually(t, "the relay to complain", func() bool { return strings.Contains(log.String(), "cannot relay") })
	cancel()
	wg.Wait()
	if got := log.String(); !strings.Contains(got, "closed") || strings.Contains(got, "version is not known") {
		t.Errorf("the relay logs %s, want that the store is closed", got)
	}
}

type syncBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// A store that forgets has no versions: events come at least once.
func TestRelayToStreamingStore(t *testing.T) {
	server := postgrestest.Start(t)
	db := database(t, server)
	out := postgres.Outbox{Name: "clicks"}
	store := memory.New(memory.WithStreaming())
	if err := pgx.BeginFunc(t.Context(), db, func(tx pgx.Tx) error {
		return out.Append(t.Context(), tx, order42, eventstore.EventData{ID: "a", Type: "T"}, eventstore.EventData{ID: "b", Type: "T"})
	}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() { _ = postgres.Relay{DB: db, Outbox: out, Store: store, Every: time.Millisecond}.Run(ctx) })
	eventually(t, "the relay", func() bool {
		n, _, err := out.Waiting(t.Context(), db)
		return err == nil && n == 0
	})
	cancel()
	wg.Wait()
	var got []string
	for e := range store.Replay(t.Context(), eventstore.Start{}) {
		got = append(got, e.ID)
	}
	if diff := cmp.Diff([]string{"a", "b"}, got); diff != "" {
		t.Errorf("-want, +got:\n%s", diff)
	}
}
