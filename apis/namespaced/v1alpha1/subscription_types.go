package v1alpha1

import (
	xpv2 "github.com/crossplane/crossplane/apis/v2/core/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	common "github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
)

// SubscriptionParameters are the desired state of a subscription.
// +kubebuilder:validation:XValidation:rule="has(self.eventStore) || has(self.eventStoreRef) || has(self.eventStoreSelector)",message="say which store to read: set eventStoreRef, eventStoreSelector, or eventStore (its external name)"
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.eventStore) || (has(self.eventStore) && self.eventStore == oldSelf.eventStore)",message="eventStore cannot change, because positions in one store mean nothing in another: put the old value back, or create another Subscription",reason="FieldValueForbidden"
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.eventStoreRef) || (has(self.eventStoreRef) && self.eventStoreRef.name == oldSelf.eventStoreRef.name)",message="eventStoreRef cannot change, because positions in one store mean nothing in another: put the old value back, or create another Subscription",reason="FieldValueForbidden"
type SubscriptionParameters struct {
	common.SubscriptionParameters `json:",inline"`

	// EventStore is the external name of the store to read. It cannot change.
	// Default: that of the store which eventStoreRef or eventStoreSelector names. Backends: kafka, pulsar, redis.
	// +optional
	// +kubebuilder:validation:MaxLength=200
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$`
	EventStore string `json:"eventStore,omitempty"`

	// EventStoreRef names the EventStore to read, of the same namespace. It cannot change.
	// +optional
	// +kubebuilder:validation:XValidation:rule="!has(self.namespace)",message="a Subscription reads a store of its own namespace: remove namespace"
	EventStoreRef *xpv2.NamespacedReference `json:"eventStoreRef,omitempty"`

	// EventStoreSelector selects the EventStore to read, of the same namespace, once.
	// +optional
	// +kubebuilder:validation:XValidation:rule="!has(self.namespace)",message="a Subscription reads a store of its own namespace: remove namespace"
	EventStoreSelector *xpv2.NamespacedSelector `json:"eventStoreSelector,omitempty"`

	// PrincipalSecretRef is a Secret of the same namespace with what consumers connect with: the keys username and
	// password, or tls.crt and tls.key. Where the broker knows the user by another name, as with an API key, the key
	// principal has it. It is needed where the ProviderConfig says principals: Provided, and refused otherwise.
	// Default: none. Backends: kafka, pulsar, redis.
	// +optional
	PrincipalSecretRef *xpv2.LocalSecretReference `json:"principalSecretRef,omitempty"`
}

// A SubscriptionSpec is the desired state of a Subscription.
type SubscriptionSpec struct {
	xpv2.ManagedResourceSpec `json:",inline"`

	// ForProvider is the desired state of the subscription.
	ForProvider SubscriptionParameters `json:"forProvider"`
}

// A SubscriptionStatus is the observed state of a Subscription.
type SubscriptionStatus struct {
	xpv2.ManagedResourceStatus `json:",inline"`

	// AtProvider is what the provider last saw of the subscription.
	// +optional
	AtProvider common.SubscriptionObservation `json:"atProvider,omitzero"`

	// Binding names the connection Secret, for the Service Binding specification.
	// +optional
	Binding *common.Binding `json:"binding,omitempty"`
}

// A Subscription is a named place in a store from which consumers read on together. Its external name is its name on the
// broker; it defaults to the resource's name.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:metadata:labels="servicebinding.io/provisioned-service=true"
// +kubebuilder:resource:scope=Namespaced,categories={crossplane,managed},shortName=sub
// +kubebuilder:printcolumn:name="READY",type="string",JSONPath=".status.conditions[?(@.type=='Ready')].status"
// +kubebuilder:printcolumn:name="SYNCED",type="string",JSONPath=".status.conditions[?(@.type=='Synced')].status"
// +kubebuilder:printcolumn:name="ACCEPTED",type="string",JSONPath=".status.conditions[?(@.type=='Accepted')].status"
// +kubebuilder:printcolumn:name="STORE",type="string",JSONPath=".spec.forProvider.eventStore"
// +kubebuilder:printcolumn:name="TYPE",type="string",JSONPath=".spec.forProvider.type"
// +kubebuilder:printcolumn:name="LAG",type="integer",JSONPath=".status.atProvider.lagRecords"
// +kubebuilder:printcolumn:name="CONSUMERS",type="integer",JSONPath=".status.atProvider.consumers"
// +kubebuilder:printcolumn:name="AGE",type="date",JSONPath=".metadata.creationTimestamp"
// +kubebuilder:validation:XValidation:rule="!self.metadata.name.contains('.')",message="the name of a subscription has no dots, because they separate it from the store's name on the broker: use '-' in metadata.name"
type Subscription struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   SubscriptionSpec   `json:"spec"`
	Status SubscriptionStatus `json:"status,omitempty"`
}

// A SubscriptionList is a list of Subscriptions.
// +kubebuilder:object:root=true
type SubscriptionList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Subscription `json:"items"`
}

// Parameters are the desired state, without what differs between the scopes.
func (mg *Subscription) Parameters() *common.SubscriptionParameters {
	return &mg.Spec.ForProvider.SubscriptionParameters
}

// Observation is the observed state.
func (mg *Subscription) Observation() *common.SubscriptionObservation { return &mg.Status.AtProvider }

// EventStore is the external name of the store to read. It is empty until the reference is resolved.
func (mg *Subscription) EventStore() string { return mg.Spec.ForProvider.EventStore }

// PrincipalSecretRef names the Secret with provided credentials, or is nil.
func (mg *Subscription) PrincipalSecretRef() *xpv2.SecretReference {
	r := mg.Spec.ForProvider.PrincipalSecretRef
	if r == nil {
		return nil
	}
	return &xpv2.SecretReference{Name: r.Name, Namespace: mg.GetNamespace()}
}

// SetBinding says which Secret of this namespace has the connection details; an empty name withdraws it.
func (mg *Subscription) SetBinding(secret string) {
	if secret == "" {
		mg.Status.Binding = nil
		return
	}
	mg.Status.Binding = &common.Binding{Name: secret}
}

// DefaultExternalName is the external name of a subscription that has no annotation for it.
func (mg *Subscription) DefaultExternalName() string { return mg.GetName() }
