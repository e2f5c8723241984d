package eventstore

import (
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
	"github.com/crossplane-contrib/provider-eventstore/internal/controller/binding"
	"github.com/crossplane-contrib/provider-eventstore/internal/controller/managed"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// setStatus writes what was observed. What moves by itself is written at the pace of the poll interval, and when the
// first record has arrived: from then on the store must not be lost.
func (e *external[T]) setStatus(mg T, ours bool) {
	s := mg.Observation()
	s.Backend = e.broker.Backend
	s.Endpoint = string(e.broker.Mirror.Connection()[layout.SecretEndpoints])
	if !ours || !e.observed.Exists() {
		return // Of another's store nothing is told; of a lost one what was known stays.
	}
	o := e.observed
	s.LayoutVersion = ptr.To(int32(o.Layout))  //nolint:gosec // A small number.
	s.Partitions = ptr.To(int32(o.Partitions)) //nolint:gosec // At most 1024.
	s.Kind = map[layout.Kind]v1alpha1.StoreKind{layout.Sourcing: v1alpha1.StoreKindSourcing, layout.Streaming: v1alpha1.StoreKindStreaming}[o.Kind]
	s.Retention = retention(o.Retention)
	s.MaxEventBytes = nil
	if o.MaxEventBytes != 0 {
		s.MaxEventBytes = ptr.To(o.MaxEventBytes)
	}
	if o.Persistence != "" {
		s.Durability = &v1alpha1.DurabilityObservation{Persistent: ptr.To(o.Persists), Note: o.Persistence}
		if o.Replicas != 0 {
			s.Durability.Replicas = ptr.To(int32(o.Replicas)) //nolint:gosec // A small number.
		}
	}
	s.AppliedConfig = e.appliedConfig(s.AppliedConfig)
	s.Principal = e.credentials.Observation(o.Principal, "")
	binding.Publish(mg)

	switch {
	case e.plan.LossAccepted && len(e.plan.Changes) == 0:
		e.countLoss(mg)
	case e.plan.LossAccepted, e.plan.Blocked(), e.plan.Has(plan.ReasonDataLost), e.plan.Unavailable != "":
		// What was known of lost records is what says that they are lost. It stays until their loss has been counted,
		// or else the confirmation would cover the next loss too.
		return
	}
	if due := e.pacer.Due(mg.GetUID()); due || s.Positions == nil || (ptr.Deref(s.Records, 0) == 0) != (o.Records() == 0) {
		setCounts(s, o)
	}
}

// appliedConfig lists the native settings that are the provider's to reset. A name is noted before it is set, and dropped
// when its reset is through, so that a crash in between forgets none.
func (e *external[T]) appliedConfig(known []string) []string {
	names := slices.Collect(maps.Keys(e.desired.Native))
	if len(e.plan.Changes) > 0 {
		names = append(names, known...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func setCounts(s *v1alpha1.EventStoreObservation, o plan.ObservedStore) {
	s.Records = ptr.To(managed.Rounded(o.Records()))
	s.Bytes = ptr.To(managed.Rounded(o.Bytes()))
	s.ExpiredEvents = nil
	if o.MessageTTL != 0 || o.Expired != 0 {
		s.ExpiredEvents = ptr.To(managed.Rounded(o.Expired))
	}
	s.OldestRecordTime, s.NewestRecordTime = nil, nil
	s.Positions = make([]v1alpha1.PartitionRange, 0, len(o.Logs))
	for _, l := range o.Logs {
		s.Positions = append(s.Positions, v1alpha1.PartitionRange{
			Partition: int32(l.Partition), //nolint:gosec // At most 1024.
			First:     l.First,
			Last:      l.Last,
			Records:   ptr.To(managed.Rounded(l.Records)),
		})
		if t := metav1.NewTime(l.Oldest); !l.Oldest.IsZero() && (s.OldestRecordTime == nil || t.Before(s.OldestRecordTime)) {
			s.OldestRecordTime = &t
		}
		if t := metav1.NewTime(l.Newest); !l.Newest.IsZero() && (s.NewestRecordTime == nil || s.NewestRecordTime.Before(&t)) {
			s.NewestRecordTime = &t
		}
	}
}

func retention(r plan.Retention) *v1alpha1.RetentionObservation {
	if r == (plan.Retention{}) {
		return nil
	}
	o := &v1alpha1.RetentionObservation{}
	if r.Duration != 0 {
		o.Duration = v1alpha1.DurationOf(r.Duration)
	}
	if r.Bytes != 0 {
		o.Bytes = ptr.To(r.Bytes)
	}
	return o
}

// details are the connection Secret: the broker's part, the store's and the user's. Of a store that is not there yet,
// they say what it will be.
func (e *external[T]) details() map[string][]byte {
	settings, kind := e.observed.StoreSettings, e.observed.Kind
	if !e.observed.Marked {
		settings, kind = e.desired.StoreSettings, e.desired.Retention.Kind()
		settings.Partitions = e.desired.PartitionsToCreate()
	}
	return binding.Details(e.broker.Mirror.Connection(), binding.Store(e.desired.Name, settings, kind), e.credentials.Details(e.desired.Principal.Name))
}
