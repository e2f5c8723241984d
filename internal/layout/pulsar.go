package layout

import "strconv"

// Names on Pulsar. A store is a namespace; none of its names needs escaping in a URL.

// PulsarNamespace is the namespace of a store, "<tenant>/<store>".
func PulsarNamespace(tenant, store string) string { return tenant + "/" + store }

// Local names of the topics in a store's namespace. Both are partitioned alike.
const (
	PulsarEvents    = "events"
	PulsarSnapshots = "snapshots"
)

// PulsarDeadLetters is the local name of the topic with the events that a subscription gave up on. It is not partitioned.
func PulsarDeadLetters(subscription string) string { return subscription + pulsarDeadLetters }

const pulsarDeadLetters = "-dlq"

// PulsarDeadLettersOf returns the subscription that a topic has the dead letters of; ok is false if it has none.
func PulsarDeadLettersOf(local string) (subscription string, ok bool) {
	n := len(local) - len(pulsarDeadLetters)
	if n <= 0 || local[n:] != pulsarDeadLetters || ValidateSubscription(local[:n]) != nil {
		return "", false
	}
	return local[:n], true
}

// PulsarTopic is the full name of a topic in a store's namespace.
func PulsarTopic(tenant, store, local string) string {
	return "persistent://" + PulsarNamespace(tenant, store) + "/" + local
}

// PulsarPartition is the name, local or full, of one partition of a topic.
func PulsarPartition(topic string, partition int) string {
	return topic + "-partition-" + strconv.Itoa(partition)
}
