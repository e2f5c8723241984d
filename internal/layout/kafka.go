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

// KafkaGenesisType is the content type of the first record of every partition of [KafkaEvents]. The record is no event, and
// its value is a JSON object of a [KafkaGenesis].
const KafkaGenesisType = "application/vnd.eventstore.genesis+json"

// A KafkaGenesis says how a store is laid out. Whoever opens the store reads it, and refuses what it does not know, or what
// is not as its Secret says; if the first record of a sourcing store is no genesis, its history is lost.
type KafkaGenesis struct {
	Layout     int    `json:"layout"`     // [Version] that the store was created with
	Partitions int    `json:"partitions"` // of the topic when it was created; any more of them are not used
	Hash       string `json:"hash"`       // [Hash]
}

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
