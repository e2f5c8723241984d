package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// SubscriptionObservation is what the provider last saw of a subscription.
type SubscriptionObservation struct {
	// Backend that the subscription is on: kafka, pulsar, redis.
	// +optional
	Backend Backend `json:"backend,omitempty"`

	// EventStore is the external name of the store that the subscription reads.
	// +optional
	EventStore string `json:"eventStore,omitempty"`

	// InitializedTime is when startFrom was applied to every partition. Once it is set, startFrom is not looked at
	// again: a position that is missing is restored from positions.
	// +optional
	InitializedTime *metav1.Time `json:"initializedTime,omitempty"`

	// LagRecords is how many records are not yet acknowledged, over all partitions. Rounded to two significant digits.
	// +optional
	LagRecords *int64 `json:"lagRecords,omitempty"`

	// LagSeconds is how long ago the oldest record that is not yet acknowledged was written. Unit: seconds. Rounded
	// to two significant digits.
	// +optional
	LagSeconds *int64 `json:"lagSeconds,omitempty"`

	// Consumers is how many consumers are connected.
	// +optional
	Consumers *int32 `json:"consumers,omitempty"`

	// EventStoreCreated is when the store was created whose records Positions are of, as its marker on the broker says. If
	// it is deleted and made again, they mean nothing in the new one, and are not restored.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	EventStoreCreated string `json:"eventStoreCreated,omitempty"`

	// Positions is the position of the next record to deliver, for every partition.
	// +optional
	// +listType=map
	// +listMapKey=partition
	// +kubebuilder:validation:MaxItems=4096
	Positions []PartitionPosition `json:"positions,omitempty"`

	// DeadLetters is how many dead letters wait. Rounded to two significant digits.
	// +optional
	DeadLetters *int64 `json:"deadLetters,omitempty"`

	// LastReplay is the last replay that was done.
	// +optional
	LastReplay *ReplayObservation `json:"lastReplay,omitempty"`

	// AcceptedLosses is how often a person has confirmed that a position is lost, and to begin again at startFrom.
	// +optional
	AcceptedLosses *int32 `json:"acceptedLosses,omitempty"`

	// Principal is the user that the subscription's consumers connect as.
	// +optional
	Principal *PrincipalObservation `json:"principal,omitempty"`
}

// ReplayObservation is what a replay did.
type ReplayObservation struct {
	// ID of the replay.
	ID string `json:"id"`

	// From is where the subscription was told to go.
	// +optional
	From *Start `json:"from,omitempty"`

	// Time at which the positions were moved.
	// +optional
	Time *metav1.Time `json:"time,omitempty"`

	// Before are the positions that the subscription had, so that a replay can be undone.
	// +optional
	// +listType=map
	// +listMapKey=partition
	// +kubebuilder:validation:MaxItems=4096
	Before []PartitionPosition `json:"before,omitempty"`

	// Positions are where the subscription was moved to.
	// +optional
	// +listType=map
	// +listMapKey=partition
	// +kubebuilder:validation:MaxItems=4096
	Positions []PartitionPosition `json:"positions,omitempty"`
}
