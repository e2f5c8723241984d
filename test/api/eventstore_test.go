package api_test

import (
	"strings"
	"testing"
)

// TestEventStoreRules creates stores of both scopes. An empty want means that the store is accepted.
func TestEventStoreRules(t *testing.T) {
	cases := map[string]struct {
		reason string
		params string
		want   string
	}{
		"Empty":                       {"Every field has a default.", `{}`, ""},
		"Everything":                  {"All fields fit together, also those of other backends.", everything, ""},
		"NoPartitions":                {"A store has at least one partition.", `{partitions: 0}`, "should be greater than or equal to 1"},
		"TooManyPartitions":           {"There is an upper limit.", `{partitions: 1025}`, "should be less than or equal to 1024"},
		"RetentionByDuration":         {"A duration alone is a retention.", `{retention: {duration: 720h}}`, ""},
		"RetentionByBytes":            {"A size alone is a retention.", `{retention: {bytes: 1}}`, ""},
		"EmptyRetention":              {"A retention without a bound would look like one.", `{retention: {}}`, "leave retention out"},
		"RetentionInDays":             {"Days are not a unit, and the message says how to write them.", `{retention: {duration: 7d}}`, "7 days are 168h"},
		"RetentionZero":               {"Zero would delete everything.", `{retention: {duration: 0s}}`, "positive duration"},
		"RetentionNegative":           {"A negative duration means nothing.", `{retention: {duration: -1h}}`, "positive duration"},
		"RetentionEmptyString":        {"An empty string is not a duration.", `{retention: {duration: ""}}`, "positive duration"},
		"RetentionNumber":             {"A number has no unit.", `{retention: {duration: 720}}`, "must be of type string"},
		"RetentionOverflow":           {"More than Go's durations hold is refused, not wrapped around.", `{retention: {duration: 99999999999h}}`, "retention.duration"},
		"RetentionParts":              {"Several units add up.", `{retention: {duration: 1h30m}}`, ""},
		"RetentionZeroBytes":          {"Zero bytes would delete everything.", `{retention: {bytes: 0}}`, "should be greater than or equal to 1"},
		"SnapshotsWithoutEnabled":     {"Presence alone does not say yes or no.", `{snapshots: {}}`, "snapshots.enabled: Required"},
		"MaxEventBytesTiny":           {"Headers alone need more.", `{maxEventBytes: 1023}`, "should be greater than or equal to 1024"},
		"MinInSyncAboveReplicas":      {"Appends could never succeed.", `{durability: {replicas: 2, minInSync: 3}}`, "minInSync must be at most replicas"},
		"MinInSyncAlone":              {"The broker's default replicas are not known here.", `{durability: {minInSync: 3}}`, ""},
		"NoReplicas":                  {"There is at least one copy.", `{durability: {replicas: 0}}`, "should be greater than or equal to 1"},
		"EmptyTiering":                {"A tiering without a threshold does nothing.", `{tiering: {}}`, "leave tiering out"},
		"TieringDays":                 {"Every duration has the same rule.", `{tiering: {afterDuration: 1d}}`, "7 days are 168h"},
		"MessageTTLOnAnyBackend":      {"The backend is not known here: plan refuses it.", `{messageTTL: 72h}`, ""},
		"MessageTTLZero":              {"Zero would skip everything.", `{messageTTL: 0s}`, "positive duration"},
		"EmptyPublishRate":            {"A rate without a number limits nothing.", `{quota: {publishRate: {}}}`, "leave publishRate out"},
		"QuotaZero":                   {"A store that may hold nothing is no store.", `{quota: {bytes: 0}}`, "should be greater than or equal to 1"},
		"DeletionProtectionUnknown":   {"The message lists what there is.", `{deletionProtection: Sometimes}`, `supported values: "WhenNotEmpty", "Always", "Never"`},
		"KafkaRetention":              {"Two places for one setting would fight.", `{kafka: {config: {retention.ms: "1"}}}`, "belong to spec.forProvider.retention"},
		"KafkaMaxMessage":             {"Two places for one setting would fight.", `{kafka: {config: {max.message.bytes: "1"}}}`, "belongs to spec.forProvider.maxEventBytes"},
		"KafkaMinInSync":              {"Two places for one setting would fight.", `{kafka: {config: {min.insync.replicas: "1"}}}`, "belongs to spec.forProvider.durability.minInSync"},
		"KafkaTiering":                {"Two places for one setting would fight.", `{kafka: {config: {remote.storage.enable: "true"}}}`, "belong to spec.forProvider.tiering"},
		"KafkaCompaction":             {"Compaction would delete events.", `{kafka: {config: {cleanup.policy: compact}}}`, "are fixed"},
		"KafkaUncleanElection":        {"An unclean election would lose events.", `{kafka: {config: {unclean.leader.election.enable: "true"}}}`, "are fixed"},
		"KafkaTieredDeletion":         {"Without tiering, events that were moved would be deleted.", `{kafka: {config: {remote.log.delete.on.disable: "true"}}}`, "are fixed"},
		"KafkaKey":                    {"Kafka's keys are lower case.", `{kafka: {config: {Segment: "1"}}}`, "such as segment.ms"},
		"KafkaManagedAndUnmanaged":    {"A key is ours or not ours.", `{kafka: {config: {segment.ms: "1"}, unmanaged: [segment.ms]}}`, "remove it from one of them"},
		"KafkaUnmanagedTwice":         {"A set has each key once.", `{kafka: {unmanaged: [segment.ms, segment.ms]}}`, "Duplicate value"},
		"PulsarPolicyShapes":          {"A policy is JSON of any shape, as text.", `{pulsar: {policies: {deduplicationEnabled: "true", subscription_types_enabled: '["Key_Shared"]'}}}`, ""},
		"PulsarRetention":             {"Two places for one setting would fight.", `{pulsar: {policies: {retention_policies: "{}"}}}`, "belongs to spec.forProvider.retention"},
		"PulsarTTL":                   {"Two places for one setting would fight.", `{pulsar: {policies: {message_ttl_in_seconds: "1"}}}`, "belongs to spec.forProvider.messageTTL"},
		"PulsarPersistence":           {"Two places for one setting would fight.", `{pulsar: {policies: {persistence: "{}"}}}`, "belongs to spec.forProvider.durability"},
		"PulsarBacklogQuota":          {"An evicting quota must not come in by the back door.", `{pulsar: {policies: {backlog_quota_map: "{}"}}}`, "belong to spec.forProvider.quota"},
		"PulsarOffload":               {"Two places for one setting would fight.", `{pulsar: {policies: {offload_threshold: "1"}}}`, "belong to spec.forProvider.tiering"},
		"PulsarCompatibility":         {"Two places for one setting would fight.", `{pulsar: {policies: {schema_compatibility_strategy: FULL}}}`, "nativeSchema.compatibility"},
		"PulsarPolicyKey":             {"A policy's name has no dots.", `{pulsar: {policies: {a.b: "1"}}}`, "such as deduplicationEnabled"},
		"PulsarSchemaUnknown":         {"The message lists what there is.", `{pulsar: {nativeSchema: {type: XML, definition: x}}}`, `supported values: "Avro"`},
		"PulsarSchemaNoDefinition":    {"A schema needs its text.", `{pulsar: {nativeSchema: {type: Avro}}}`, "definition: Required"},
		"PulsarTenantWithSlash":       {"A tenant is one name.", `{pulsar: {tenant: a/b}}`, "pulsar.tenant"},
		"PrincipalSecretRefWithoutIt": {"A reference has a name.", `{principalSecretRef: {namespace: team-a}}`, "principalSecretRef.name: Required"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			for sn, s := range scopes {
				refused(t, sn+": "+tc.reason, try(t, s.params(t, "EventStore", "orders", tc.params)), tc.want)
			}
		})
	}
}

// everything sets every field that both scopes have.
const everything = `
partitions: 12
retention: {duration: 720h, bytes: 1073741824}
snapshots: {enabled: true}
maxEventBytes: 1048576
durability: {replicas: 3, minInSync: 2}
tiering: {afterDuration: 24h, afterBytes: 1073741824}
messageTTL: 72h
quota:
  bytes: 1073741824
  publishRate: {bytesPerSecond: 1048576, appendsPerSecond: 1000}
deletionProtection: Always
kafka:
  config: {segment.ms: "604800000"}
  unmanaged: [compression.type]
pulsar:
  tenant: shop
  policies: {deduplicationEnabled: "true"}
  nativeSchema: {type: Avro, definition: '{"type":"record"}', compatibility: Backward}
redis: {requirePersistence: true}
`

// TestEventStoreNames checks what the name alone gives away.
func TestEventStoreNames(t *testing.T) {
	cases := map[string]struct {
		reason string
		name   string
		want   string
	}{
		"Dots":    {"A store's name may have dots.", "shop.orders", ""},
		"Longest": {"200 characters still fit into the name of a topic.", strings.Repeat("a", 200), ""},
		"TooLong": {"More do not.", strings.Repeat("a", 201), "at most 200 characters"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			for sn, s := range scopes {
				refused(t, sn+": "+tc.reason, try(t, s.params(t, "EventStore", tc.name, "{}")), tc.want)
			}
		})
	}
}

// TestEventStoreChanges changes the parameters of a store that exists.
func TestEventStoreChanges(t *testing.T) {
	changes(t, "EventStore", map[string]change{
		"AddPartitions":    {"Late initialization writes what exists.", `{}`, `{partitions: 6}`, ""},
		"GrowPartitions":   {"Growing would reorder the events of an aggregate.", `{partitions: 6}`, `{partitions: 12}`, "create a new store and migrate"},
		"ShrinkPartitions": {"Shrinking would lose events.", `{partitions: 6}`, `{partitions: 3}`, "create a new store and migrate"},
		"RemovePartitions": {"Removing it would let the next change through.", `{partitions: 6}`, `{}`, "put the old value back"},
		"KeepPartitions":   {"Other fields change beside it.", `{partitions: 6}`, `{partitions: 6, deletionProtection: Never}`, ""},
		"ShrinkRetention":  {"It needs a confirmation, which the API server cannot see: plan refuses it.", `{retention: {duration: 2h}}`, `{retention: {duration: 1h}}`, ""},
		"ChangeTenant":     {"The events would stay behind.", `{pulsar: {tenant: a}}`, `{pulsar: {tenant: b}}`, "pulsar.tenant cannot change"},
		"AddTenant":        {"The store is in the ProviderConfig's tenant already.", `{}`, `{pulsar: {tenant: b}}`, "pulsar.tenant cannot change"},
		"RemoveTenant":     {"The store would move to the ProviderConfig's tenant.", `{pulsar: {tenant: a}}`, `{pulsar: {}}`, "pulsar.tenant cannot change"},
		"AddPolicies":      {"Policies may come and go.", `{pulsar: {tenant: a}}`, `{pulsar: {tenant: a, policies: {deduplicationEnabled: "true"}}}`, ""},
		"ProtectionsOff":   {"A person may take the protection away.", `{deletionProtection: Always}`, `{deletionProtection: Never}`, ""},
	})
}
