package v1alpha1

import (
	xpv2 "github.com/crossplane/crossplane/apis/v2/core/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	common "github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
)

// EventStoreParameters are the desired state of a store.
type EventStoreParameters struct {
	common.EventStoreParameters `json:",inline"`

	// PrincipalSecretRef is a Secret with what applications connect with: the keys username and password, or tls.crt
	// and tls.key. Where the broker knows the user by another name, as with an API key, the key principal has it. It
	// is needed where the ProviderConfig says principals: Provided, and refused otherwise.
	// Default: none. Backends: kafka, pulsar, redis.
	// +optional
	PrincipalSecretRef *xpv2.SecretReference `json:"principalSecretRef,omitempty"`
}

// An EventStoreSpec is the desired state of an EventStore.
type EventStoreSpec struct {
	xpv2.ClusterManagedResourceSpec `json:",inline"`

	// ForProvider is the desired state of the store.
	// +optional
	// +kubebuilder:default={}
	ForProvider EventStoreParameters `json:"forProvider"`
}

// An EventStoreStatus is the observed state of an EventStore.
type EventStoreStatus struct {
	xpv2.ManagedResourceStatus `json:",inline"`

	// AtProvider is what the provider last saw of the store.
	// +optional
	AtProvider common.EventStoreObservation `json:"atProvider,omitzero"`
}

// An EventStore holds streams of events on Kafka, Pulsar or Redis, as its ProviderConfig says. Its external name is the
// store's name on the broker; it defaults to the resource's name.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,categories={crossplane,managed},shortName=es
// +kubebuilder:printcolumn:name="READY",type="string",JSONPath=".status.conditions[?(@.type=='Ready')].status"
// +kubebuilder:printcolumn:name="SYNCED",type="string",JSONPath=".status.conditions[?(@.type=='Synced')].status"
// +kubebuilder:printcolumn:name="ACCEPTED",type="string",JSONPath=".status.conditions[?(@.type=='Accepted')].status"
// +kubebuilder:printcolumn:name="BACKEND",type="string",JSONPath=".status.atProvider.backend"
// +kubebuilder:printcolumn:name="PARTITIONS",type="integer",JSONPath=".status.atProvider.partitions"
// +kubebuilder:printcolumn:name="RECORDS",type="integer",JSONPath=".status.atProvider.records"
// +kubebuilder:printcolumn:name="EXTERNAL-NAME",type="string",JSONPath=".metadata.annotations.crossplane\\.io/external-name"
// +kubebuilder:printcolumn:name="AGE",type="date",JSONPath=".metadata.creationTimestamp"
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 200",message="the name of a store has at most 200 characters: choose a shorter metadata.name"
type EventStore struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +kubebuilder:default={}
	Spec   EventStoreSpec   `json:"spec"`
	Status EventStoreStatus `json:"status,omitempty"`
}

// An EventStoreList is a list of EventStores.
// +kubebuilder:object:root=true
type EventStoreList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []EventStore `json:"items"`
}

// Parameters are the desired state, without what differs between the scopes.
func (mg *EventStore) Parameters() *common.EventStoreParameters {
	return &mg.Spec.ForProvider.EventStoreParameters
}

// Observation is the observed state.
func (mg *EventStore) Observation() *common.EventStoreObservation { return &mg.Status.AtProvider }

// PrincipalSecretRef names the Secret with provided credentials, or is nil.
func (mg *EventStore) PrincipalSecretRef() *xpv2.SecretReference {
	return mg.Spec.ForProvider.PrincipalSecretRef
}

// DefaultExternalName is the external name of a store that has no annotation for it.
func (mg *EventStore) DefaultExternalName() string { return mg.GetName() }
