package v1alpha1

import (
	xpv2 "github.com/crossplane/crossplane/apis/v2/core/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// AnnotationConfirm carries the token of the dangerous change that a person confirms. The refusal's message prints it.
const AnnotationConfirm = "eventstore.crossplane.io/confirm"

const (
	// TypeAccepted says whether the provider does everything that the spec asks for. It is False while something is
	// refused; the reason says what, and the message says what to do. Synced is the runtime's, and says whether the
	// last reconcile failed: a refusal is not a failure.
	TypeAccepted xpv2.ConditionType = "Accepted"

	// TypeHealthy says whether the broker of a ProviderConfig answers, and takes its credentials.
	TypeHealthy xpv2.ConditionType = "Healthy"
)

// Reasons of the condition Accepted. Machines match on them: they do not change.
const (
	// ReasonAccepted: everything that the spec asks for is, or is being, done.
	ReasonAccepted xpv2.ConditionReason = "Accepted"
	// ReasonRetentionShrink: the spec keeps events for less than the broker does now, which would delete events.
	ReasonRetentionShrink xpv2.ConditionReason = "RetentionShrink"
	// ReasonTTLShortened: the spec sets or lowers messageTTL, which would make subscriptions skip events.
	ReasonTTLShortened xpv2.ConditionReason = "TTLShortened"
	// ReasonPartitionsChanged: the spec asks for another number of partitions than the store has.
	ReasonPartitionsChanged xpv2.ConditionReason = "PartitionsChanged"
	// ReasonPartitionsGrown: somebody added partitions on the broker; the SDK ignores them.
	ReasonPartitionsGrown xpv2.ConditionReason = "PartitionsGrown"
	// ReasonReplicasChanged: the spec asks for another number of copies than the store was created with.
	ReasonReplicasChanged xpv2.ConditionReason = "ReplicasChanged"
	// ReasonUnsupported: the backend cannot do what a field asks for.
	ReasonUnsupported xpv2.ConditionReason = "Unsupported"
	// ReasonBrokerLimit: the broker's own configuration does not allow what a field asks for.
	ReasonBrokerLimit xpv2.ConditionReason = "BrokerLimit"
	// ReasonEvictionEnabled: the Redis server may evict keys, and so lose events.
	ReasonEvictionEnabled xpv2.ConditionReason = "EvictionEnabled"
	// ReasonAppendOnlyUnsafe: the broker writes events to its file, and would drop them when it loads the file.
	ReasonAppendOnlyUnsafe xpv2.ConditionReason = "AppendOnlyUnsafe"
	// ReasonNotPersistent: the broker would lose events at a restart, and redis.requirePersistence is set.
	ReasonNotPersistent xpv2.ConditionReason = "NotPersistent"
	// ReasonConflict: another resource owns the store or subscription.
	ReasonConflict xpv2.ConditionReason = "Conflict"
	// ReasonUnowned: data of that name exists on the broker, and nothing says who owns it.
	ReasonUnowned xpv2.ConditionReason = "Unowned"
	// ReasonInvalidName: the external name has characters, or a length, that a store or subscription cannot have.
	ReasonInvalidName xpv2.ConditionReason = "InvalidName"
	// ReasonNamePrefix: a namespaced resource's external name does not begin with its namespace.
	ReasonNamePrefix xpv2.ConditionReason = "NamePrefix"
	// ReasonDataLost: the store, or its events, vanished from the broker although status knew of records.
	ReasonDataLost xpv2.ConditionReason = "DataLost"
	// ReasonLayoutTooNew: a newer provider created the store, in a layout that this one does not know.
	ReasonLayoutTooNew xpv2.ConditionReason = "LayoutTooNew"
	// ReasonPositionUnknown: a position is missing on the broker, and status does not remember it either.
	ReasonPositionUnknown xpv2.ConditionReason = "PositionUnknown"
	// ReasonStoreNotFound: the store that a subscription reads does not exist on the broker.
	ReasonStoreNotFound xpv2.ConditionReason = "StoreNotFound"
	// ReasonNotEmpty: the store holds records, so it is not deleted without a confirmation.
	ReasonNotEmpty xpv2.ConditionReason = "NotEmpty"
	// ReasonDeletionProtected: deletionProtection is Always.
	ReasonDeletionProtected xpv2.ConditionReason = "DeletionProtected"
	// ReasonSubscriptionLags: the subscription has not read everything, so it is not deleted without a confirmation.
	ReasonSubscriptionLags xpv2.ConditionReason = "SubscriptionLags"
	// ReasonDeadLettersNotEmpty: dead letters wait, so they are not dropped without a confirmation.
	ReasonDeadLettersNotEmpty xpv2.ConditionReason = "DeadLettersNotEmpty"
	// ReasonReplayBusy: consumers are connected, so the subscription is not moved under their feet.
	ReasonReplayBusy xpv2.ConditionReason = "ReplayBusy"
)

// Reasons of the condition Ready, beside the runtime's.
const (
	// ReasonStoreNotReady: the subscription waits for its store.
	ReasonStoreNotReady xpv2.ConditionReason = "StoreNotReady"
	// ReasonUnavailable: the broker does not serve a part, such as a partition without a leader. As a reason of Accepted:
	// it cannot be told whether something would be lost.
	ReasonUnavailable xpv2.ConditionReason = "Unavailable"
	// ReasonRefused: nothing was created, because something in the spec is refused: see the condition Accepted.
	ReasonRefused xpv2.ConditionReason = "Refused"
)

// Reasons of the condition Healthy.
const (
	// ReasonHealthy: the broker answers and takes the credentials.
	ReasonHealthy xpv2.ConditionReason = "Healthy"
	// ReasonUnreachable: no connection could be made.
	ReasonUnreachable xpv2.ConditionReason = "Unreachable"
	// ReasonUnauthorized: the broker answers, and refuses the credentials or what they may do.
	ReasonUnauthorized xpv2.ConditionReason = "Unauthorized"
	// ReasonCredentialsMissing: a Secret, key, file or variable that the spec names does not exist.
	ReasonCredentialsMissing xpv2.ConditionReason = "CredentialsMissing"
	// ReasonInvalidConfig: the settings cannot be used: a certificate that is no PEM, for example.
	ReasonInvalidConfig xpv2.ConditionReason = "InvalidConfig"
	// ReasonWarning: the broker is healthy, and something may hurt soon, such as memory that is nearly full: the message says
	// what. The status is still True.
	ReasonWarning xpv2.ConditionReason = "Warning"
)

// Accepted says that everything the spec asks for is, or is being, done.
func Accepted() xpv2.Condition {
	return condition(TypeAccepted, corev1.ConditionTrue, ReasonAccepted, "")
}

// Refused says that something the spec asks for is refused. The message says what to do, without a newline, and stays
// the same while the problem does.
func Refused(reason xpv2.ConditionReason, message string) xpv2.Condition {
	return condition(TypeAccepted, corev1.ConditionFalse, reason, message)
}

// NotReady says that the resource cannot be used, and why.
func NotReady(reason xpv2.ConditionReason, message string) xpv2.Condition {
	return condition(xpv2.TypeReady, corev1.ConditionFalse, reason, message)
}

// Healthy says that the broker answers and takes the credentials. The reason is [ReasonHealthy] or [ReasonWarning].
func Healthy(reason xpv2.ConditionReason, message string) xpv2.Condition {
	return condition(TypeHealthy, corev1.ConditionTrue, reason, message)
}

// Unhealthy says that the broker cannot be used, and why.
func Unhealthy(reason xpv2.ConditionReason, message string) xpv2.Condition {
	return condition(TypeHealthy, corev1.ConditionFalse, reason, message)
}

func condition(t xpv2.ConditionType, s corev1.ConditionStatus, r xpv2.ConditionReason, message string) xpv2.Condition {
	return xpv2.Condition{Type: t, Status: s, Reason: r, Message: message, LastTransitionTime: metav1.Now()}
}
