package kafka

import (
	"context"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/arbiter"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/record"
)

// judge tells which records of a partition have events for readers. It is for one goroutine, and what it returns is good until
// it is asked again.
type judge struct {
	store   *store
	entries []arbiter.Entry
	verdict []bool
	fields  record.Fields
}

// counts tells it of records of one partition, in order.
func (j *judge) counts(ctx context.Context, records []*kgo.Record) ([]bool, error) {
	j.entries, j.verdict = j.entries[:0], append(j.verdict[:0], make([]bool, len(records))...)
	defer func() { clear(j.entries) }() // Else they keep what was received, of which they are parts.
	for i, r := range records {
		e := arbiter.NewEntry(at(r.Offset)) // A control record has no fields.
		if !r.Attrs.IsControl() {
			e = entryOf(r)
		}
		j.entries = append(j.entries, e)
		j.verdict[i] = e.Readable()
	}
	if j.store.Streaming {
		return j.verdict, nil
	}
	for from, to := range arbiter.Runs(j.entries) {
		p := records[from].Partition
		if err := j.store.arbiter.Judge(ctx, int(p), j.entries[from:to], j.verdict[from:to]); err != nil {
			return nil, err
		}
		j.store.tails.reached(p, records[to-1].LeaderEpoch)
	}
	return j.verdict, nil
}

// decode returns the events of a record that counts.
func (j *judge) decode(r *kgo.Record) ([]eventstore.Event, error) { return j.appendEvents(nil, r) }

// appendEvents is decode, but appends the events to others.
func (j *judge) appendEvents(events []eventstore.Event, r *kgo.Record) ([]eventstore.Event, error) {
	j.fields = appendHeaders(j.fields[:0], r)
	return appendEvents(events, r, j.fields)
}
