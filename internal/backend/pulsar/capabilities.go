package pulsar

import "github.com/crossplane-contrib/provider-eventstore/internal/plan"

// name is what the backend is called in specs and Secrets.
const name = "pulsar"

// Capabilities returns what Pulsar can do.
func (b *Backend) Capabilities() plan.Capabilities { return Capabilities() }

// Capabilities returns what Pulsar can do, without a cluster at hand.
func Capabilities() plan.Capabilities {
	yes := func(note string) plan.Support { return plan.Support{Supported: true, Note: note} }
	no := func(instead string) plan.Support { return plan.Support{Note: instead} }
	return plan.Capabilities{
		Backend: name,
		Fields: map[plan.Field]plan.Support{
			plan.FieldPartitions:        yes(""),
			plan.FieldRetentionDuration: yes("Rounded up to whole minutes. Pulsar drops whole ledgers, and nothing that a subscription has not acknowledged: events may stay longer, never shorter."),
			plan.FieldRetentionBytes:    yes("Each partition keeps its share, rounded up to whole MiB. Pulsar drops whole ledgers, and nothing that a subscription has not acknowledged."),
			plan.FieldSnapshots:         yes("A topic with as many partitions, which the brokers compact after 16 MiB. Needs topicLevelPoliciesEnabled on the brokers, which is their default."),
			plan.FieldMaxEventBytes:     yes("Checked by the SDK. The brokers' own limit is maxMessageSize, 5 MiB by default."),
			plan.FieldReplicas:          yes("Bookies that every record is written to. A change is for new records: those written before keep the copies that they have."),
			plan.FieldMinInSync:         yes("Bookies that must confirm. Needs durability.replicas; default: the majority of them."),
			plan.FieldTieringDuration:   yes("Rounded up to whole seconds. The brokers need an offload driver."),
			plan.FieldTieringBytes:      yes("Each partition keeps its share on the bookies. The brokers need an offload driver."),
			plan.FieldMessageTTL:        yes("Rounded up to whole seconds. The brokers look every five minutes by default."),
			plan.FieldQuotaBytes:        yes("Limits what subscriptions have not read, and not what is kept: each partition has its share, and producers fail when the slowest subscription of a partition exceeds it. Without subscriptions nothing is limited. The brokers look once a minute by default."),
			plan.FieldQuotaByteRate:     yes("Each partition has its share, so a store whose streams are uneven gets less."),
			plan.FieldQuotaAppendRate:   yes("Each partition has its share, so a store whose streams are uneven gets less."),
			plan.FieldKafkaConfig:       no("remove the field, or choose a ProviderConfig for Kafka"),
			plan.FieldKafkaUnmanaged:    no("remove the field, or choose a ProviderConfig for Kafka"),
			plan.FieldPulsarTenant:      yes("That of the ProviderConfig, or it is refused."),
			plan.FieldPulsarPolicies:    yes("Those that neither another field nor the provider sets. See docs/layout.md for what is fixed."),
			plan.FieldPulsarSchema:      yes("Uploaded by the provider; producers cannot change it."),
			plan.FieldRedisPersistence:  no("remove the field: bookies write to disk before they confirm"),

			plan.FieldStartFrom:           yes("Positions are <ledger>:<entry>. A time is that of publication, by the producer's clock."),
			plan.FieldType:                yes("All four are Pulsar's own; consumers ask for the type that the Secret names."),
			plan.FieldRetry:               yes("By the SDK."),
			plan.FieldDeadLetter:          yes("One topic for each subscription, with one partition."),
			plan.FieldDeadLetterRetention: yes("Rounded up to whole minutes. Needs topicLevelPoliciesEnabled on the brokers, which is their default."),
			plan.FieldReplay:              yes("Disconnects consumers, which then read from the new position."),
			plan.FieldFilter:              yes("By the SDK."),
		},
	}
}
