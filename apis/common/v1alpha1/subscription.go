package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A SubscriptionType says how the consumers of a subscription share its events.
// +kubebuilder:validation:Enum=Exclusive;Failover;KeyShared;Shared
type SubscriptionType string

const (
	// SubscriptionExclusive takes one consumer, and refuses the second.
	SubscriptionExclusive SubscriptionType = "Exclusive"
	// SubscriptionFailover gives a partition to one consumer, and to another if that one goes.
	SubscriptionFailover SubscriptionType = "Failover"
	// SubscriptionKeyShared spreads the events over all consumers, in order for each aggregate.
	SubscriptionKeyShared SubscriptionType = "KeyShared"
	// SubscriptionShared spreads the events over all consumers, in no order.
	SubscriptionShared SubscriptionType = "Shared"
)

// SubscriptionParameters are the desired state of a subscription, whatever the backend. Which store it reads is not
// here, because the reference differs between the scopes.
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.replay) || !has(self.replay) || self.replay.id != oldSelf.replay.id || self.replay.from == oldSelf.replay.from",message="a replay happens once for each id: give the changed replay a new id",fieldPath=".replay",reason="FieldValueForbidden"
type SubscriptionParameters struct {
	// StartFrom is where the subscription starts. It is applied once, at creation, to every partition, and cannot
	// change: to move a subscription, set replay. Default: position: Earliest. Backends: kafka, pulsar, redis.
	// +optional
	// +kubebuilder:default={position: Earliest}
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="startFrom is applied once, at creation: put the old value back, and set replay (with a new id) to move the subscription",reason="FieldValueForbidden"
	StartFrom *Start `json:"startFrom,omitempty"`

	// Type says how consumers share the events: Exclusive (one consumer), Failover (one per partition, with
	// stand-ins), KeyShared (all, in order for each aggregate), Shared (all, in no order).
	// Default: KeyShared. Backends: kafka, pulsar, redis.
	// +optional
	// +kubebuilder:default=KeyShared
	Type SubscriptionType `json:"type,omitempty"`

	// Retry says how often, and after which pause, an event that a handler failed on is delivered again.
	// Default: see its fields. Backends: kafka, pulsar, redis.
	// +optional
	// +kubebuilder:default={}
	Retry *Retry `json:"retry,omitempty"`

	// DeadLetter keeps events that failed for good, with the cause, so that the next ones can be handled.
	// Default: enabled. Backends: kafka, pulsar, redis.
	// +optional
	// +kubebuilder:default={}
	DeadLetter *DeadLetter `json:"deadLetter,omitempty"`

	// Replay moves the subscription to another position, exactly once for each id; status records what was done. It
	// is refused, with the reason, while that would be unsafe: while consumers are connected, for example.
	// Default: none. Backends: kafka, pulsar, redis.
	// +optional
	Replay *Replay `json:"replay,omitempty"`

	// Filter says which events the subscription is for; the SDK acknowledges the others unseen.
	// Default: all. Backends: kafka, pulsar, redis.
	// +optional
	Filter *Filter `json:"filter,omitempty"`
}

// A StartPosition is one end of a store.
// +kubebuilder:validation:Enum=Earliest;Latest
type StartPosition string

const (
	// StartEarliest is before the oldest event that the store holds.
	StartEarliest StartPosition = "Earliest"
	// StartLatest is after the newest event that the store holds.
	StartLatest StartPosition = "Latest"
)

// A Start is a place in a store, in every partition of it. Exactly one of its fields is set.
// +kubebuilder:validation:XValidation:rule="!has(self.positions) || self.positions.all(p, p.position.matches('^[0-9]+([-:][0-9]+)*$'))",message="write a position as the backend spells it: 42 on Kafka, 12:7 on Pulsar, 1717171717171-0 on Redis"
// +kubebuilder:validation:XValidation:rule="(has(self.position) ? 1 : 0) + (has(self.time) ? 1 : 0) + (has(self.positions) ? 1 : 0) == 1",message="set exactly one of position (Earliest or Latest), time, and positions"
type Start struct {
	// Position is an end of the store: Earliest, Latest.
	// +optional
	Position StartPosition `json:"position,omitempty"`

	// Time starts with the first event of every partition that the broker stored at this time or later.
	// Unit: RFC 3339, such as 2026-01-31T12:00:00Z.
	// +optional
	Time *metav1.Time `json:"time,omitempty"`

	// Positions names the position of the first event to deliver, by partition. A partition that is not listed starts
	// with its first event.
	// +optional
	// +listType=map
	// +listMapKey=partition
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=1024
	Positions []PartitionPosition `json:"positions,omitempty"`
}

// A PartitionPosition is a place in one partition.
type PartitionPosition struct {
	// Partition is the partition's number, from 0.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=4095
	Partition int32 `json:"partition"`

	// Position in the partition, as the backend spells it: an offset on Kafka ("42"), ledger and entry on Pulsar
	// ("12:7"), a stream id on Redis ("1717171717171-0").
	// +kubebuilder:validation:MaxLength=64
	Position string `json:"position"`
}

// Retry says how often, and after which pause, an event is delivered again.
// +kubebuilder:validation:XValidation:rule="!has(self.initialBackoff) || !has(self.maxBackoff) || !self.initialBackoff.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$') || !self.maxBackoff.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$') || duration(self.initialBackoff) <= duration(self.maxBackoff)",message="initialBackoff must be at most maxBackoff: the pause grows from the first to the second"
type Retry struct {
	// MaxDeliveries is how often an event is delivered, the first time included, before it is a dead letter.
	// Default: 5.
	// +optional
	// +kubebuilder:default=5
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	MaxDeliveries int32 `json:"maxDeliveries,omitempty"`

	// InitialBackoff is the pause before the second delivery; it doubles from one to the next.
	// Unit: a duration such as 1s. Default: 1s.
	// +optional
	// +kubebuilder:default="1s"
	InitialBackoff *Duration `json:"initialBackoff,omitempty"`

	// MaxBackoff is the longest pause between two deliveries. Unit: a duration such as 30s. Default: 30s.
	// +optional
	// +kubebuilder:default="30s"
	MaxBackoff *Duration `json:"maxBackoff,omitempty"`
}

// DeadLetter says what becomes of events that failed for good.
// +kubebuilder:validation:XValidation:rule="!has(self.retention) || !has(self.enabled) || self.enabled",message="retention has no meaning while enabled is false: remove it, or set enabled to true"
type DeadLetter struct {
	// Enabled keeps events that failed maxDeliveries times as dead letters. If false, such an event is delivered
	// for ever, and those behind it wait. Default: true.
	// +optional
	// +kubebuilder:default=true
	Enabled *bool `json:"enabled,omitempty"`

	// Retention is for how long dead letters are kept. Unit: a duration such as 720h. Default: for ever.
	// Backends: kafka, pulsar, redis.
	// +optional
	Retention *Duration `json:"retention,omitempty"`
}

// A Replay moves a subscription to another position.
type Replay struct {
	// ID tells one replay from the next: a new id is a new replay. Any text of letters, digits, '.', '_' and '-'.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?$`
	ID string `json:"id"`

	// From is where the subscription goes.
	From Start `json:"from"`
}

// A Filter says which events a subscription is for.
type Filter struct {
	// EventTypes are the types that are handled, as in the CloudEvents attribute "type".
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=128
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=256
	// +kubebuilder:validation:items:Pattern=`^[^,\s]+$`
	EventTypes []string `json:"eventTypes"`
}
