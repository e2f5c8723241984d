package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Group and Version of the kinds in this package.
const (
	Group   = "eventstore.m.crossplane.io"
	Version = "v1alpha1"
)

// SchemeGroupVersion of the kinds in this package.
var SchemeGroupVersion = schema.GroupVersion{Group: Group, Version: Version}

// The kinds in this package.
var (
	EventStoreGroupVersionKind              = SchemeGroupVersion.WithKind("EventStore")
	SubscriptionGroupVersionKind            = SchemeGroupVersion.WithKind("Subscription")
	ProviderConfigGroupVersionKind          = SchemeGroupVersion.WithKind("ProviderConfig")
	ClusterProviderConfigGroupVersionKind   = SchemeGroupVersion.WithKind("ClusterProviderConfig")
	ProviderConfigUsageGroupVersionKind     = SchemeGroupVersion.WithKind("ProviderConfigUsage")
	ProviderConfigUsageListGroupVersionKind = SchemeGroupVersion.WithKind("ProviderConfigUsageList")
)

// AddToScheme adds the kinds in this package to a scheme.
func AddToScheme(s *runtime.Scheme) error {
	s.AddKnownTypes(SchemeGroupVersion,
		&EventStore{}, &EventStoreList{},
		&Subscription{}, &SubscriptionList{},
		&ProviderConfig{}, &ProviderConfigList{},
		&ClusterProviderConfig{}, &ClusterProviderConfigList{},
		&ProviderConfigUsage{}, &ProviderConfigUsageList{},
	)
	metav1.AddToGroupVersion(s, SchemeGroupVersion)
	return nil
}
