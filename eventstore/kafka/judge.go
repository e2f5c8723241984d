package kafka

import (
	"context"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/arbiter"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/record"
)

// judge tells which records of a partition have events for readers. It is for one goroutine, and what it has is good until it is
// asked again: it is overwritten.
type judge struct {
	store     *store
	decoder   decoder
	envelopes []record.Envelope // of the records, in their order
	entries   []arbiter.Entry
	verdict   []bool
}

// counts tells it of records of one partition, in order.
func (j *judge) counts(ctx context.Context, records []*kgo.Record) ([]bool, error) {
	j.envelopes, j.entries, j.verdict = j.envelopes[:0], j.entries[:0], j.verdict[:0]
	for _, r := range records {
		v := j.decoder.envelope(r)
		e := arbiter.NewEntry(at(r.Offset), &v)
		j.envelopes, j.entries, j.verdict = append(j.envelopes, v), append(j.entries, e), append(j.verdict, e.Readable())
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
