package layout

// A KafkaACL allows a principal one operation on one resource, from any host. Names are literal, so a right never reaches
// into what another store or subscription is called.
type KafkaACL struct {
	Type      string // TOPIC or GROUP
	Name      string
	Operation string // READ, WRITE, DESCRIBE_CONFIGS
}

// KafkaStoreACL returns what the principal of a store may do: append, read, replay and keep snapshots.
//
//	<store>.events     READ, WRITE, DESCRIBE_CONFIGS  retention and clean-up policy are checked when a store is opened
//	<store>.snapshots  READ, WRITE
//
// Both imply DESCRIBE. There is no right to use transactions or to delete records, and none for groups: whoever replays
// keeps its own position. An idempotent producer needs no right of its own since Kafka 3.0 (KIP-679).
func KafkaStoreACL(store string) []KafkaACL {
	events, snapshots := KafkaEvents(store), KafkaSnapshots(store)
	return []KafkaACL{
		{"TOPIC", events, "DESCRIBE_CONFIGS"},
		{"TOPIC", events, "READ"},
		{"TOPIC", events, "WRITE"},
		{"TOPIC", snapshots, "READ"},
		{"TOPIC", snapshots, "WRITE"},
	}
}

// KafkaSubscriptionACL returns what the principal of a subscription may do, in the way of [KafkaStoreACL]: it reads the
// store, and writes nothing but its position and its dead letters.
//
//	<store>.events     READ, DESCRIBE_CONFIGS
//	<store>.snapshots  READ
//	<store>.<sub>      READ, of the group: to join it, and to commit
//	<store>.<sub>.dlq  READ, WRITE, DELETE: of records from the oldest on, and, which is as much, of the topic
func KafkaSubscriptionACL(store, subscription string) []KafkaACL {
	events, dead := KafkaEvents(store), KafkaDeadLetters(store, subscription)
	return []KafkaACL{
		{"GROUP", KafkaGroup(store, subscription), "READ"},
		{"TOPIC", dead, "DELETE"},
		{"TOPIC", dead, "READ"},
		{"TOPIC", dead, "WRITE"},
		{"TOPIC", events, "DESCRIBE_CONFIGS"},
		{"TOPIC", events, "READ"},
		{"TOPIC", KafkaSnapshots(store), "READ"},
	}
}
