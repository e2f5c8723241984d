package v1alpha1

// EventStoreKafka has what exists on Kafka alone.
// +kubebuilder:validation:XValidation:rule="!has(self.config) || !has(self.unmanaged) || !self.unmanaged.exists(k, k in self.config)",message="a key is either in config (ours to set) or in unmanaged (not ours): remove it from one of them"
type EventStoreKafka struct {
	// Config sets configuration keys of the events topic, by Kafka's names. A key that is removed from here goes back
	// to the broker's default. Keys that another field sets are refused. Default: none. Backends: kafka.
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	// +kubebuilder:validation:XValidation:rule="self.all(k, size(k) <= 128 && k.matches('^[a-z][a-z0-9.]*$'))",message="a key is a topic setting by Kafka's name, such as segment.ms: lower case letters, digits and dots"
	// +kubebuilder:validation:XValidation:rule="!('retention.ms' in self) && !('retention.bytes' in self)",message="retention.ms and retention.bytes belong to spec.forProvider.retention"
	// +kubebuilder:validation:XValidation:rule="!('max.message.bytes' in self)",message="max.message.bytes belongs to spec.forProvider.maxEventBytes"
	// +kubebuilder:validation:XValidation:rule="!('min.insync.replicas' in self)",message="min.insync.replicas belongs to spec.forProvider.durability.minInSync"
	// +kubebuilder:validation:XValidation:rule="!('remote.storage.enable' in self) && !('local.retention.ms' in self) && !('local.retention.bytes' in self)",message="remote.storage.enable, local.retention.ms and local.retention.bytes belong to spec.forProvider.tiering"
	// +kubebuilder:validation:XValidation:rule="!('cleanup.policy' in self) && !('message.timestamp.type' in self) && !('unclean.leader.election.enable' in self) && !('remote.log.delete.on.disable' in self)",message="cleanup.policy, message.timestamp.type, unclean.leader.election.enable and remote.log.delete.on.disable are fixed, because other values lose or reorder events: remove them"
	Config map[string]KafkaConfigValue `json:"config,omitempty"`

	// Unmanaged lists configuration keys that somebody else sets, and that the provider neither sets nor resets.
	// Default: none. Backends: kafka.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=128
	// +kubebuilder:validation:items:Pattern=`^[a-z][a-z0-9.]*$`
	Unmanaged []string `json:"unmanaged,omitempty"`
}

// A KafkaConfigValue is the value of a topic's configuration key, as Kafka spells it.
// +kubebuilder:validation:MaxLength=1024
type KafkaConfigValue string

// EventStorePulsar has what exists on Pulsar alone.
type EventStorePulsar struct {
	// Tenant that the store's namespace is in. It cannot change. Default: the ProviderConfig's. Backends: pulsar.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:Pattern=`^[-=:.\w]*$`
	Tenant *string `json:"tenant,omitempty"`

	// Policies sets policies of the store's namespace, by the names of Pulsar's admin API, such as
	// deduplicationEnabled. Values are JSON, as text: "true", or an object in braces. One that is removed from here goes
	// back to the broker's default. Policies that another field sets are refused. Default: none. Backends: pulsar.
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	// +kubebuilder:validation:XValidation:rule="self.all(k, size(k) <= 128 && k.matches('^[A-Za-z][A-Za-z0-9_]*$'))",message="a key is a namespace policy by Pulsar's name, such as deduplicationEnabled"
	// +kubebuilder:validation:XValidation:rule="!('retention_policies' in self)",message="retention_policies belongs to spec.forProvider.retention"
	// +kubebuilder:validation:XValidation:rule="!('message_ttl_in_seconds' in self)",message="message_ttl_in_seconds belongs to spec.forProvider.messageTTL"
	// +kubebuilder:validation:XValidation:rule="!('persistence' in self)",message="persistence belongs to spec.forProvider.durability"
	// +kubebuilder:validation:XValidation:rule="!('backlog_quota_map' in self) && !('publishMaxMessageRate' in self)",message="backlog_quota_map and publishMaxMessageRate belong to spec.forProvider.quota"
	// +kubebuilder:validation:XValidation:rule="!('offload_policies' in self) && !('offload_threshold' in self)",message="offload_policies and offload_threshold belong to spec.forProvider.tiering"
	// +kubebuilder:validation:XValidation:rule="!('schema_compatibility_strategy' in self)",message="schema_compatibility_strategy belongs to spec.forProvider.pulsar.nativeSchema.compatibility"
	Policies map[string]PulsarPolicyValue `json:"policies,omitempty"`

	// NativeSchema gives the events topic a schema in Pulsar's own registry. An append to such a store is one event
	// of that type. Default: none; payloads are bytes. Backends: pulsar.
	// +optional
	NativeSchema *PulsarSchema `json:"nativeSchema,omitempty"`
}

// A PulsarPolicyValue is the value of a namespace policy, as JSON.
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=4096
type PulsarPolicyValue string

// A PulsarSchemaType is a kind of schema that Pulsar's registry knows.
// +kubebuilder:validation:Enum=Avro;JSON;Protobuf
type PulsarSchemaType string

const (
	// PulsarSchemaAvro is an Avro schema.
	PulsarSchemaAvro PulsarSchemaType = "Avro"
	// PulsarSchemaJSON is JSON, described by an Avro schema.
	PulsarSchemaJSON PulsarSchemaType = "JSON"
	// PulsarSchemaProtobuf is Protobuf, described by an Avro schema.
	PulsarSchemaProtobuf PulsarSchemaType = "Protobuf"
)

// A PulsarSchemaCompatibility says which changes of a schema the namespace takes.
// +kubebuilder:validation:Enum=Backward;BackwardTransitive;Forward;ForwardTransitive;Full;FullTransitive;AlwaysCompatible;AlwaysIncompatible
type PulsarSchemaCompatibility string

// A PulsarSchema is a schema in Pulsar's own registry.
type PulsarSchema struct {
	// Type of the schema: Avro, JSON, Protobuf.
	Type PulsarSchemaType `json:"type"`

	// Definition is the schema itself, as text.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=65536
	Definition string `json:"definition"`

	// Compatibility says which changes of the schema the store takes. Default: FullTransitive, because events are
	// read by older and newer code for as long as they are kept.
	// +optional
	// +kubebuilder:default=FullTransitive
	Compatibility PulsarSchemaCompatibility `json:"compatibility,omitempty"`
}

// EventStoreRedis has what exists on Redis alone.
type EventStoreRedis struct {
	// RequirePersistence refuses the store unless the server writes an append-only file, so that a restart loses
	// nothing that it had confirmed. Default: false; status reports whether it does. Backends: redis.
	// +optional
	RequirePersistence *bool `json:"requirePersistence,omitempty"`
}
