package pulsar

import (
	"context"
	"fmt"

	"github.com/apache/pulsar-client-go/pulsar"
	"golang.org/x/sync/errgroup"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/arbiter"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// checks is how many partitions are looked at by one process at a time.
const checks = 16

// check compares the topic of events with the Secret. It does not wait for brokers that are gone: whoever opens a store wants
// to know.
func (s *store) check(ctx context.Context) (first []place, err error) {
	topic := s.topic(layout.PulsarEvents)
	names, err := within(ctx, func() ([]string, error) { return s.client.TopicPartitions(topic) }, nil)
	switch {
	case err == nil && len(names) == 1 && names[0] == topic, err != nil && noTopic(err):
		return nil, fmt.Errorf("its topic %q is gone: the store was deleted, or the brokers lost their data: %w", topic, eventstore.ErrHistoryLost)
	case err != nil:
		return nil, err
	case len(names) < s.Partitions:
		return nil, fmt.Errorf("topic %q has %d partitions, the Secret says %d: %w", topic, len(names), s.Partitions, arbiter.ErrAnother)
	case s.Streaming: // It may have forgotten how it began.
		return nil, nil
	}
	first = make([]place, s.Partitions)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(checks)
	for p := range s.Partitions {
		g.Go(func() (err error) {
			first[p], err = s.checkGenesis(ctx, p)
			return err
		})
	}
	return first, g.Wait()
}

// checkGenesis looks at the first record of a partition, and returns where it is. While that is there, nothing after it was trimmed.
func (s *store) checkGenesis(ctx context.Context, partition int) (at place, err error) {
	reader, err := s.reader(ctx, reading{topic: s.events(partition), after: nowhere, ahead: 1})
	if err != nil {
		return at, gone(partition, err)
	}
	defer reader.close()
	end, err := reader.last(ctx)
	if err != nil {
		return at, err
	}
	if end == nowhere {
		return at, fmt.Errorf("partition %d is empty, and lacks even its first record: %w", partition, eventstore.ErrHistoryLost)
	}
	first, err := reader.next(ctx, 0)
	if err != nil {
		return at, err
	}
	return placeOf(first.ID()), s.checkFirst(partition, first)
}

// gone makes an error that says that a partition is not there match [eventstore.ErrHistoryLost].
func gone(partition int, err error) error {
	if noTopic(err) {
		return fmt.Errorf("partition %d is gone: %w: %w", partition, eventstore.ErrHistoryLost, err)
	}
	return err
}

func (s *store) checkFirst(partition int, first pulsar.Message) error {
	return arbiter.CheckGenesis(s.Binding, partition, first.Properties()[layout.ContentType], first.Payload())
}
