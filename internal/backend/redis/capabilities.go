package redis

import "github.com/crossplane-contrib/provider-eventstore/internal/plan"

// name is what the backend is called in specs and Secrets.
const name = "redis"

// Capabilities returns what Redis can do.
func (b *Backend) Capabilities() plan.Capabilities { return Capabilities() }

// Capabilities returns what Redis can do, without a server at hand.
func Capabilities() plan.Capabilities {
	yes := func(note string) plan.Support { return plan.Support{Supported: true, Note: note} }
	no := func(instead string) plan.Support { return plan.Support{Note: instead} }
	return plan.Capabilities{
		Backend:      name,
		SharedGroups: true,
		Fields: map[plan.Field]plan.Support{
			plan.FieldPartitions:        yes(""),
			plan.FieldRetentionDuration: yes("The provider trims in small steps, and whole blocks of about 100 records: events may stay a little longer, never shorter."),
			plan.FieldRetentionBytes:    yes("Counts the names and values of the records' fields, payloads included, over all partitions; not what Redis needs to keep them, nor what subscriptions have pending. The provider reads each record once to count it, and drops the oldest of the fullest partitions in small steps: a burst may exceed the limit for a while, and nothing is dropped below it."),
			plan.FieldSnapshots:         yes("One hash for each stream that has a snapshot."),
			plan.FieldMaxEventBytes:     yes("Checked by the SDK. The server's own limit is proto-max-bulk-len, 512 MiB by default."),
			plan.FieldReplicas:          no("replication is a setting of the server and not of a store: choose a ProviderConfig whose server has replicas, or the backend kafka or pulsar"),
			plan.FieldMinInSync:         no("replication is a setting of the server and not of a store: set min-replicas-to-write there, or choose the backend kafka"),
			plan.FieldTieringDuration:   no("all events are in memory: set retention.duration, or choose the backend kafka or pulsar"),
			plan.FieldTieringBytes:      no("all events are in memory: set retention.bytes, or choose the backend kafka or pulsar"),
			plan.FieldMessageTTL:        no("a subscription on Redis reads everything that is kept: set retention.duration, or choose the backend pulsar"),
			plan.FieldQuotaBytes:        no("set retention.bytes, which makes a streaming store, or maxmemory on the server"),
			plan.FieldQuotaByteRate:     no("limit the rate in the application, or choose the backend kafka or pulsar"),
			plan.FieldQuotaAppendRate:   no("limit the rate in the application, or choose the backend pulsar"),
			plan.FieldKafkaConfig:       no("remove the field, or choose a ProviderConfig for Kafka"),
			plan.FieldKafkaUnmanaged:    no("remove the field, or choose a ProviderConfig for Kafka"),
			plan.FieldPulsarTenant:      no("remove the field, or choose a ProviderConfig for Pulsar"),
			plan.FieldPulsarPolicies:    no("remove the field, or choose a ProviderConfig for Pulsar"),
			plan.FieldPulsarSchema:      no("remove the field, or choose a ProviderConfig for Pulsar"),
			plan.FieldRedisPersistence:  yes(""),

			plan.FieldStartFrom:           yes("Positions are ids of Redis entries, <milliseconds>-<sequence>."),
			plan.FieldType:                yes("Kept by the SDK with a lease for each partition, whatever the type: one consumer at a time reads it. Shared gives up the order."),
			plan.FieldRetry:               yes("By the SDK."),
			plan.FieldDeadLetter:          yes("One Redis stream for each partition."),
			plan.FieldDeadLetterRetention: yes("The provider trims in small steps, and whole blocks of about 100 records."),
			plan.FieldReplay:              yes(""),
			plan.FieldFilter:              yes("By the SDK."),
		},
	}
}
