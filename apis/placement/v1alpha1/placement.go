package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
)

// APIVersion of a Placement.
const APIVersion = "eventstore.fn.crossplane.io/v1alpha1"

// Kind of a Placement.
const Kind = "Placement"

// A Placement says which classes of store there are, in which locations, and by which ProviderConfigs; or where that is written.
// It has no broker's address and no credential: those are in the ProviderConfigs.
// +kubebuilder:object:root=true
// +kubebuilder:resource:categories=crossplane
// +kubebuilder:validation:XValidation:rule="has(self.environmentConfig) != (has(self.classes) || has(self.locations) || has(self.quotas))",message="set environmentConfig, or classes and locations"
type Placement struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// EnvironmentConfig is the name of one whose data are the rest of a Placement: classes, locations and quotas. So a
	// Composition that came with a package need not be changed. Default: they are here.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	EnvironmentConfig string `json:"environmentConfig,omitempty"`

	Offer `json:",inline"`
}

// An Offer is what a platform team offers.
type Offer struct {
	// Classes that claims may ask for.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Classes []Class `json:"classes,omitempty"`

	// Locations where stores may be.
	// +optional
	// +listType=map
	// +listMapKey=cloud
	// +listMapKey=region
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	Locations []Location `json:"locations,omitempty"`

	// Quotas bound how many stores the claims of a namespace may have. Default: none.
	// +optional
	// +listType=map
	// +listMapKey=namespace
	// +kubebuilder:validation:MaxItems=256
	Quotas []Quota `json:"quotas,omitempty"`
}

// A Class is a quality of store that the platform team offers: durable, isolated, fast, for example.
type Class struct {
	// Name that claims say.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name"`

	// Backend that the class's stores are on, where its locations do not say another. Default: the only one that a location
	// has.
	// +optional
	Backend v1alpha1.Backend `json:"backend,omitempty"`

	// Locations where the class is offered. Default: all that have the backend.
	// +optional
	// +listType=map
	// +listMapKey=cloud
	// +listMapKey=region
	// +kubebuilder:validation:MaxItems=256
	Locations []ClassLocation `json:"locations,omitempty"`

	// DefaultLocations are those of claims that name none. Default: the only one where the class is offered; a claim has to
	// name one if there are several.
	// +optional
	// +listType=map
	// +listMapKey=cloud
	// +listMapKey=region
	// +kubebuilder:validation:MaxItems=16
	DefaultLocations []Place `json:"defaultLocations,omitempty"`

	// Defaults are the parameters of the class's stores. What a claim says itself goes first.
	// +optional
	Defaults *v1alpha1.EventStoreParameters `json:"defaults,omitempty"`

	// Limits bound what claims may ask for. Default: none.
	// +optional
	Limits *Limits `json:"limits,omitempty"`
}

// Limits bound what a claim may ask for. They are looked at before anything is made.
type Limits struct {
	// MaxPartitions of a store.
	// +optional
	// +kubebuilder:validation:Minimum=1
	MaxPartitions *int32 `json:"maxPartitions,omitempty"`

	// MaxRetention is for how long, and up to which size, a store may keep events. A claim that keeps events for ever is
	// above any.
	// +optional
	MaxRetention *v1alpha1.Retention `json:"maxRetention,omitempty"`

	// MaxEventBytes of a store. Unit: bytes.
	// +optional
	// +kubebuilder:validation:Minimum=1024
	MaxEventBytes *int64 `json:"maxEventBytes,omitempty"`

	// MaxLocations of a claim.
	// +optional
	// +kubebuilder:validation:Minimum=1
	MaxLocations *int32 `json:"maxLocations,omitempty"`

	// MaxSubscriptions that a claim may list.
	// +optional
	// +kubebuilder:validation:Minimum=0
	MaxSubscriptions *int32 `json:"maxSubscriptions,omitempty"`
}

// A ClassLocation is where a class is offered.
type ClassLocation struct {
	Place `json:",inline"`

	// Backend that the class's stores are on there. Default: the class's.
	// +optional
	Backend v1alpha1.Backend `json:"backend,omitempty"`
}

// A Place is a region of a cloud.
type Place struct {
	// Cloud, such as aws.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Cloud string `json:"cloud"`

	// Region of the cloud, such as us-east-1.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Region string `json:"region"`
}

// String returns cloud/region.
func (p Place) String() string { return p.Cloud + "/" + p.Region }

// A Location is a place, and the brokers that are there.
type Location struct {
	Place `json:",inline"`

	// ProviderConfigs are the names of the brokers' ProviderConfigs (for claims) and ClusterProviderConfigs (for namespaced
	// composite resources), by backend.
	ProviderConfigs ProviderConfigs `json:"providerConfigs"`
}

// ProviderConfigs are names of ProviderConfigs by backend.
// +kubebuilder:validation:XValidation:rule="has(self.kafka) || has(self.pulsar) || has(self.redis)",message="name the ProviderConfig of kafka, pulsar or redis"
type ProviderConfigs struct {
	// Kafka is for classes of the backend kafka.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Kafka string `json:"kafka,omitempty"`

	// Pulsar is for classes of the backend pulsar.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Pulsar string `json:"pulsar,omitempty"`

	// Redis is for classes of the backend redis.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Redis string `json:"redis,omitempty"`
}

// Only returns the backend of the only ProviderConfig; empty if there are several.
func (p ProviderConfigs) Only() (only v1alpha1.Backend) {
	for _, b := range []v1alpha1.Backend{v1alpha1.BackendKafka, v1alpha1.BackendPulsar, v1alpha1.BackendRedis} {
		if p.Of(b) == "" {
			continue
		}
		if only != "" {
			return ""
		}
		only = b
	}
	return only
}

// Of returns the ProviderConfig of a backend; empty if there is none.
func (p ProviderConfigs) Of(b v1alpha1.Backend) string {
	switch b {
	case v1alpha1.BackendKafka:
		return p.Kafka
	case v1alpha1.BackendPulsar:
		return p.Pulsar
	case v1alpha1.BackendRedis:
		return p.Redis
	}
	return ""
}

// A Quota bounds the claims of a namespace.
type Quota struct {
	// Namespace of the claims. "*" is every namespace that has no quota of its own.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace"`

	// Stores is how many stores the claims of the namespace may have, each location counted.
	// +kubebuilder:validation:Minimum=0
	Stores int32 `json:"stores"`
}
