// Package kafka is the driver for stores on Apache Kafka, version 4.0 or later. Import it for its side effect:
//
//	import _ "github.com/crossplane-contrib/provider-eventstore/eventstore/kafka"
//
// Kafka has no conditional append: the order of a partition decides which of two racing appends counts, and every process
// reads the partitions that it uses from the beginning to know. docs/layout.md has the rule. So the first use of a
// partition takes as long as reading it does, and a process holds an index of its streams in memory: some 300 bytes for
// each that has 4 events. Consumers of a subscription do the same, by what they read anyway. With [eventstore.WithIndex] a
// process goes on where the last one ended.
package kafka

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/arbiter"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/indexfile"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/lifetime"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

func init() { eventstore.Register("kafka", driver{}) }

type driver struct{}

// store is an open store. Its methods are in files by what they do.
type store struct {
	eventstore.Binding

	logins    *logins
	options   []kgo.Opt   // of every client
	client    *kgo.Client // for everything but tails and groups, whose long polls others would wait behind
	events    *topic
	snapshots *snapshots
	tails     *tails
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

// deliveryTimeout is how long a client tries to hand over a record. Whoever waits longer publishes it again.
const deliveryTimeout = 30 * time.Second

// A dead letter may be so much larger than the event's own record, and a record at most so large: the client sends no more.
const (
	deadLetterOverhead = 1 << 20
	largestRecord      = 99 << 20
)

func open(ctx context.Context, b eventstore.Binding) (*store, error) {
	s := &store{Binding: b, logins: newLogins(), open: lifetime.New()}
	var err error
	if s.options, err = options(b, s.logins); err != nil {
		return nil, err
	}
	most, err := s.check(ctx)
	if err != nil {
		return nil, explain(b.Secret, err)
	}
	if s.Subscription != "" { // It writes dead letters alone, which say more than the event did.
		most = min(most+deadLetterOverhead, largestRecord)
	}
	s.client, err = kgo.NewClient(append(s.options,
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerLinger(0),
		kgo.ProducerBatchMaxBytes(most),
		kgo.MaxBufferedRecords(1<<20), // Publishing never waits: who appends waits for the verdict.
		kgo.RecordDeliveryTimeout(deliveryTimeout),
	)...)
	if err != nil {
		return nil, err
	}
	s.events = newTopic(s.client, layout.KafkaEvents(b.Store))
	s.snapshots = newSnapshots(s.client, layout.KafkaSnapshots(b.Store), b.Partitions)
	if b.Streaming {
		return s, nil
	}
	disk, err := indexfile.Open(b)
	if err != nil {
		s.client.Close()
		return nil, err
	}
	s.tails = newTails(s.options, s.events.name, s.logins)
	s.arbiter = arbiter.New(log{s}, b.Partitions, disk)
	return s, nil
}

// Close ends appends, subscriptions and replays, waits for them, and closes the connections.
func (s *store) Close() error {
	s.open.End()
	if s.arbiter != nil {
		s.arbiter.Close()
		s.tails.close()
	}
	s.open.Wait()
	s.client.Close()
	return nil
}

func (s *store) partition(stream eventstore.StreamID) int32 {
	return int32(layout.Partition(stream.String(), s.Partitions))
}
