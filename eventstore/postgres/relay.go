package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

const (
	relayScan  = 4096 // Appends, oldest first, among which a pass looks for those it can send.
	relayBatch = 256  // Appends of a pass.
	relayDepth = 16   // Appends of one stream in a pass.
	relayWidth = 32   // Streams that are sent side by side.
)

// A Relay appends to a store what is in an outbox. Any number of processes may run one: one of them works, and the others wait
// to take over.
//
// Events of one stream keep their order, and of each there is one in the store, whatever crashes: before it appends, the relay
// notes at which version; so an append that is repeated is found to be there. In a streaming store, which has no
// versions, a crash can repeat events; their ids stay the same.
type Relay struct {
	DB     *pgxpool.Pool
	Outbox Outbox
	Store  eventstore.Appender

	// Every is the pause when nothing is left to send. Default: 200ms.
	Every time.Duration

	// Logger hears of failures. Default: [slog.Default].
	Logger *slog.Logger
}

// Run appends what is there, and what comes, until ctx ends; then it returns nil. Failures are logged, and it tries again: those
// of a stream stop that stream alone.
func (r Relay) Run(ctx context.Context) error {
	for failures := 0; ctx.Err() == nil; {
		worked, err := r.lead(ctx)
		if worked {
			failures = 0
		}
		d := r.every()
		if err != nil && ctx.Err() == nil {
			failures++
			d = eventstore.DefaultDelivery().Backoff(failures)
			r.logger().WarnContext(ctx, "relay failed", "outbox", r.Outbox.Name, "pause", d, "error", err)
		}
		sleep(ctx, d)
	}
	return nil
}

func (r Relay) every() time.Duration { return cmp.Or(r.Every, 200*time.Millisecond) }
func (r Relay) logger() *slog.Logger { return cmp.Or(r.Logger, slog.Default()) }

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// lead works while this process has the relay's lock, which is that of its connection: whatever writes to the table does it on
// that connection, so a process that lost the lock writes nothing more.
func (r Relay) lead(ctx context.Context) (worked bool, err error) {
	pooled, err := r.DB.Acquire(ctx)
	if err != nil {
		return false, err
	}
	var mine bool
	err = pooled.QueryRow(ctx, "SELECT pg_try_advisory_lock(hashtextextended($1, 0))", "eventstore/relay/"+r.Outbox.Name).Scan(&mine)
	if err != nil || !mine {
		pooled.Release()
		return false, err
	}
	conn := pooled.Hijack() // The lock ends with it.
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	told := map[string]string{} // What was last logged of a stream.
	for ctx.Err() == nil {
		sent, failed, err := r.pass(ctx, conn)
		if err != nil {
			return true, err
		}
		for stream, err := range failed {
			if told[stream] != err.Error() && ctx.Err() == nil {
				r.logger().WarnContext(ctx, "cannot relay a stream, and try again", "outbox", r.Outbox.Name, "stream", stream, "error", err)
			}
		}
		clear(told)
		for stream, err := range failed {
			told[stream] = err.Error()
		}
		if sent == 0 {
			sleep(ctx, r.every())
		}
	}
	return true, nil
}

// pass sends what waits, and returns how many appends it sent.
func (r Relay) pass(ctx context.Context, conn *pgx.Conn) (sent int, failed map[string]error, err error) {
	queues, err := r.waiting(ctx, conn)
	if err != nil || len(queues) == 0 {
		return 0, nil, err
	}
	failed = each(queues, func(q *queue) error { return q.place(ctx, r.Store) })
	if err := note(ctx, conn, queues); err != nil {
		return 0, failed, err
	}
	for stream, err := range each(queues, func(q *queue) error { return q.send(ctx, r.Store) }) {
		failed[stream] = cmp.Or(failed[stream], err) // The first is the cause of the second.
	}
	var done, again []int64
	for _, q := range queues {
		for i, a := range q.appends {
			switch {
			case i < q.sent:
				done = append(done, a.seq)
			case q.moved:
				again = append(again, a.seq)
			}
		}
	}
	// Also when ctx has ended meanwhile: what was sent need not be sent again.
	finish, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	var b pgx.Batch
	b.Queue("DELETE FROM eventstore_outbox WHERE seq = ANY($1)", done)
	b.Queue("UPDATE eventstore_outbox SET base = NULL WHERE seq = ANY($1)", again)
	if err := conn.SendBatch(finish, &b).Close(); err != nil {
		return len(done), failed, fmt.Errorf("cannot take from the outbox what was sent: %w", err)
	}
	return len(done), failed, nil
}

// waiting reads the oldest appends of each stream.
func (r Relay) waiting(ctx context.Context, conn *pgx.Conn) ([]*queue, error) {
	rows, err := conn.Query(ctx, `
		SELECT seq, stream, events, base FROM (
			SELECT seq, stream, events, base, row_number() OVER (PARTITION BY stream ORDER BY seq) AS n
			FROM (SELECT seq, stream, events, base FROM eventstore_outbox WHERE outbox = $1 ORDER BY seq LIMIT $2) oldest
		) numbered WHERE n <= $3 ORDER BY seq LIMIT $4`, r.Outbox.Name, relayScan, relayDepth, relayBatch)
	if err != nil {
		return nil, fmt.Errorf("cannot read the outbox: %w", err)
	}
	var queues []*queue
	byStream := map[string]*queue{}
	var a waitingAppend
	var stream string
	var data []byte
	_, err = pgx.ForEachRow(rows, []any{&a.seq, &stream, &data, &a.base}, func() error {
		var err error
		if a.events, err = decode(data); err != nil {
			return fmt.Errorf("row %d is damaged: %w", a.seq, err)
		}
		q := byStream[stream]
		if q == nil {
			q = &queue{name: stream}
			if q.stream, err = eventstore.ParseStreamID(stream); err != nil {
				return fmt.Errorf("row %d is damaged: %w", a.seq, err)
			}
			byStream[stream] = q
			queues = append(queues, q)
		}
		q.appends = append(q.appends, a)
		a = waitingAppend{}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("cannot read the outbox: %w", err)
	}
	return queues, nil
}

// note keeps at which versions appends are about to be made.
func note(ctx context.Context, conn *pgx.Conn, queues []*queue) error {
	var seqs, bases []int64
	for _, q := range queues {
		for _, a := range q.appends {
			if a.base != nil {
				seqs, bases = append(seqs, a.seq), append(bases, *a.base)
			}
		}
	}
	_, err := conn.Exec(ctx, `UPDATE eventstore_outbox o SET base = v.base
		FROM unnest($1::bigint[], $2::bigint[]) AS v (seq, base) WHERE o.seq = v.seq AND o.base IS DISTINCT FROM v.base`, seqs, bases)
	if err != nil {
		return fmt.Errorf("cannot note in the outbox what is about to be sent: %w", err)
	}
	return nil
}

// each calls f for several queues at a time, and returns the errors by stream.
func each(queues []*queue, f func(*queue) error) map[string]error {
	failed := map[string]error{}
	var mu sync.Mutex
	var g errgroup.Group
	g.SetLimit(relayWidth)
	for _, q := range queues {
		g.Go(func() error {
			if err := f(q); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed[q.name] = err
			}
			return nil
		})
	}
	_ = g.Wait()
	return failed
}

// queue is what waits for one stream, in order.
type queue struct {
	name    string
	stream  eventstore.StreamID
	appends []waitingAppend
	sent    int  // How many of them are in the store.
	moved   bool // The others need another base: somebody else wrote to the stream.
}

type waitingAppend struct {
	seq    int64
	events []eventstore.EventData
	base   *int64 // The version at which it is appended; nil: not decided.
}

// place decides the versions at which the appends are made. One that was decided stays: a copy may be in the store, or on its way.
func (q *queue) place(ctx context.Context, store eventstore.Appender) error {
	if q.appends[0].base == nil {
		v, err := store.Append(ctx, q.stream, eventstore.Any) // Of nothing: it returns the version.
		if err != nil {
			return err
		}
		q.appends[0].base = new(int64(v))
	}
	for i := range q.appends[1:] {
		before, a := q.appends[i], &q.appends[i+1]
		a.base = new(*before.base + int64(len(before.events)))
	}
	return nil
}

func (q *queue) send(ctx context.Context, store eventstore.Appender) error {
	for _, a := range q.appends {
		if a.base == nil {
			return errors.New("its version is not known")
		}
		_, err := store.Append(ctx, q.stream, eventstore.Version(*a.base), a.events...)
		if errors.Is(err, eventstore.ErrUnsupported) { // A streaming store: it refuses before it asks the broker.
			_, err = store.Append(ctx, q.stream, eventstore.Any, a.events...)
		}
		if c, ok := errors.AsType[*eventstore.ConcurrencyError](err); ok && c.Actual > c.Expected {
			q.moved = true // For good: no copy of this append can succeed at that version any more.
			return nil
		}
		if err != nil {
			return err
		}
		q.sent++
	}
	return nil
}
