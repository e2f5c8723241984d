package pulsar

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/apache/pulsar-client-go/pulsar"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// createLogs creates the topic, those of its partitions that are planned, and the topic for snapshots, and writes the genesis
// records: nobody else has the right to write yet.
func (b *Backend) createLogs(ctx context.Context, c backend.StoreChange, s storeState) error {
	const kind = "ApplyStores"
	d, partitions := c.Desired, s.marker.claim.Partitions
	var planned []int
	for _, change := range c.Changes {
		if change.Field == plan.FieldEvents {
			planned = append(planned, change.Partition)
		}
	}
	if len(planned) > 0 {
		empty, err := b.createEvents(ctx, d.Name, partitions, planned)
		if err != nil {
			return err
		}
		if err := b.writeGenesis(ctx, d.Name, partitions, empty); err != nil {
			return err
		}
	}
	if d.Snapshots && (has(c.Changes, plan.FieldSnapshots) || has(c.Changes, plan.FieldOwner)) {
		if err := unlessConflict(b.createPartitioned(ctx, kind, d.Name, layout.PulsarSnapshots, partitions, nil)); err != nil {
			return err
		}
		if !s.created {
			return b.createMissing(ctx, d.Name, layout.PulsarSnapshots)
		}
	}
	return nil
}

// createEvents creates the topic of a store's events, and returns which of the planned partitions have nothing in them.
func (b *Backend) createEvents(ctx context.Context, store string, partitions int, planned []int) (empty []int, err error) {
	const kind = "ApplyStores"
	err = b.createPartitioned(ctx, kind, store, layout.PulsarEvents, partitions, nil)
	if err == nil {
		for p := range partitions {
			empty = append(empty, p)
		}
		return empty, nil
	}
	if !isConflict(err) {
		return nil, err
	}
	if err := b.createMissing(ctx, store, layout.PulsarEvents); err != nil {
		return nil, err
	}
	logs, err := b.readLogs(ctx, kind, store, true)
	if err != nil {
		return nil, err
	}
	for _, p := range planned {
		stats, ok := logs[p]
		if !ok {
			return nil, dataError{fmt.Errorf("partition %d is not there after it was created: has somebody made topic %q anew, with fewer?", p, layout.PulsarEvents)}
		}
		if stats.Entries == 0 {
			empty = append(empty, p)
		}
	}
	return empty, nil
}

// fillEmpty writes the genesis record into partitions that have nothing in them.
func (b *Backend) fillEmpty(ctx context.Context, store string, partitions int) error {
	r, err := b.readEvents(ctx, "ApplyStores", store, true)
	if err != nil {
		return err
	}
	return b.writeGenesis(ctx, store, partitions, r.virgin(partitions))
}

// createMissing creates the partitions that a topic has lost.
func (b *Backend) createMissing(ctx context.Context, store, local string) error {
	return b.post(ctx, "ApplyStores", b.topic(store, local)+"/createMissedPartitions", nil)
}

// writeGenesis writes the genesis record into empty partitions.
func (b *Backend) writeGenesis(ctx context.Context, store string, partitions int, empty []int) error {
	value, err := json.Marshal(layout.Genesis{Layout: layout.Version, Partitions: partitions, Hash: layout.Hash})
	if err != nil {
		return err
	}
	errs := make([]error, len(empty))
	parallel(len(empty), func(i int) { errs[i] = b.writeFirst(ctx, store, empty[i], value) })
	return first(errs...)
}

// sendTimeout bounds what the client does about one record; it knows no context when it creates a producer.
const sendTimeout = 10 * time.Second

// writeFirst writes one record without a key.
func (b *Backend) writeFirst(ctx context.Context, store string, partition int, value []byte) error {
	local := layout.PulsarPartition(layout.PulsarEvents, partition)
	type outcome struct {
		id  pulsar.MessageID
		err error
	}
	done := make(chan outcome, 1)
	// The client gives up by itself, at the latest after its own timeouts.
	go func() {
		b.observe("ApplyStores", 1)
		client, err := b.producerClient()
		if err != nil {
			done <- outcome{err: err}
			return
		}
		producer, err := client.CreateProducer(pulsar.ProducerOptions{Topic: b.fullName(store, local), DisableBatching: true, SendTimeout: sendTimeout})
		if err != nil {
			done <- outcome{err: err}
			return
		}
		defer producer.Close()
		id, err := producer.Send(ctx, &pulsar.ProducerMessage{Payload: value, Properties: map[string]string{layout.ContentType: layout.GenesisType}})
		done <- outcome{id, err}
	}()
	select {
	case o := <-done:
		if o.err == nil {
			b.entries.put(entryKey{topic: b.topic(store, local), at: position{o.id.LedgerID(), o.id.EntryID()}}, entry{genesis: true})
		}
		return o.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
