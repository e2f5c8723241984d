package provider_test

import (
	"cmp"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"k8s.io/utils/ptr"

	"github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
	namespacedv1alpha1 "github.com/crossplane-contrib/provider-eventstore/apis/namespaced/v1alpha1"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// kafkaEffects are what fields do on Kafka.
var kafkaEffects = map[plan.Field]effect{
	plan.FieldPartitions: func(t *testing.T, s specimen) {
		c := s.kadm(t)
		shows(t, "the number of partitions", func() (string, error) {
			topics, err := c.ListTopics(t.Context(), layout.KafkaEvents(s.store))
			return fmt.Sprint(len(topics[layout.KafkaEvents(s.store)].Partitions)), err
		}, "3")
	},
	plan.FieldRetentionDuration: eventsConfig("retention.ms", "2000"),
	plan.FieldRetentionBytes:    eventsConfig("retention.bytes", "100000"),
	plan.FieldSnapshots: func(t *testing.T, s specimen) {
		s.says(t, map[string]string{layout.SecretSnapshots: "true"})
		shows(t, "cleanup.policy of the snapshots", s.topicConfig(t, layout.KafkaSnapshots(s.store), "cleanup.policy"), "compact")
	},
	plan.FieldMaxEventBytes: func(t *testing.T, s specimen) {
		s.says(t, map[string]string{layout.SecretMaxEventBytes: "4096"})
		eventsConfig("max.message.bytes", "6144")(t, s)
	},
	plan.FieldReplicas: func(t *testing.T, s specimen) {
		topics, err := s.kadm(t).ListTopics(t.Context(), layout.KafkaEvents(s.store))
		if n := topics[layout.KafkaEvents(s.store)].Partitions.NumReplicas(); err != nil || n != 1 {
			t.Errorf("there are %d copies (%v), want 1", n, err)
		}
		// One is what this broker does anyway. It cannot do two.
		two := on(s.anyBroker, store(s.ns, "two-copies"))
		two.Spec.ForProvider.Durability = &v1alpha1.Durability{Replicas: ptr.To[int32](2)}
		create(t, two)
		refused(t, two, v1alpha1.ReasonBrokerLimit, "durability.replicas")
		if l := s.traces(t, s.ns+".two-copies"); len(l) > 0 {
			t.Errorf("something was created: %v", l)
		}
	},
	plan.FieldMinInSync: eventsConfig("min.insync.replicas", "1"),
	plan.FieldTieringDuration: func(t *testing.T, s specimen) {
		eventsConfig("remote.storage.enable", "true")(t, s)
		eventsConfig("local.retention.ms", "3600000")(t, s)
	},
	plan.FieldTieringBytes: func(t *testing.T, s specimen) {
		eventsConfig("remote.storage.enable", "true")(t, s)
		eventsConfig("local.retention.bytes", "1048576")(t, s)
	},
	plan.FieldQuotaByteRate: func(t *testing.T, s specimen) {
		c, user := s.kadm(t), layout.StorePrincipal(s.store)
		shows(t, "the rate of "+user, func() (string, error) {
			quotas, err := c.DescribeClientQuotas(t.Context(), true, []kadm.DescribeClientQuotaComponent{
				{Type: "user", MatchType: kmsg.QuotasMatchTypeExact, MatchName: &user},
			})
			for _, q := range quotas {
				for _, v := range q.Values {
					return fmt.Sprint(v.Key, "=", v.Value), err
				}
			}
			return "none", err
		}, "producer_byte_rate=54321")
	},
	plan.FieldKafkaConfig:    configIsReset,
	plan.FieldKafkaUnmanaged: unmanagedStays,

	plan.FieldStartFrom: func(t *testing.T, s specimen) { s.atEndOfTopic(t) },
	plan.FieldReplay:    func(t *testing.T, s specimen) { s.atEndOfTopic(t) },
	plan.FieldType:      saysType,
	plan.FieldRetry:     saysRetry,
	plan.FieldFilter:    saysFilter,
	plan.FieldDeadLetter: func(t *testing.T, s specimen) {
		s.says(t, map[string]string{layout.SecretDeadLetter: "true"})
		shows(t, "cleanup.policy of the dead letters", s.topicConfig(t, layout.KafkaDeadLetters(s.store, s.sub), "cleanup.policy"), "delete")
	},
	plan.FieldDeadLetterRetention: func(t *testing.T, s specimen) {
		shows(t, "retention.ms of the dead letters", s.topicConfig(t, layout.KafkaDeadLetters(s.store, s.sub), "retention.ms"), "2000")
	},
}

// kadm goes to Kafka past the provider.
func (b *anyBroker) kadm(t *testing.T) *kadm.Client {
	t.Helper()
	c, err := b.kafkaDirect()
	if err != nil {
		t.Fatal(err)
	}
	opts, err := c.Options(nil)
	if err != nil {
		t.Fatal(err)
	}
	client, err := kgo.NewClient(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return kadm.NewClient(client)
}

// topicConfig looks at a key that is set on the topic itself.
func (s specimen) topicConfig(t *testing.T, topic, key string) func() (string, error) {
	t.Helper()
	c := s.kadm(t)
	return func() (string, error) {
		configs, err := c.DescribeTopicConfigs(t.Context(), topic)
		if err != nil {
			return "", err
		}
		r, err := configs.On(topic, nil)
		for _, v := range r.Configs {
			if v.Key == key && v.Source == kmsg.ConfigSourceDynamicTopicConfig {
				return v.MaybeValue(), cmp.Or(err, r.Err)
			}
		}
		return "not set", cmp.Or(err, r.Err)
	}
}

func eventsConfig(key, want string) effect {
	return func(t *testing.T, s specimen) {
		t.Helper()
		shows(t, key, s.topicConfig(t, layout.KafkaEvents(s.store), key), want)
	}
}

// configIsReset: a key that leaves the spec goes back to the broker's default.
func configIsReset(t *testing.T, s specimen) {
	eventsConfig("segment.ms", "3600000")(t, s)
	change(t, s.resource, func(o *namespacedv1alpha1.EventStore) { o.Spec.ForProvider.Kafka = nil })
	eventsConfig("segment.ms", "not set")(t, s)
}

// unmanagedStays: what somebody else sets is left alone, and so is a key that becomes unmanaged.
func unmanagedStays(t *testing.T, s specimen) {
	topic := layout.KafkaEvents(s.store)
	eventsConfig("segment.ms", "3600000")(t, s)
	res, err := s.kadm(t).AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "segment.bytes", Value: ptr.To("2097152")}}, topic)
	if err = errors.Join(err, res[0].Err); err != nil {
		t.Fatal(err)
	}
	change(t, s.resource, func(o *namespacedv1alpha1.EventStore) {
		o.Spec.ForProvider.Kafka = &v1alpha1.EventStoreKafka{Unmanaged: []string{"segment.bytes", "segment.ms"}}
	})
	eventually(t, "the provider no longer thinks that it has set something", func() (bool, string) {
		err := world.kube.Get(t.Context(), objectKey(s.resource), s.resource)
		applied := s.resource.Status.AtProvider.AppliedConfig
		return err == nil && len(applied) == 0, fmt.Sprint(applied, err)
	})
	look := []func() (string, error){s.topicConfig(t, topic, "segment.ms"), s.topicConfig(t, topic, "segment.bytes")}
	steady(t, driftInterval+time.Second, "both keys stay", func() (bool, string) {
		ms, err1 := look[0]()
		bytes, err2 := look[1]()
		return ms == "3600000" && bytes == "2097152", fmt.Sprint(ms, bytes, err1, err2)
	})
}

// atEndOfTopic waits until the group has nothing to read.
func (s specimen) atEndOfTopic(t *testing.T) {
	t.Helper()
	c, topic := s.kadm(t), layout.KafkaEvents(s.store)
	ends, err := c.ListEndOffsets(t.Context(), topic)
	end, ok := ends.Lookup(topic, 0)
	if err != nil || !ok || end.Offset < 3 {
		t.Fatalf("the topic ends at %v (%v), want 3 records at least", end, err)
	}
	shows(t, "the position", func() (string, error) {
		offsets, err := c.FetchOffsets(t.Context(), layout.KafkaGroup(s.store, s.sub))
		at, _ := offsets.Lookup(topic, 0)
		return fmt.Sprint(at.At), err
	}, fmt.Sprint(end.Offset))
}
