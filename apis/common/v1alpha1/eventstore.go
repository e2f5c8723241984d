package v1alpha1

// A DeletionProtection says when the provider refuses to delete a store.
// +kubebuilder:validation:Enum=WhenNotEmpty;Always;Never
type DeletionProtection string

const (
	// DeletionProtectionWhenNotEmpty refuses to delete a store that holds records, unless the confirm annotation
	// carries the token that the refusal prints.
	DeletionProtectionWhenNotEmpty DeletionProtection = "WhenNotEmpty"
	// DeletionProtectionAlways refuses to delete the store. No token helps: change the field first.
	DeletionProtectionAlways DeletionProtection = "Always"
	// DeletionProtectionNever deletes the store with everything it holds.
	DeletionProtectionNever DeletionProtection = "Never"
)

// EventStoreParameters are the desired state of a store, whatever the backend. Where a backend cannot do something, the
// resource says so (condition Accepted) before anything is created.
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.partitions) || (has(self.partitions) && self.partitions == oldSelf.partitions)",message="partitions cannot change once set, because events of one aggregate would lose their order: put the old value back, or create a new store and migrate",fieldPath=".partitions",reason="FieldValueForbidden"
// +kubebuilder:validation:XValidation:rule="(has(self.pulsar) && has(self.pulsar.tenant)) == (has(oldSelf.pulsar) && has(oldSelf.pulsar.tenant)) && (!has(self.pulsar) || !has(self.pulsar.tenant) || !has(oldSelf.pulsar) || !has(oldSelf.pulsar.tenant) || self.pulsar.tenant == oldSelf.pulsar.tenant)",message="pulsar.tenant cannot change, because the events would stay behind: put the old value back, or create a new store and migrate",reason="FieldValueForbidden"
type EventStoreParameters struct {
	// Partitions is how many partitions the store has; the events of one stream are all in one partition. It cannot
	// change once set, because growing it would reorder the events of an aggregate: create a new store and migrate.
	// Default: 6 for a new store, and what exists for an imported one; either is written here.
	// Backends: kafka, pulsar, redis.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1024
	Partitions *int32 `json:"partitions,omitempty"`

	// Retention says for how long, or up to which size, events are kept. A store with a retention is a streaming
	// store: appends to it are unconditional, because on a log whose beginning is gone nobody can tell which of two
	// racing appends won. Lowering it discards events, and needs a confirmation.
	// Default: events are kept for ever. Backends: kafka, pulsar, redis.
	// +optional
	Retention *Retention `json:"retention,omitempty"`

	// Snapshots keeps the latest snapshot of every stream beside the events.
	// Default: no snapshots. Backends: kafka, pulsar, redis.
	// +optional
	Snapshots *Snapshots `json:"snapshots,omitempty"`

	// MaxEventBytes is the largest append that the store takes, headers included. It is refused above what the broker
	// takes. Unit: bytes. Default: the broker's limit. Backends: kafka, pulsar, redis.
	// +optional
	// +kubebuilder:validation:Minimum=1024
	MaxEventBytes *int64 `json:"maxEventBytes,omitempty"`

	// Durability says how many copies of an event there are.
	// Default: the broker's. Backends: kafka, pulsar (as ensemble and acknowledgement quorums); redis refuses it, and
	// status reports what the server does.
	// +optional
	Durability *Durability `json:"durability,omitempty"`

	// Tiering moves old events to cheaper storage, from where they are still read.
	// Default: no tiering. Backends: kafka (remote storage), pulsar (offload); redis refuses it.
	// +optional
	Tiering *Tiering `json:"tiering,omitempty"`

	// MessageTTL makes subscriptions skip events that they have not read for longer. It loses events to a slow
	// consumer on purpose, so setting or lowering it needs a confirmation, and status counts what expired.
	// Unit: a duration such as 72h. Default: off. Backends: pulsar; kafka and redis refuse it.
	// +optional
	MessageTTL *Duration `json:"messageTTL,omitempty"`

	// Quota limits what the store may hold and how fast it may be written.
	// Default: none. Backends: kafka, pulsar, each as far as its fields say; redis refuses it.
	// +optional
	Quota *Quota `json:"quota,omitempty"`

	// DeletionProtection says when the provider refuses to delete the store: WhenNotEmpty, Always, Never.
	// Default: WhenNotEmpty. Backends: kafka, pulsar, redis.
	// +optional
	// +kubebuilder:default=WhenNotEmpty
	DeletionProtection DeletionProtection `json:"deletionProtection,omitempty"`

	// Kafka has the settings that exist on Kafka alone. Backends: kafka; others refuse it.
	// +optional
	Kafka *EventStoreKafka `json:"kafka,omitempty"`

	// Pulsar has the settings that exist on Pulsar alone. Backends: pulsar; others refuse it.
	// +optional
	Pulsar *EventStorePulsar `json:"pulsar,omitempty"`

	// Redis has the settings that exist on Redis alone. Backends: redis; others refuse it.
	// +optional
	Redis *EventStoreRedis `json:"redis,omitempty"`
}

// Retention bounds what a store keeps. Where both fields are set, events go as soon as either says so.
// +kubebuilder:validation:XValidation:rule="has(self.duration) || has(self.bytes)",message="set retention.duration, retention.bytes or both; to keep events for ever, leave retention out"
type Retention struct {
	// Duration is for how long events are kept. Unit: a duration such as 720h. Default: for ever.
	// Backends: kafka, pulsar, redis.
	// +optional
	Duration *Duration `json:"duration,omitempty"`

	// Bytes is the size up to which events are kept, over all partitions. Beyond it the oldest go, where more than an
	// even share is.
	// Unit: bytes. Default: no bound. Backends: kafka, pulsar, redis.
	// +optional
	// +kubebuilder:validation:Minimum=1
	Bytes *int64 `json:"bytes,omitempty"`
}

// Snapshots are folded states of streams, of which the latest is kept.
type Snapshots struct {
	// Enabled keeps the latest snapshot of every stream.
	Enabled bool `json:"enabled"`
}

// Durability is how many copies of an event there are.
// +kubebuilder:validation:XValidation:rule="!has(self.replicas) || !has(self.minInSync) || self.minInSync <= self.replicas",message="minInSync must be at most replicas: an append can never have more confirmed copies than there are copies"
type Durability struct {
	// Replicas is how many copies of every event there are, the first included.
	// Default: the broker's. Backends: kafka, pulsar; redis refuses it.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=16
	Replicas *int32 `json:"replicas,omitempty"`

	// MinInSync is how many copies must be confirmed before an append succeeds.
	// Default: the broker's. Backends: kafka, pulsar; redis refuses it.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=16
	MinInSync *int32 `json:"minInSync,omitempty"`
}

// Tiering moves old events to cheaper storage.
// +kubebuilder:validation:XValidation:rule="has(self.afterDuration) || has(self.afterBytes)",message="set tiering.afterDuration, tiering.afterBytes or both; for no tiering, leave tiering out"
type Tiering struct {
	// AfterDuration is the age at which events move. Unit: a duration such as 24h. Default: age moves nothing.
	// Backends: kafka, pulsar; redis refuses it.
	// +optional
	AfterDuration *Duration `json:"afterDuration,omitempty"`

	// AfterBytes is the size on the broker's own disks, over all partitions, above which the oldest events move.
	// Unit: bytes. Default: size moves nothing. Backends: kafka, pulsar; redis refuses it.
	// +optional
	// +kubebuilder:validation:Minimum=1
	AfterBytes *int64 `json:"afterBytes,omitempty"`
}

// Quota limits a store. Reaching it makes appends fail; it never discards events.
type Quota struct {
	// Bytes is how much the store may hold over all partitions. Unit: bytes. Default: no limit.
	// Backends: pulsar (backlog quota that holds producers back); kafka and redis refuse it.
	// +optional
	// +kubebuilder:validation:Minimum=1
	Bytes *int64 `json:"bytes,omitempty"`

	// PublishRate is how fast the store may be written. Default: no limit.
	// Backends: kafka, pulsar; redis refuses it.
	// +optional
	PublishRate *PublishRate `json:"publishRate,omitempty"`
}

// PublishRate is how fast a store may be written.
// +kubebuilder:validation:XValidation:rule="has(self.bytesPerSecond) || has(self.appendsPerSecond)",message="set publishRate.bytesPerSecond, publishRate.appendsPerSecond or both; for no limit, leave publishRate out"
type PublishRate struct {
	// BytesPerSecond limits bytes. On Kafka it holds for the store's user on each broker, on Pulsar for each
	// partition. Unit: bytes per second. Default: no limit. Backends: kafka, pulsar.
	// +optional
	// +kubebuilder:validation:Minimum=1
	BytesPerSecond *int64 `json:"bytesPerSecond,omitempty"`

	// AppendsPerSecond limits appends for each partition. Unit: appends per second. Default: no limit.
	// Backends: pulsar; kafka refuses it.
	// +optional
	// +kubebuilder:validation:Minimum=1
	AppendsPerSecond *int64 `json:"appendsPerSecond,omitempty"`
}
