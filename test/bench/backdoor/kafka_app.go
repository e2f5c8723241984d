package backdoor

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect/kafkaclient"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

const (
	// headerID is the header or property with the id of a record.
	headerID = "ce_id"

	// commitEvery is how often a consumer commits its position.
	commitEvery = 2 * time.Second

	// sessionTimeout is how long a member of a group may be silent.
	sessionTimeout = 15 * time.Second

	// deliveryTimeout is how long a record may take to be acknowledged.
	deliveryTimeout = 20 * time.Second
)

// A kafkaApplication uses Kafka's own protocol with what the Secret says, as an application in another language does.
type kafkaApplication struct {
	config     kafkaclient.Config
	topic      string
	group      string // Empty with the Secret of a store.
	partitions int
	producer   *kgo.Client
}

func (b *kafkaBroker) Connect(_ context.Context, s eventstore.Secret) (Application, error) {
	a := &kafkaApplication{
		config: kafkaclient.Config{
			BootstrapServers: strings.Split(s.Get(layout.SecretBootstrap), ","), Mechanism: s.Get(layout.SecretSASLMechanism),
			Username: s.Get(layout.SecretUsername), Password: s.Get(layout.SecretPassword),
		},
		topic: layout.KafkaEvents(s.Get(layout.SecretStore)),
	}
	if sub := s.Get(layout.SecretSubscription); sub != "" {
		a.group = layout.KafkaGroup(s.Get(layout.SecretStore), sub)
	}
	var err error
	if a.partitions, err = strconv.Atoi(s.Get(layout.SecretPartitions)); err != nil {
		return nil, err
	}
	opts, err := a.config.Options(nil)
	if err != nil {
		return nil, err
	}
	a.producer, err = kgo.NewClient(append(opts, kgo.DefaultProduceTopic(a.topic), kgo.RecordDeliveryTimeout(deliveryTimeout))...)
	return a, err
}

func (a *kafkaApplication) Write(ctx context.Context, id string) error {
	return a.producer.ProduceSync(ctx, &kgo.Record{
		Key: []byte("bench/" + stream(id)), Value: []byte("{}"), Headers: []kgo.RecordHeader{{Key: headerID, Value: []byte(id)}},
	}).FirstErr()
}

// idOf returns the id of a record; empty if it has none, as the genesis record.
func idOf(r *kgo.Record) string {
	for _, h := range r.Headers {
		if h.Key == headerID {
			return string(h.Value)
		}
	}
	return ""
}

func (a *kafkaApplication) Records(ctx context.Context) (map[string]int, error) {
	found := map[string]int{}
	err := readAll(ctx, a.config, a.topic, a.partitions, func(r *kgo.Record) {
		if id := idOf(r); id != "" {
			found[id]++
		}
	})
	return found, err
}

// readAll calls f for every record that is in a topic now.
func readAll(ctx context.Context, config kafkaclient.Config, topic string, partitions int, f func(*kgo.Record)) error {
	opts, err := config.Options(nil)
	if err != nil {
		return err
	}
	starts := map[int32]kgo.Offset{}
	for p := range partitions {
		starts[int32(p)] = kgo.NewOffset().AtStart()
	}
	c, err := kgo.NewClient(append(opts, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: starts}))...)
	if err != nil {
		return err
	}
	defer c.Close()
	left, err := ends(ctx, c, topic, partitions)
	if err != nil {
		return err
	}
	for len(left) > 0 {
		fetches := c.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return err
		}
		fetches.EachRecord(func(r *kgo.Record) {
			end, ok := left[r.Partition]
			if ok && r.Offset < end {
				f(r)
			}
			if r.Offset >= end-1 {
				delete(left, r.Partition)
			}
		})
	}
	return nil
}

// ends returns where the partitions end that are not empty. The last record of each is never compacted away.
func ends(ctx context.Context, c *kgo.Client, topic string, partitions int) (map[int32]int64, error) {
	req, t := kmsg.NewPtrListOffsetsRequest(), kmsg.NewListOffsetsRequestTopic()
	t.Topic = topic
	for p := range partitions {
		part := kmsg.NewListOffsetsRequestTopicPartition()
		part.Partition, part.Timestamp = int32(p), -1 // The end.
		t.Partitions = append(t.Partitions, part)
	}
	req.ReplicaID, req.Topics = -1, append(req.Topics, t)
	resp, err := req.RequestWith(ctx, c)
	if err != nil {
		return nil, err
	}
	ends := map[int32]int64{}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return nil, err
			}
			if p.Offset > 0 {
				ends[p.Partition] = p.Offset
			}
		}
	}
	return ends, nil
}

func (a *kafkaApplication) Consume(ctx context.Context, handle func(id string)) error {
	opts, err := a.config.Options(nil)
	if err != nil {
		return err
	}
	c, err := kgo.NewClient(append(opts,
		kgo.ConsumerGroup(a.group), kgo.ConsumeTopics(a.topic), kgo.DisableAutoCommit(), kgo.SessionTimeout(sessionTimeout),
		// A consumer that finds no position must not choose one: the provider gives it back.
		kgo.ConsumeResetOffset(kgo.NoResetOffset()))...)
	if err != nil {
		return err
	}
	defer c.Close()
	committed := time.Now()
	for {
		fetches := c.PollFetches(ctx)
		if ctx.Err() != nil {
			return leave(c)
		}
		if err := fetches.Err(); err != nil {
			return err
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if id := idOf(r); id != "" {
				handle(id)
			}
		})
		if time.Since(committed) < commitEvery {
			continue
		}
		if err := c.CommitUncommittedOffsets(ctx); err != nil && ctx.Err() == nil {
			return err
		}
		committed = time.Now()
	}
}

// leave commits what was consumed, and leaves the group: nobody waits for this member then.
func leave(c *kgo.Client) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return errors.Join(c.CommitUncommittedOffsets(ctx), c.LeaveGroupContext(ctx))
}

func (a *kafkaApplication) Close() error {
	a.producer.Close()
	return nil
}
