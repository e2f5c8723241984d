// Package placement decides what a claim becomes: which stores and subscriptions, in which locations, by which
// ProviderConfigs, and why not. It is pure: the same claim, placement and observation give the same result.
//
//	result := placement.Place(claim, input, observed)
//
// [Place] never gives up a store because it was not asked for any more: see [Result].
package placement

import (
	"fmt"

	"github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
	placementv1alpha1 "github.com/crossplane-contrib/provider-eventstore/apis/placement/v1alpha1"
)

// A Claim is what an application team asks for: a composite resource, seen as its author sees it.
type Claim struct {
	// Kind that the author has written, such as EventStoreClaim.
	Kind string

	// Namespace and Name that the author has written. A cluster-scoped composite resource without a claim has no namespace.
	Namespace, Name string

	// Composite is the name of the composite resource, and UID its UID.
	Composite, UID string

	// Namespaced composite resources compose namespaced resources; others, cluster-scoped ones.
	Namespaced bool

	// Confirm is the confirm annotation.
	Confirm string

	// Created orders the claims of a namespace, together with the name.
	Created string

	Spec
}

// String names the claim in sentences.
func (c Claim) String() string {
	if c.Namespace == "" {
		return c.Kind + " " + c.Name
	}
	return fmt.Sprintf("%s %s/%s", c.Kind, c.Namespace, c.Name)
}

// Spec is the spec of all composite resources, XEventStore and AppEventStore, XSubscription and AppSubscription.
type Spec struct {
	Class     string                    `json:"class"`
	Locations []placementv1alpha1.Place `json:"locations,omitempty"`

	// Of stores.
	Partitions         *int32                      `json:"partitions,omitempty"`
	Retention          *v1alpha1.Retention         `json:"retention,omitempty"`
	Snapshots          *v1alpha1.Snapshots         `json:"snapshots,omitempty"`
	MaxEventBytes      *int64                      `json:"maxEventBytes,omitempty"`
	DeletionProtection v1alpha1.DeletionProtection `json:"deletionProtection,omitempty"`
	Subscriptions      []Subscription              `json:"subscriptions,omitempty"`

	// EventStore is the name of the claim whose store a subscription reads; empty: the claim is for a store.
	EventStore string `json:"eventStore,omitempty"`

	// Of subscriptions that are claims of their own.
	v1alpha1.SubscriptionParameters `json:",inline"`

	ConnectionSecretName string `json:"connectionSecretName,omitempty"`
}

// A Subscription is listed by the claim of its store.
type Subscription struct {
	Name                            string `json:"name"`
	ConnectionSecretName            string `json:"connectionSecretName,omitempty"`
	v1alpha1.SubscriptionParameters `json:",inline"`
}

// store returns the name on the brokers: the same for the same claim, so that a claim that comes back finds its events.
func (c Claim) store() string {
	name := c.Name
	if c.EventStore != "" {
		name = c.EventStore
	}
	if c.Namespace == "" {
		return name
	}
	return c.Namespace + "." + name
}
