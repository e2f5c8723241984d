// Package v1alpha1 has the namespaced kinds of Crossplane v2, in the group eventstore.m.crossplane.io. What their
// parameters mean is in package apis/common/v1alpha1, which the cluster-scoped kinds share.
//
// What a namespaced kind names is in its own namespace: its connection Secret, the store that it reads, the Secrets of its
// ProviderConfig. Nothing here can spell another namespace.
//
// +kubebuilder:object:generate=true
// +groupName=eventstore.m.crossplane.io
// +versionName=v1alpha1
package v1alpha1
