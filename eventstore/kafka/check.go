package kafka

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sync/errgroup"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/arbiter"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// Configuration keys of topics.
const (
	keyCleanup       = "cleanup.policy"
	keyRetention     = "retention.ms"
	keyRetainedBytes = "retention.bytes"
	keyMaxMessage    = "max.message.bytes"
)

// defaultMaxMessage is what topics take unless they say something else.
const defaultMaxMessage = 1048588

// check compares the topic of events with the Secret, and returns how many bytes its largest record has. It does not wait
// for brokers that are gone: whoever opens a store wants to know.
func (s *store) check(ctx context.Context) (maxMessage int32, err error) {
	client, err := kgo.NewClient(append(s.options, kgo.RequestRetries(2))...)
	if err != nil {
		return 0, err
	}
	defer client.Close()
	events := newTopic(client, layout.KafkaEvents(s.Store))
	known, _, err := events.leaders(ctx, 0)
	switch {
	case errors.Is(err, errNoTopic):
		return 0, fmt.Errorf("its topic %q is gone: the store was deleted, or the brokers lost their data: %w", events.name, eventstore.ErrHistoryLost)
	case err != nil:
		return 0, err
	case len(known) < s.Partitions:
		return 0, fmt.Errorf("topic %q has %d partitions, the Secret says %d: %w", events.name, len(known), s.Partitions, arbiter.ErrAnother)
	}
	config, err := describe(ctx, client, events.name)
	if err != nil {
		return 0, err
	}
	maxMessage = defaultMaxMessage
	if n, err := strconv.ParseInt(config[keyMaxMessage], 10, 32); err == nil {
		maxMessage = int32(min(n, largestRecord))
	}
	if s.Streaming {
		return maxMessage, nil
	}
	for key, want := range map[string]string{keyCleanup: "delete", keyRetention: "-1", keyRetainedBytes: "-1"} {
		if got, ok := config[key]; ok && got != want {
			return 0, fmt.Errorf("topic %q has %s=%s, so it forgets events; a sourcing store needs %s", events.name, key, got, want)
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	for p := range s.Partitions {
		g.Go(func() error { return s.checkGenesis(ctx, events, int32(p)) })
	}
	return maxMessage, g.Wait()
}

// describe returns the configuration of a topic; nothing if the user has no right to see it.
func describe(ctx context.Context, client *kgo.Client, topic string) (map[string]string, error) {
	req := kmsg.NewPtrDescribeConfigsRequest()
	of := kmsg.NewDescribeConfigsRequestResource()
	of.ResourceType, of.ResourceName = kmsg.ConfigResourceTypeTopic, topic
	of.ConfigNames = []string{keyCleanup, keyRetention, keyRetainedBytes, keyMaxMessage}
	req.Resources = append(req.Resources, of)
	resp, err := req.RequestWith(ctx, client)
	if err != nil {
		return nil, err
	}
	config := map[string]string{}
	for _, r := range resp.Resources {
		if err := kerr.ErrorForCode(r.ErrorCode); err != nil && !errors.Is(err, kerr.TopicAuthorizationFailed) {
			return nil, err
		}
		for _, c := range r.Configs {
			if c.Value != nil {
				config[c.Name] = *c.Value
			}
		}
	}
	return config, nil
}

// checkGenesis looks at the first record of a partition.
func (s *store) checkGenesis(ctx context.Context, events *topic, partition int32) error {
	pg, err := events.fetch(ctx, partition, 0, 1)
	switch {
	case errors.Is(err, errOutOfRange) || err == nil && pg.start > 0:
		return fmt.Errorf("partition %d does not begin at offset 0 any more: records were deleted: %w", partition, eventstore.ErrHistoryLost)
	case err != nil:
		return err
	case len(pg.records) == 0:
		return fmt.Errorf("partition %d is empty, and lacks even its first record: %w", partition, eventstore.ErrHistoryLost)
	}
	first := pg.records[0]
	return arbiter.CheckGenesis(s.Binding, int(partition), fieldsOf(first).Get(layout.ContentType), first.Value)
}
