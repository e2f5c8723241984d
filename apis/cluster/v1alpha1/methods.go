package v1alpha1

import (
	"github.com/crossplane/crossplane-runtime/v2/pkg/resource"
	xpv2 "github.com/crossplane/crossplane/apis/v2/core/v2"
)

// The runtime's interfaces, by hand: the newest angryjet that the module proxy serves does not know the types that
// crossplane-runtime v2.4 uses. See docs/decisions.
//
//nolint:staticcheck // Claims need cluster-scoped kinds, and the runtime has no other name for these than "legacy".
var (
	_ resource.LegacyManaged             = &EventStore{}
	_ resource.LegacyManaged             = &Subscription{}
	_ resource.ManagedList               = &EventStoreList{}
	_ resource.ManagedList               = &SubscriptionList{}
	_ resource.ProviderConfig            = &ProviderConfig{}
	_ resource.LegacyProviderConfigUsage = &ProviderConfigUsage{}
	_ resource.ProviderConfigUsageList   = &ProviderConfigUsageList{}
)

// GetCondition of this EventStore.
func (mg *EventStore) GetCondition(t xpv2.ConditionType) xpv2.Condition {
	return mg.Status.GetCondition(t)
}

// SetConditions of this EventStore.
func (mg *EventStore) SetConditions(c ...xpv2.Condition) { mg.Status.SetConditions(c...) }

// GetManagementPolicies of this EventStore.
func (mg *EventStore) GetManagementPolicies() xpv2.ManagementPolicies {
	return mg.Spec.ManagementPolicies
}

// SetManagementPolicies of this EventStore.
func (mg *EventStore) SetManagementPolicies(p xpv2.ManagementPolicies) {
	mg.Spec.ManagementPolicies = p
}

// GetDeletionPolicy of this EventStore.
func (mg *EventStore) GetDeletionPolicy() xpv2.DeletionPolicy { return mg.Spec.DeletionPolicy }

// SetDeletionPolicy of this EventStore.
func (mg *EventStore) SetDeletionPolicy(p xpv2.DeletionPolicy) { mg.Spec.DeletionPolicy = p }

// GetProviderConfigReference of this EventStore.
func (mg *EventStore) GetProviderConfigReference() *xpv2.Reference {
	return mg.Spec.ProviderConfigReference
}

// SetProviderConfigReference of this EventStore.
func (mg *EventStore) SetProviderConfigReference(r *xpv2.Reference) {
	mg.Spec.ProviderConfigReference = r
}

// GetWriteConnectionSecretToReference of this EventStore.
func (mg *EventStore) GetWriteConnectionSecretToReference() *xpv2.SecretReference {
	return mg.Spec.WriteConnectionSecretToReference
}

// SetWriteConnectionSecretToReference of this EventStore.
func (mg *EventStore) SetWriteConnectionSecretToReference(r *xpv2.SecretReference) {
	mg.Spec.WriteConnectionSecretToReference = r
}

// SetObservedGeneration of this EventStore.
func (mg *EventStore) SetObservedGeneration(g int64) { mg.Status.SetObservedGeneration(g) }

// GetObservedGeneration of this EventStore.
func (mg *EventStore) GetObservedGeneration() int64 { return mg.Status.GetObservedGeneration() }

// SetLastHandledReconcileAt of this EventStore.
func (mg *EventStore) SetLastHandledReconcileAt(token string) {
	mg.Status.SetLastHandledReconcileAt(token)
}

// GetLastHandledReconcileAt of this EventStore.
func (mg *EventStore) GetLastHandledReconcileAt() string {
	return mg.Status.GetLastHandledReconcileAt()
}

// GetItems of this EventStoreList.
func (l *EventStoreList) GetItems() []resource.Managed {
	items := make([]resource.Managed, len(l.Items))
	for i := range l.Items {
		items[i] = &l.Items[i]
	}
	return items
}

// GetCondition of this Subscription.
func (mg *Subscription) GetCondition(t xpv2.ConditionType) xpv2.Condition {
	return mg.Status.GetCondition(t)
}

// SetConditions of this Subscription.
func (mg *Subscription) SetConditions(c ...xpv2.Condition) { mg.Status.SetConditions(c...) }

// GetManagementPolicies of this Subscription.
func (mg *Subscription) GetManagementPolicies() xpv2.ManagementPolicies {
	return mg.Spec.ManagementPolicies
}

// SetManagementPolicies of this Subscription.
func (mg *Subscription) SetManagementPolicies(p xpv2.ManagementPolicies) {
	mg.Spec.ManagementPolicies = p
}

// GetDeletionPolicy of this Subscription.
func (mg *Subscription) GetDeletionPolicy() xpv2.DeletionPolicy { return mg.Spec.DeletionPolicy }

// SetDeletionPolicy of this Subscription.
func (mg *Subscription) SetDeletionPolicy(p xpv2.DeletionPolicy) { mg.Spec.DeletionPolicy = p }

// GetProviderConfigReference of this Subscription.
func (mg *Subscription) GetProviderConfigReference() *xpv2.Reference {
	return mg.Spec.ProviderConfigReference
}

// SetProviderConfigReference of this Subscription.
func (mg *Subscription) SetProviderConfigReference(r *xpv2.Reference) {
	mg.Spec.ProviderConfigReference = r
}

// GetWriteConnectionSecretToReference of this Subscription.
func (mg *Subscription) GetWriteConnectionSecretToReference() *xpv2.SecretReference {
	return mg.Spec.WriteConnectionSecretToReference
}

// SetWriteConnectionSecretToReference of this Subscription.
func (mg *Subscription) SetWriteConnectionSecretToReference(r *xpv2.SecretReference) {
	mg.Spec.WriteConnectionSecretToReference = r
}

// SetObservedGeneration of this Subscription.
func (mg *Subscription) SetObservedGeneration(g int64) { mg.Status.SetObservedGeneration(g) }

// GetObservedGeneration of this Subscription.
func (mg *Subscription) GetObservedGeneration() int64 { return mg.Status.GetObservedGeneration() }

// SetLastHandledReconcileAt of this Subscription.
func (mg *Subscription) SetLastHandledReconcileAt(token string) {
	mg.Status.SetLastHandledReconcileAt(token)
}

// GetLastHandledReconcileAt of this Subscription.
func (mg *Subscription) GetLastHandledReconcileAt() string {
	return mg.Status.GetLastHandledReconcileAt()
}

// GetItems of this SubscriptionList.
func (l *SubscriptionList) GetItems() []resource.Managed {
	items := make([]resource.Managed, len(l.Items))
	for i := range l.Items {
		items[i] = &l.Items[i]
	}
	return items
}

// GetCondition of this ProviderConfig.
func (p *ProviderConfig) GetCondition(t xpv2.ConditionType) xpv2.Condition {
	return p.Status.GetCondition(t)
}

// SetConditions of this ProviderConfig.
func (p *ProviderConfig) SetConditions(c ...xpv2.Condition) { p.Status.SetConditions(c...) }

// GetUsers of this ProviderConfig.
func (p *ProviderConfig) GetUsers() int64 { return p.Status.Users }

// SetUsers of this ProviderConfig.
func (p *ProviderConfig) SetUsers(n int64) { p.Status.Users = n }

// GetProviderConfigReference of this ProviderConfigUsage.
func (p *ProviderConfigUsage) GetProviderConfigReference() xpv2.Reference {
	return p.ProviderConfigReference
}

// SetProviderConfigReference of this ProviderConfigUsage.
func (p *ProviderConfigUsage) SetProviderConfigReference(r xpv2.Reference) {
	p.ProviderConfigReference = r
}

// GetResourceReference of this ProviderConfigUsage.
func (p *ProviderConfigUsage) GetResourceReference() xpv2.TypedReference { return p.ResourceReference }

// SetResourceReference of this ProviderConfigUsage.
func (p *ProviderConfigUsage) SetResourceReference(r xpv2.TypedReference) { p.ResourceReference = r }

// GetItems of this ProviderConfigUsageList.
func (l *ProviderConfigUsageList) GetItems() []resource.ProviderConfigUsage {
	items := make([]resource.ProviderConfigUsage, len(l.Items))
	for i := range l.Items {
		items[i] = &l.Items[i]
	}
	return items
}
