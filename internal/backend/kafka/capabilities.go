package kafka

import "github.com/crossplane-contrib/provider-eventstore/internal/plan"

// name is what the backend is called in specs and Secrets.
const name = "kafka"

// Capabilities returns what Kafka can do.
func (b *Backend) Capabilities() plan.Capabilities { return Capabilities() }

// Capabilities returns what Kafka can do, without a cluster at hand.
func Capabilities() plan.Capabilities {
	yes := func(note string) plan.Support { return plan.Support{Supported: true, Note: note} }
	no := func(instead string) plan.Support { return plan.Support{Note: instead} }
	return plan.Capabilities{
		Backend:         name,
		ReplayNeedsIdle: true,
		Fields: map[plan.Field]plan.Support{
			plan.FieldPartitions:        yes("If somebody adds partitions to the topic, that is said, and they stay unused."),
			plan.FieldRetentionDuration: yes("By the topic, in whole milliseconds. Kafka drops whole segments: events may stay longer, never shorter. See segment.ms under kafka.config."),
			plan.FieldRetentionBytes:    yes("By the topic, an equal share for each partition: the oldest of a partition go when it has more than its share. Kafka drops whole segments: see segment.bytes under kafka.config."),
			plan.FieldSnapshots:         yes("A compacted topic. Once it is off, the topic stays until the store is deleted."),
			plan.FieldMaxEventBytes:     yes("By the topic, whose max.message.bytes is 2 KiB more. The limit is the brokers' socket.request.max.bytes."),
			plan.FieldReplicas:          yes("Fixed at creation."),
			plan.FieldMinInSync:         yes(""),
			plan.FieldTieringDuration:   yes("The brokers need remote storage. Kafka does not switch it off for a topic that has moved events: that would delete them."),
			plan.FieldTieringBytes:      yes("As tiering.afterDuration; an equal share for each partition."),
			plan.FieldMessageTTL:        no("a subscription on Kafka reads everything that is kept: set retention.duration, or choose the backend pulsar"),
			plan.FieldQuotaBytes:        no("Kafka has no quota that holds producers back: set retention.bytes, which makes a streaming store, or choose the backend pulsar"),
			plan.FieldQuotaByteRate:     yes("For the store's user, on each broker. Kafka slows down who exceeds it. Refused with principals: Provided, whose users are not the provider's to limit."),
			plan.FieldQuotaAppendRate:   no("Kafka counts bytes: set quota.publishRate.bytesPerSecond, or choose the backend pulsar"),
			plan.FieldKafkaConfig:       yes("Keys of the events topic."),
			plan.FieldKafkaUnmanaged:    yes("Of the keys that the provider sets itself, unclean.leader.election.enable alone, where a service elects leaders by its own rule."),
			plan.FieldPulsarTenant:      no("remove the field, or choose a ProviderConfig for Pulsar"),
			plan.FieldPulsarPolicies:    no("remove the field, or choose a ProviderConfig for Pulsar"),
			plan.FieldPulsarSchema:      no("remove the field, or choose a ProviderConfig for Pulsar"),
			plan.FieldRedisPersistence:  no("remove the field: Kafka always keeps what it has acknowledged"),

			plan.FieldStartFrom:           yes("Positions are offsets. One that is gone already means the first that is left, and one after the end means the end."),
			plan.FieldType:                yes("By the SDK. A partition has one consumer at a time."),
			plan.FieldRetry:               yes("By the SDK."),
			plan.FieldDeadLetter:          yes("A topic with one partition. It stays until the subscription is deleted, even if it is switched off."),
			plan.FieldDeadLetterRetention: yes("By the topic, in whole milliseconds."),
			plan.FieldReplay:              yes("Waits until no consumer is connected: Kafka moves no position of a group that is active."),
			plan.FieldFilter:              yes("By the SDK."),
		},
	}
}
