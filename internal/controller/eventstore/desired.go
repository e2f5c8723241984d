package eventstore

import (
	"context"

	"github.com/crossplane/crossplane-runtime/v2/pkg/meta"

	"github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
	"github.com/crossplane-contrib/provider-eventstore/internal/controller/managed"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// desired is what a resource asks for, in plan's terms.
func desired[T object](mg T, owner plan.Owner) plan.DesiredStore {
	p := mg.Parameters()
	d := plan.DesiredStore{Name: meta.GetExternalName(mg), Protection: plan.Protection(p.DeletionProtection)}
	d.Owner = owner
	if p.Partitions != nil {
		d.Partitions = int(*p.Partitions)
	}
	if r := p.Retention; r != nil {
		if r.Duration != nil {
			d.Retention.Duration = r.Duration.Duration
		}
		if r.Bytes != nil {
			d.Retention.Bytes = *r.Bytes
		}
	}
	d.Snapshots = p.Snapshots != nil && p.Snapshots.Enabled
	if p.MaxEventBytes != nil {
		d.MaxEventBytes = *p.MaxEventBytes
	}
	d.RequirePersistence = p.Redis != nil && p.Redis.RequirePersistence != nil && *p.Redis.RequirePersistence
	d.Set = fields(p)
	return d
}

// fields lists what a spec sets, of what not every backend has.
func fields(p *v1alpha1.EventStoreParameters) []plan.Field {
	var set []plan.Field
	add := func(isSet bool, f plan.Field) {
		if isSet {
			set = append(set, f)
		}
	}
	add(p.Partitions != nil, plan.FieldPartitions)
	add(p.Retention != nil && p.Retention.Duration != nil, plan.FieldRetentionDuration)
	add(p.Retention != nil && p.Retention.Bytes != nil, plan.FieldRetentionBytes)
	add(p.Snapshots != nil && p.Snapshots.Enabled, plan.FieldSnapshots)
	add(p.MaxEventBytes != nil, plan.FieldMaxEventBytes)
	add(p.Durability != nil && p.Durability.Replicas != nil, plan.FieldReplicas)
	add(p.Durability != nil && p.Durability.MinInSync != nil, plan.FieldMinInSync)
	add(p.Tiering != nil && p.Tiering.AfterDuration != nil, plan.FieldTieringDuration)
	add(p.Tiering != nil && p.Tiering.AfterBytes != nil, plan.FieldTieringBytes)
	add(p.MessageTTL != nil, plan.FieldMessageTTL)
	add(p.Quota != nil && p.Quota.Bytes != nil, plan.FieldQuotaBytes)
	add(p.Quota != nil && p.Quota.PublishRate != nil, plan.FieldQuotaPublishRate)
	add(p.Kafka != nil, plan.FieldKafka)
	add(p.Pulsar != nil, plan.FieldPulsar)
	add(p.Redis != nil, plan.FieldRedis)
	return set
}

// context is what a plan depends on besides the two states.
func (e *external[T]) context(ctx context.Context, mg T) (plan.Context, error) {
	c := e.deletion(mg)
	c.Capabilities = e.broker.Capabilities()
	c.Namespace = e.broker.Namespace
	c.ObserveOnly = managed.ObserveOnly(mg)
	c.KnownRecords = knownRecords(mg.Observation(), e.broker.LastRecords(e.desired.Name, e.owner.UID))
	if n := mg.Observation().AcceptedLosses; n != nil {
		c.AcceptedLosses = int(*n)
	}
	if e.observed.Owner == (plan.Owner{}) || e.observed.Owner == e.owner {
		return c, nil
	}
	var err error
	c.OwnerGone, err = e.Owners.Gone(ctx, e.observed.Owner)
	return c, err
}

// deletion is what the plan of a deletion depends on.
func (e *external[T]) deletion(mg T) plan.Context {
	return plan.Context{UID: string(mg.GetUID()), Confirm: mg.GetAnnotations()[v1alpha1.AnnotationConfirm]}
}

// knownRecords joins what status knows with what was seen since it was written.
func knownRecords(o *v1alpha1.EventStoreObservation, seen map[int]int64) map[int]int64 {
	known := map[int]int64{}
	for _, p := range o.Positions {
		if p.Records != nil && *p.Records > 0 {
			known[int(p.Partition)] = *p.Records
		}
	}
	for p, n := range seen {
		known[p] = n
	}
	return known
}

// lateInitialize writes into the spec what the provider decided, or an imported store has. It reports whether it did.
func lateInitialize(p *v1alpha1.EventStoreParameters, o plan.ObservedStore) bool {
	if p.Partitions != nil || o.Partitions == 0 {
		return false
	}
	n := int32(o.Partitions) //nolint:gosec // At most 1024.
	p.Partitions = &n
	return true
}
