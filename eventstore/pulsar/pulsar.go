// Package pulsar is the driver for stores on Apache Pulsar, version 4.0 or later. Import it for its side effect:
//
//	import _ "github.com/crossplane-contrib/provider-eventstore/eventstore/pulsar"
//
// Pulsar has no conditional append: the order of a partition decides which of two racing appends counts, and every process
// reads the partitions that it uses from the beginning to know. docs/layout.md has the rule. So the first use of a
// partition takes as long as reading it does, and a process holds an index of its streams in memory: some 220 bytes for
// each that has 4 events. Consumers of a subscription do the same. With [eventstore.WithIndex] a process goes on where the last one
// ended.
//
// Brokers show new records to those who read along after managedLedgerNewEntriesCheckDelayInMillis, 10 by default. Who
// appends waits for that only after another process has written to the same partition; a live replay always does.
package pulsar

import (
	"context"
	"fmt"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/arbiter"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/indexfile"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/lifetime"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

func init() { eventstore.Register("pulsar", driver{}) }

type driver struct{}

// store is an open store. Its methods are in files by what they do.
type store struct {
	eventstore.Binding

	client    *client
	producers *producers
	ends      []*end // of the partitions of events
	shelves   []*shelf
	arbiter   *arbiter.Arbiter // nil in a streaming store, where every record counts

	open *lifetime.Lifetime // Until Close.
}

var (
	_ eventstore.Store            = (*store)(nil)
	_ eventstore.DeadLetterReader = (*store)(nil)
)

// Open implements [eventstore.Driver].
func (driver) Open(ctx context.Context, b eventstore.Binding) (eventstore.Store, error) {
	s, err := open(ctx, b)
	if err != nil {
		return nil, fmt.Errorf("cannot open store %q: %w", b.Store, err)
	}
	return s, nil
}

func open(ctx context.Context, b eventstore.Binding) (*store, error) {
	if b.Secret.Get(layout.SecretTenant) == "" {
		return nil, fmt.Errorf("key %q is empty: the Secret does not say which tenant the store is in", layout.SecretTenant)
	}
	client, err := newClient(b)
	if err != nil {
		return nil, err
	}
	s := &store{Binding: b, client: client, producers: newProducers(client), open: lifetime.New()}
	first, err := s.check(ctx)
	if err != nil {
		err = s.explainUnreached(ctx, err)
		client.Close()
		return nil, err
	}
	for p := range b.Partitions {
		s.ends = append(s.ends, newEnd(s.events(p)))
		s.shelves = append(s.shelves, newShelf(s.snapshots(p)))
	}
	if b.Streaming {
		return s, nil
	}
	disk, err := indexfile.Open(b)
	if err != nil {
		client.Close()
		return nil, err
	}
	s.arbiter = arbiter.New(log{s}, b.Partitions, disk)
	for p, at := range first {
		s.arbiter.Begins(p, after(at))
	}
	return s, nil
}

// Close ends appends, subscriptions and replays, waits for them, and closes the connections.
func (s *store) Close() error {
	s.open.End()
	if s.arbiter != nil {
		s.arbiter.Close()
	}
	s.open.Wait()
	s.producers.close()
	s.client.Close() // With all that it has.
	return nil
}

// topic is the full name of a topic of the store.
func (s *store) topic(local string) string {
	return layout.PulsarTopic(s.Secret.Get(layout.SecretTenant), s.Store, local)
}

// events is the topic with one partition of the store's events.
func (s *store) events(partition int) string {
	return s.topic(layout.PulsarPartition(layout.PulsarEvents, partition))
}

func (s *store) partition(stream eventstore.StreamID) int {
	return layout.Partition(stream.String(), s.Partitions)
}
