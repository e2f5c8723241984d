package layout

// Topics, groups and registry keys on Kafka. No store's name has a slash, and no subscription's a dot, so none of them can
// be mistaken for another's.

// KafkaEvents is the topic of a store's events: one record is one append, and its key is the stream.
func KafkaEvents(store string) string { return store + ".events" }

// KafkaSnapshots is the compacted topic of a store's snapshots, with as many partitions as [KafkaEvents]. Its key is the
// stream.
func KafkaSnapshots(store string) string { return store + ".snapshots" }

// KafkaDeadLetters is the topic of the events that a subscription gave up on.
func KafkaDeadLetters(store, subscription string) string { return store + "." + subscription + ".dlq" }

// KafkaGroup is the consumer group of a subscription.
func KafkaGroup(store, subscription string) string { return store + "." + subscription }

// KafkaGenesisType is [GenesisType]: the genesis record is the same as on Pulsar.
const KafkaGenesisType = GenesisType

// A KafkaGenesis is a [Genesis].
type KafkaGenesis = Genesis

// Keys of records in the registry topic, which has the markers of all stores and subscriptions of a cluster. The values
// are the provider's own; docs/layout.md says when a record counts.

// KafkaStoreKey is the key of a store's marker.
func KafkaStoreKey(store string) string { return KafkaStoreKeys + store }

// KafkaSubscriptionKey is the key of a subscription's marker.
func KafkaSubscriptionKey(store, subscription string) string {
	return KafkaSubscriptionKeys + store + "/" + subscription
}

// KafkaDeadLettersKey is the key of a note that a subscription has dead letters: it outlives the subscription's marker, so
// that they go on protecting their store.
func KafkaDeadLettersKey(store, subscription string) string {
	return KafkaDeadLettersKeys + store + "/" + subscription
}

// How the keys begin.
const (
	KafkaStoreKeys        = "store/"
	KafkaSubscriptionKeys = "subscription/"
	KafkaDeadLettersKeys  = "dead-letters/"
)

// KafkaSeen is the header of a registry record that says up to which offset of the registry, in decimal and exclusive, its
// writer had read.
const KafkaSeen = "seen"
