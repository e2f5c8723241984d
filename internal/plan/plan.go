// Package plan decides. It compares what a resource asks for with what a broker has, and returns the changes that would
// make them equal, in the order to apply them, and the refusals: what will not be done, why, and what to do instead.
//
// It does no I/O, reads no clock and knows neither Kubernetes nor a broker, so the same input gives the same plan.
// The reconciler, the drift detection and the command line all ask the same functions: [Store], [Subscription],
// [DeleteStore] and [DeleteSubscription].
package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// A Plan is what is to be done, and what is not.
type Plan struct {
	Changes  []Change
	Refusals []Refusal

	// LossAccepted means that records, or a position, are gone, and that a person has confirmed to go on without.
	LossAccepted bool

	// Unavailable says what on the broker does not answer, if anything: then nothing is changed, and nothing is ready.
	Unavailable string
}

// Blocked reports whether nothing may be changed: something was refused that the other changes depend on.
func (p Plan) Blocked() bool {
	return slices.ContainsFunc(p.Refusals, func(r Refusal) bool { return r.Blocks })
}

// A Change makes one attribute equal to what is desired. Its values are for people; a backend takes the desired state
// itself from the resource.
type Change struct {
	Field     Field
	Partition int    // For FieldEvents and FieldGroup.
	Setting   string // For FieldSetting: by the backend's name.
	From, To  string
}

func (c Change) String() string {
	name := string(c.Field)
	switch c.Field {
	case FieldEvents, FieldGroup:
		name = fmt.Sprintf("%s of partition %d", c.Field, c.Partition)
	case FieldSetting:
		name = c.Setting
	}
	if c.From == "" {
		return fmt.Sprintf("%s: %s", name, c.To)
	}
	return fmt.Sprintf("%s: %s -> %s", name, c.From, c.To)
}

// A Refusal is a change that is not made.
type Refusal struct {
	Reason  Reason
	Field   Field
	Message string // One sentence or two: what is wrong, and what to do.
	Token   string // Confirms exactly this change, if a person may; else empty.
	Blocks  bool   // No other change is made either.
}

// Has reports whether something is refused for a reason.
func (p Plan) Has(reason Reason) bool {
	return slices.ContainsFunc(p.Refusals, func(r Refusal) bool { return r.Reason == reason })
}

// refuse adds refusals, and drops the changes if one of them blocks.
func (p *Plan) refuse(refusals ...Refusal) {
	p.Refusals = append(p.Refusals, refusals...)
	if p.Blocked() {
		p.Changes = nil
	}
}

// refuses reports whether what a field asks for is refused.
func (p *Plan) refuses(f Field) bool {
	return slices.ContainsFunc(p.Refusals, func(r Refusal) bool { return r.Field == f })
}

// leaveOutRefused drops changes of fields that are refused. Parts that the provider makes have refusals that let changes
// of the same part through: of another partition, or once a loss is confirmed.
func (p *Plan) leaveOutRefused() {
	p.Changes = slices.DeleteFunc(p.Changes, func(c Change) bool {
		return c.Field != FieldEvents && c.Field != FieldGroup && p.refuses(c.Field)
	})
}

// Reason says why something is refused. Machines match on it.
type Reason string

// The reasons for refusals. They become reasons of the condition Accepted.
const (
	// ReasonUnsupported: the spec sets a field that the backend does not have.
	ReasonUnsupported Reason = "Unsupported"
	// ReasonInvalidName: the external name cannot be the name of a store or subscription.
	ReasonInvalidName Reason = "InvalidName"
	// ReasonNamePrefix: a namespaced resource names a store outside of its namespace.
	ReasonNamePrefix Reason = "NamePrefix"
	// ReasonConflict: the store or subscription belongs to another resource.
	ReasonConflict Reason = "Conflict"
	// ReasonUnowned: there is data under this name that no provider has marked.
	ReasonUnowned Reason = "Unowned"
	// ReasonPartitionsChanged: the spec has another number of partitions than the store was created with.
	ReasonPartitionsChanged Reason = "PartitionsChanged"
	// ReasonPartitionsGrown: somebody has added partitions on the broker, which are not used.
	ReasonPartitionsGrown Reason = "PartitionsGrown"
	// ReasonRetentionShrink: the spec keeps events for less time, or fewer of them, than the broker does now.
	ReasonRetentionShrink Reason = "RetentionShrink"
	// ReasonTTLShortened: the spec sets or lowers messageTTL, which makes subscriptions skip events.
	ReasonTTLShortened Reason = "TTLShortened"
	// ReasonBrokerLimit: the broker's own configuration does not allow what a field asks for.
	ReasonBrokerLimit Reason = "BrokerLimit"
	// ReasonReplicasChanged: the spec asks for another number of copies than the store was created with.
	ReasonReplicasChanged Reason = "ReplicasChanged"
	// ReasonUnavailable: the broker cannot tell now whether something would be lost.
	ReasonUnavailable Reason = "Unavailable"
	// ReasonDataLost: events that the store is known to have held are gone from the broker.
	ReasonDataLost Reason = "DataLost"
	// ReasonEvictionEnabled: the broker may evict events to free memory.
	ReasonEvictionEnabled Reason = "EvictionEnabled"
	// ReasonAppendOnlyUnsafe: the broker writes events to its file, and would drop them when it loads the file.
	ReasonAppendOnlyUnsafe Reason = "AppendOnlyUnsafe"
	// ReasonNotPersistent: the broker would lose events at a restart, and the spec requires that it does not.
	ReasonNotPersistent Reason = "NotPersistent"
	// ReasonLayoutTooNew: the store was created by a newer provider.
	ReasonLayoutTooNew Reason = "LayoutTooNew"
	// ReasonNotEmpty: the store to be deleted holds records.
	ReasonNotEmpty Reason = "NotEmpty"
	// ReasonDeletionProtected: deletionProtection is Always.
	ReasonDeletionProtected Reason = "DeletionProtected"
	// ReasonSubscriptionLags: the subscription to be deleted has not read everything.
	ReasonSubscriptionLags Reason = "SubscriptionLags"
	// ReasonDeadLettersNotEmpty: dead letters that hold something would be dropped.
	ReasonDeadLettersNotEmpty Reason = "DeadLettersNotEmpty"
	// ReasonReplayBusy: positions cannot be moved while consumers read.
	ReasonReplayBusy Reason = "ReplayBusy"
	// ReasonPositionUnknown: a position is missing on the broker and nobody remembers it.
	ReasonPositionUnknown Reason = "PositionUnknown"
	// ReasonStoreNotFound: the store of a subscription is not there.
	ReasonStoreNotFound Reason = "StoreNotFound"
)

// Field names an attribute of a store or subscription as the spec spells it, or a part that the provider makes.
type Field string

// Fields of an EventStore's spec.forProvider.
const (
	FieldPartitions        Field = "partitions"
	FieldRetentionDuration Field = "retention.duration"
	FieldRetentionBytes    Field = "retention.bytes"
	FieldSnapshots         Field = "snapshots"
	FieldMaxEventBytes     Field = "maxEventBytes"
	FieldReplicas          Field = "durability.replicas"
	FieldMinInSync         Field = "durability.minInSync"
	FieldTieringDuration   Field = "tiering.afterDuration"
	FieldTieringBytes      Field = "tiering.afterBytes"
	FieldMessageTTL        Field = "messageTTL"
	FieldQuotaBytes        Field = "quota.bytes"
	FieldQuotaByteRate     Field = "quota.publishRate.bytesPerSecond"
	FieldQuotaAppendRate   Field = "quota.publishRate.appendsPerSecond"
	FieldKafkaConfig       Field = "kafka.config"
	FieldKafkaUnmanaged    Field = "kafka.unmanaged"
	FieldPulsarTenant      Field = "pulsar.tenant"
	FieldPulsarPolicies    Field = "pulsar.policies"
	FieldPulsarSchema      Field = "pulsar.nativeSchema"
	FieldRedisPersistence  Field = "redis.requirePersistence"
)

// Fields of a Subscription's spec.forProvider.
const (
	FieldStartFrom           Field = "startFrom"
	FieldType                Field = "type"
	FieldRetry               Field = "retry"
	FieldDeadLetter          Field = "deadLetter"
	FieldDeadLetterRetention Field = "deadLetter.retention"
	FieldReplay              Field = "replay"
	FieldFilter              Field = "filter.eventTypes"
)

// Parts that the provider makes.
const (
	FieldName       Field = "external name"
	FieldOwner      Field = "owner"     // The marker that says whose it is.
	FieldEvents     Field = "events"    // The log of one partition.
	FieldSetting    Field = "setting"   // One of [Settings].
	FieldGroup      Field = "position"  // A subscription's position in one partition.
	FieldPositioned Field = "positions" // That every partition has had a position, so that none is set from startFrom again.
	FieldPrincipal  Field = "principal" // The user, its password and its rights.
	FieldStore      Field = "eventStore"
	FieldDelete     Field = "deletion"
)

// Token returns what confirms one change of one resource: a short hash of the resource's UID, the change and its target
// value. It is never made of counts, which move while a person reads the message.
func Token(uid string, change Field, target string) string {
	sum := sha256.Sum256([]byte(uid + "\x00" + string(change) + "\x00" + target))
	return hex.EncodeToString(sum[:4])
}

// Confirmed reports whether the value of the confirm annotation, one token or several with commas between, has token.
func Confirmed(annotation, token string) bool {
	return slices.ContainsFunc(strings.Split(annotation, ","), func(s string) bool { return strings.TrimSpace(s) == token })
}
