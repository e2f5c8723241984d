// Package v1alpha1 has the cluster-scoped kinds, in the group eventstore.crossplane.io: those that claims compose. What
// their parameters mean is in package apis/common/v1alpha1, which the namespaced kinds share.
//
// +kubebuilder:object:generate=true
// +groupName=eventstore.crossplane.io
// +versionName=v1alpha1
package v1alpha1
