package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

// An Outbox keeps events that a transaction wrote, until a [Relay] has appended them to a store. So the database and the
// store agree in the end, though no transaction spans both.
type Outbox struct {
	// Name tells the outboxes of one database apart: there is one for each store.
	Name string
}

// Append writes events for a stream, which are appended together once tx has been committed. Those of one stream are appended
// in the order of the transactions: until tx ends, others that write to the same stream wait.
//
// What a store would refuse, such as an event that is too large, is found out by the relay; it logs that, and the stream waits.
func (o Outbox) Append(ctx context.Context, tx pgx.Tx, stream eventstore.StreamID, events ...eventstore.EventData) error {
	if err := stream.Validate(); err != nil || len(events) == 0 {
		return err
	}
	prepared, err := eventstore.Prepare(events...)
	if err != nil {
		return err
	}
	data, err := encode(prepared)
	if err == nil {
		// The number is drawn when the lock is there, so the order of numbers is that of commits, in each stream.
		var b pgx.Batch
		b.Queue("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", fmt.Sprintf("eventstore/outbox/%s/%s", o.Name, stream))
		b.Queue("INSERT INTO eventstore_outbox (outbox, stream, events) VALUES ($1, $2, $3)", o.Name, stream.String(), data)
		err = tx.SendBatch(ctx, &b).Close()
	}
	if err != nil {
		return fmt.Errorf("cannot write %d events of %s to outbox %q: %w", len(events), stream, o.Name, err)
	}
	return nil
}

// Waiting returns how many appends wait for the relay, and since when the oldest does.
func (o Outbox) Waiting(ctx context.Context, db DB) (appends int64, since time.Time, err error) {
	var oldest *time.Time
	err = db.QueryRow(ctx, "SELECT count(*), min(written) FROM eventstore_outbox WHERE outbox = $1", o.Name).Scan(&appends, &oldest)
	if err != nil {
		return 0, since, fmt.Errorf("cannot count what waits in outbox %q: %w", o.Name, err)
	}
	if oldest != nil {
		since = *oldest
	}
	return appends, since, nil
}

// event is how the table keeps a prepared event.
type event struct {
	eventstore.EventData
	Data []byte // Hides EventData's, which could be anything.
}

func encode(events []eventstore.EventData) ([]byte, error) {
	out := make([]event, len(events))
	for i, e := range events {
		data, _ := e.Data.([]byte)
		out[i] = event{EventData: e, Data: data}
	}
	return json.Marshal(out)
}

func decode(data []byte) ([]eventstore.EventData, error) {
	var in []event
	if err := json.Unmarshal(data, &in); err != nil {
		return nil, err
	}
	events := make([]eventstore.EventData, len(in))
	for i, e := range in {
		events[i] = e.EventData
		events[i].Data = e.Data
	}
	return events, nil
}
