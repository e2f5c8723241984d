package eventstore

import (
	"context"

	"github.com/crossplane/crossplane-runtime/v2/pkg/meta"
	"k8s.io/utils/ptr"

	"github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
	"github.com/crossplane-contrib/provider-eventstore/internal/controller/managed"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// desired is what a resource asks for, in plan's terms. c says what the backend has.
func desired[T object](mg T, owner plan.Owner, c plan.Capabilities) plan.DesiredStore {
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
	if p.MessageTTL != nil {
		d.MessageTTL = p.MessageTTL.Duration
	}
	if p.Durability != nil {
		d.Replicas, d.MinInSync = int(ptr.Deref(p.Durability.Replicas, 0)), int(ptr.Deref(p.Durability.MinInSync, 0))
	}
	d.Tiering, d.Quota = tiering(p.Tiering), quota(p.Quota)
	setNative(&d, p, c)
	d.RequirePersistence = p.Redis != nil && p.Redis.RequirePersistence != nil && *p.Redis.RequirePersistence
	d.Set = fields(p)
	return d
}

func tiering(t *v1alpha1.Tiering) (out plan.Tiering) {
	if t == nil {
		return out
	}
	if t.AfterDuration != nil {
		out.After = t.AfterDuration.Duration
	}
	out.AfterBytes = ptr.Deref(t.AfterBytes, 0)
	return out
}

func quota(q *v1alpha1.Quota) (out plan.Quota) {
	if q == nil {
		return out
	}
	out.Bytes = ptr.Deref(q.Bytes, 0)
	if r := q.PublishRate; r != nil {
		out.BytesPerSecond, out.AppendsPerSecond = ptr.Deref(r.BytesPerSecond, 0), ptr.Deref(r.AppendsPerSecond, 0)
	}
	return out
}

// setNative takes over what exists on one broker alone. What belongs to another than the store's is refused by its field, and
// is no setting of the store's.
func setNative(d *plan.DesiredStore, p *v1alpha1.EventStoreParameters, c plan.Capabilities) {
	d.Native = map[string]string{}
	if k := p.Kafka; k != nil && c.Fields[plan.FieldKafkaConfig].Supported {
		for name, value := range k.Config {
			d.Native[name] = string(value)
		}
		d.Unmanaged = k.Unmanaged
	}
	if b := p.Pulsar; b != nil && c.Fields[plan.FieldPulsarPolicies].Supported {
		for name, value := range b.Policies {
			d.Native[name] = string(value)
		}
		d.Tenant = ptr.Deref(b.Tenant, "")
		if s := b.NativeSchema; s != nil {
			d.Schema = plan.Schema{Type: string(s.Type), Definition: s.Definition, Compatibility: string(s.Compatibility)}
		}
	}
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
	add(p.Quota != nil && p.Quota.PublishRate != nil && p.Quota.PublishRate.BytesPerSecond != nil, plan.FieldQuotaByteRate)
	add(p.Quota != nil && p.Quota.PublishRate != nil && p.Quota.PublishRate.AppendsPerSecond != nil, plan.FieldQuotaAppendRate)
	add(p.Kafka != nil && len(p.Kafka.Config) > 0, plan.FieldKafkaConfig)
	add(p.Kafka != nil && len(p.Kafka.Unmanaged) > 0, plan.FieldKafkaUnmanaged)
	add(p.Pulsar != nil && p.Pulsar.Tenant != nil, plan.FieldPulsarTenant)
	add(p.Pulsar != nil && len(p.Pulsar.Policies) > 0, plan.FieldPulsarPolicies)
	add(p.Pulsar != nil && p.Pulsar.NativeSchema != nil, plan.FieldPulsarSchema)
	add(p.Redis != nil && p.Redis.RequirePersistence != nil, plan.FieldRedisPersistence)
	return set
}

// context is what a plan depends on besides the two states.
func (e *external[T]) context(ctx context.Context, mg T) (plan.Context, error) {
	c := e.deletion(mg)
	c.Capabilities = e.broker.Capabilities()
	c.Namespace = e.broker.Namespace
	c.ObserveOnly = managed.ObserveOnly(mg)
	c.AppliedSettings = mg.Observation().AppliedConfig
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
func lateInitialize(p *v1alpha1.EventStoreParameters, partitions int) bool {
	if p.Partitions != nil || partitions == 0 {
		return false
	}
	n := int32(partitions) //nolint:gosec // At most 1024.
	p.Partitions = &n
	return true
}
