package v1alpha1

import (
	"slices"

	xpv2 "github.com/crossplane/crossplane/apis/v2/core/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	common "github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
)

// A ClusterProviderConfigSpec says how resources of every namespace reach a broker.
type ClusterProviderConfigSpec struct {
	common.ProviderConfigSpec `json:",inline"`

	// ExternalNames lists the namespaces whose resources may have an external name that does not begin with
	// "<namespace>.". Such a namespace can get at every store of the broker. Default: none.
	// +optional
	// +listType=map
	// +listMapKey=namespace
	// +kubebuilder:validation:MaxItems=1024
	ExternalNames []ExternalNameGrant `json:"externalNames,omitempty"`
}

// An ExternalNameGrant lets a namespace use external names outside its prefix.
type ExternalNameGrant struct {
	// Namespace that may use any external name.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace"`
}

// A ClusterProviderConfig says how the namespaced kinds reach a broker, in every namespace.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,categories={crossplane,provider}
// +kubebuilder:printcolumn:name="HEALTHY",type="string",JSONPath=".status.conditions[?(@.type=='Healthy')].status"
// +kubebuilder:printcolumn:name="BACKEND",type="string",JSONPath=".status.broker.backend"
// +kubebuilder:printcolumn:name="USERS",type="integer",JSONPath=".status.users"
// +kubebuilder:printcolumn:name="AGE",type="date",JSONPath=".metadata.creationTimestamp"
// +kubebuilder:printcolumn:name="VERSION",type="string",JSONPath=".status.broker.version",priority=1
// +kubebuilder:printcolumn:name="ENDPOINT",type="string",JSONPath=".status.broker.endpoint",priority=1
type ClusterProviderConfig struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   ClusterProviderConfigSpec   `json:"spec"`
	Status common.ProviderConfigStatus `json:"status,omitempty"`
}

// A ClusterProviderConfigList is a list of ClusterProviderConfigs.
// +kubebuilder:object:root=true
type ClusterProviderConfigList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ClusterProviderConfig `json:"items"`
}

// Connection is the spec, with a namespace in every reference to a Secret.
func (p *ClusterProviderConfig) Connection() common.ProviderConfigSpec {
	return *p.Spec.ProviderConfigSpec.DeepCopy()
}

// Observation is the observed state.
func (p *ClusterProviderConfig) Observation() *common.ProviderConfigStatus { return &p.Status }

// GrantsExternalNames says whether resources of the namespace may have any external name.
func (p *ClusterProviderConfig) GrantsExternalNames(namespace string) bool {
	return slices.ContainsFunc(p.Spec.ExternalNames, func(g ExternalNameGrant) bool { return g.Namespace == namespace })
}

// A ProviderConfig says how the namespaced kinds of its own namespace reach a broker.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced,categories={crossplane,provider}
// +kubebuilder:printcolumn:name="HEALTHY",type="string",JSONPath=".status.conditions[?(@.type=='Healthy')].status"
// +kubebuilder:printcolumn:name="BACKEND",type="string",JSONPath=".status.broker.backend"
// +kubebuilder:printcolumn:name="USERS",type="integer",JSONPath=".status.users"
// +kubebuilder:printcolumn:name="AGE",type="date",JSONPath=".metadata.creationTimestamp"
// +kubebuilder:printcolumn:name="VERSION",type="string",JSONPath=".status.broker.version",priority=1
// +kubebuilder:printcolumn:name="ENDPOINT",type="string",JSONPath=".status.broker.endpoint",priority=1
type ProviderConfig struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   ProviderConfigSpec          `json:"spec"`
	Status common.ProviderConfigStatus `json:"status,omitempty"`
}

// A ProviderConfigList is a list of ProviderConfigs.
// +kubebuilder:object:root=true
type ProviderConfigList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ProviderConfig `json:"items"`
}

// Connection is the spec, with the ProviderConfig's own namespace in every reference to a Secret.
func (p *ProviderConfig) Connection() common.ProviderConfigSpec { return p.Spec.in(p.GetNamespace()) }

// Observation is the observed state.
func (p *ProviderConfig) Observation() *common.ProviderConfigStatus { return &p.Status }

// A ProviderConfigUsage records that a resource uses a ProviderConfig or a ClusterProviderConfig.
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Namespaced,categories={crossplane,provider}
// +kubebuilder:printcolumn:name="CONFIG-KIND",type="string",JSONPath=".providerConfigRef.kind"
// +kubebuilder:printcolumn:name="CONFIG-NAME",type="string",JSONPath=".providerConfigRef.name"
// +kubebuilder:printcolumn:name="RESOURCE-KIND",type="string",JSONPath=".resourceRef.kind"
// +kubebuilder:printcolumn:name="RESOURCE-NAME",type="string",JSONPath=".resourceRef.name"
// +kubebuilder:printcolumn:name="AGE",type="date",JSONPath=".metadata.creationTimestamp"
type ProviderConfigUsage struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	xpv2.TypedProviderConfigUsage `json:",inline"`
}

// A ProviderConfigUsageList is a list of ProviderConfigUsages.
// +kubebuilder:object:root=true
type ProviderConfigUsageList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ProviderConfigUsage `json:"items"`
}
