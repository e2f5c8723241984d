// Package v1alpha1 is the input of the composition function: what a platform team offers to application teams, and where.
//
// A Placement is a step's input in a Composition. It is never an object of its own in a cluster.
//
// +kubebuilder:object:generate=true
// +groupName=eventstore.fn.crossplane.io
// +versionName=v1alpha1
package v1alpha1
