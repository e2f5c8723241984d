// Package v1alpha1 holds what the cluster-scoped and the namespaced kinds share: the parameters that users write, the
// observations that the provider reports, the settings of each backend, and the conditions and reasons.
//
// [EventStoreParameters] and [SubscriptionParameters] are embedded in the spec of both scopes, so that the two cannot
// drift apart, and one controller serves both. Only what names a Secret differs between the scopes, and is not here:
// a namespaced kind has no way to spell another namespace.
//
// # Units
//
// Durations are strings in Go's format ("720h", "90m", "30s"; days are not a unit: 7 days are "168h"). Sizes are
// integers in bytes. Counts and sizes in a status are rounded to two significant digits and refreshed at most once per
// poll interval; live figures are metrics.
//
// # Presence
//
// In a spec, an absent field means the default that its comment names. In a status, an absent field means that the
// provider does not know, which is not the same as zero.
//
// +kubebuilder:object:generate=true
package v1alpha1
