package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A Backend is a kind of broker.
// +kubebuilder:validation:Enum=kafka;pulsar;redis
type Backend string

const (
	// BackendKafka is Apache Kafka, or what speaks its protocol.
	BackendKafka Backend = "kafka"
	// BackendPulsar is Apache Pulsar.
	BackendPulsar Backend = "pulsar"
	// BackendRedis is Redis, with Redis Streams.
	BackendRedis Backend = "redis"
)

// A StoreKind says what an append to a store may demand.
// +kubebuilder:validation:Enum=Sourcing;Streaming
type StoreKind string

const (
	// StoreKindSourcing stores keep every event for ever, so an append can name the version that it expects.
	StoreKindSourcing StoreKind = "Sourcing"
	// StoreKindStreaming stores have a finite retention. Appends to them are unconditional.
	StoreKindStreaming StoreKind = "Streaming"
)

// EventStoreObservation is what the provider last saw of a store.
type EventStoreObservation struct {
	// Backend that the store is on: kafka, pulsar, redis.
	// +optional
	Backend Backend `json:"backend,omitempty"`

	// Endpoint that applications connect to: host:port of one broker, or a URL on Pulsar.
	// +optional
	Endpoint string `json:"endpoint,omitempty"`

	// LayoutVersion is the version of the data's layout on the broker that the store was created with.
	// +optional
	LayoutVersion *int32 `json:"layoutVersion,omitempty"`

	// Kind is Sourcing if the store keeps every event for ever, and Streaming if it has a retention.
	// +optional
	Kind StoreKind `json:"kind,omitempty"`

	// Partitions is how many partitions the store has.
	// +optional
	Partitions *int32 `json:"partitions,omitempty"`

	// Positions are the first and last position of every partition.
	// +optional
	// +listType=map
	// +listMapKey=partition
	// +kubebuilder:validation:MaxItems=4096
	Positions []PartitionRange `json:"positions,omitempty"`

	// Records is how many records the store holds. One record is one append; some are void, and one append can hold
	// several events. Rounded to two significant digits.
	// +optional
	Records *int64 `json:"records,omitempty"`

	// Bytes is how much the store holds on the broker, copies not counted. Rounded to two significant digits.
	// +optional
	Bytes *int64 `json:"bytes,omitempty"`

	// OldestRecordTime is when the oldest record was written.
	// +optional
	OldestRecordTime *metav1.Time `json:"oldestRecordTime,omitempty"`

	// NewestRecordTime is when the newest record was written.
	// +optional
	NewestRecordTime *metav1.Time `json:"newestRecordTime,omitempty"`

	// Retention as it is on the broker. Absent: events are kept for ever.
	// +optional
	Retention *RetentionObservation `json:"retention,omitempty"`

	// MaxEventBytes as it is on the broker. Unit: bytes.
	// +optional
	MaxEventBytes *int64 `json:"maxEventBytes,omitempty"`

	// Durability as it is on the broker.
	// +optional
	Durability *DurabilityObservation `json:"durability,omitempty"`

	// ExpiredEvents is how many events subscriptions have skipped because of messageTTL, since the brokers loaded the
	// store's topic last: after a restart they count anew. Backends: pulsar.
	// +optional
	ExpiredEvents *int64 `json:"expiredEvents,omitempty"`

	// AcceptedLosses is how often a person has confirmed that records are gone, and to go on without them.
	// +optional
	AcceptedLosses *int32 `json:"acceptedLosses,omitempty"`

	// Principal is the user that the store's applications connect as.
	// +optional
	Principal *PrincipalObservation `json:"principal,omitempty"`

	// AppliedConfig lists the keys of kafka.config or pulsar.policies that the provider has set on the broker, so
	// that one which leaves the spec is reset, and one that somebody else set is not.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=128
	AppliedConfig []string `json:"appliedConfig,omitempty"`
}

// A PartitionRange is what one partition of a store holds.
type PartitionRange struct {
	// Partition is the partition's number, from 0.
	// +kubebuilder:validation:Minimum=0
	Partition int32 `json:"partition"`

	// First is the position of the oldest record, as the backend spells it. Absent: the partition is empty.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	First string `json:"first,omitempty"`

	// Last is the position of the newest record, as the backend spells it. Absent: the partition is empty.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Last string `json:"last,omitempty"`

	// Records is how many records the partition holds. Rounded to two significant digits.
	// +optional
	Records *int64 `json:"records,omitempty"`
}

// RetentionObservation is the retention as it is on the broker.
type RetentionObservation struct {
	// Duration for which events are kept. Absent: no bound.
	// +optional
	Duration *Duration `json:"duration,omitempty"`

	// Bytes up to which events are kept, over all partitions. Absent: no bound.
	// +optional
	Bytes *int64 `json:"bytes,omitempty"`
}

// DurabilityObservation is how many copies of an event there are on the broker.
type DurabilityObservation struct {
	// Replicas is how many copies of every event there are, the first included. Absent: the broker does not tell.
	// +optional
	Replicas *int32 `json:"replicas,omitempty"`

	// Persistent says whether what the broker has confirmed outlives a restart.
	// +optional
	Persistent *bool `json:"persistent,omitempty"`

	// Note says in a few words where events are kept, and how many copies must be confirmed where the broker tells.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Note string `json:"note,omitempty"`
}

// PrincipalObservation is the user that applications connect as.
type PrincipalObservation struct {
	// Name of the user on the broker.
	// +optional
	Name string `json:"name,omitempty"`

	// Managed is true if the provider created the user and bounds what it may do.
	// +optional
	Managed *bool `json:"managed,omitempty"`

	// Isolation says in one sentence what does not keep this user from others' data, if anything: a user that was
	// provided, or what the backend cannot keep apart.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Isolation string `json:"isolation,omitempty"`
}

// A Binding names the connection Secret, which makes the resource a Provisioned Service of the Service Binding
// specification for Kubernetes.
type Binding struct {
	// Name of the Secret, in the resource's own namespace.
	Name string `json:"name"`
}
