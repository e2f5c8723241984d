package layout

import "strconv"

// Keys on Redis. Those of one partition share a hash tag, so that one script may touch them on a cluster, and begin
// with [RedisPartition]. No key has a time to live: volatile-* eviction policies must not take one.

// RedisMarker is a hash: who owns the store, and its settings. It is the first key that creation writes, so that of two
// claimants one loses before anything exists, and the last that deletion removes.
func RedisMarker(store string) string { return "es:{" + store + "}:marker" }

// Fields of [RedisMarker] that the SDK reads when it opens a store. It refuses one that differs from its Secret.
const (
	RedisMarkerLayout     = "layout"     // [Version] that the store was created with
	RedisMarkerPartitions = "partitions" // how many, in decimal
	RedisMarkerHash       = "hash"       // [Hash]
	RedisMarkerKind       = "kind"       // [Kind]
)

// RedisSubscriptionMarker is a hash: who owns the subscription, its settings and what was done to its positions.
func RedisSubscriptionMarker(store, subscription string) string {
	return "es:{" + store + "}:" + subscription + ":marker"
}

// RedisSubscriptions is a set: the names of the subscriptions of a store that have a marker. It outlives the store's own
// marker while one of them does.
func RedisSubscriptions(store string) string { return "es:{" + store + "}:subscriptions" }

// RedisPartition is how every key of one partition begins.
func RedisPartition(store string, partition int) string {
	return "es:{" + store + ":" + strconv.Itoa(partition) + "}:"
}

// RedisEvents is a Redis stream: one entry is one append.
func RedisEvents(store string, partition int) string {
	return RedisPartition(store, partition) + "events"
}

// RedisIndex is a sorted set for each stream of a sourcing store: members are entry ids of [RedisEvents], scores the
// version that the stream had after that entry. The highest score is the version of the stream.
func RedisIndex(store string, partition int, stream string) string {
	return RedisPartition(store, partition) + "index/" + stream
}

// RedisSnapshot is a hash for each stream that has a snapshot.
func RedisSnapshot(store string, partition int, stream string) string {
	return RedisPartition(store, partition) + "snapshot/" + stream
}

// RedisDeadLetters is a Redis stream: events that a subscription gave up on.
func RedisDeadLetters(store string, partition int, subscription string) string {
	return RedisPartition(store, partition) + subscription + ":dlq"
}

// RedisLease is a hash: which consumer of a subscription reads the partition now, its fencing token, and until when.
func RedisLease(store string, partition int, subscription string) string {
	return RedisPartition(store, partition) + subscription + ":lease"
}

// Fields of [RedisLease].
const (
	RedisLeaseConsumer = "consumer" // who reads the partition
	RedisLeaseToken    = "token"    // grows with every new consumer; a write with an older one is refused
	RedisLeaseUntil    = "until"    // milliseconds since 1970 by the server's clock; past: nobody reads the partition
)

// RedisRetries is a hash for each partition of a subscription: deliveries so far of entries that failed.
func RedisRetries(store string, partition int, subscription string) string {
	return RedisPartition(store, partition) + subscription + ":retries"
}
