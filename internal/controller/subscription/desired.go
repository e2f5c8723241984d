package subscription

import (
	"maps"

	"github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// desired is what a resource asks for, in plan's terms.
func desired[T object](mg T, id backend.SubscriptionID, owner plan.Owner) plan.DesiredSubscription {
	p := mg.Parameters()
	d := plan.DesiredSubscription{Store: id.Store, Name: id.Name, StartFrom: start(p.StartFrom), Set: fields(p)}
	d.Owner = owner
	d.DeadLetter = p.DeadLetter == nil || p.DeadLetter.Enabled == nil || *p.DeadLetter.Enabled
	if p.DeadLetter != nil && p.DeadLetter.Retention != nil {
		d.DeadLetterRetention = p.DeadLetter.Retention.Duration
	}
	if p.Replay != nil {
		d.Replay = &plan.Replay{ID: p.Replay.ID, From: start(&p.Replay.From)}
	}
	return d
}

func start(s *v1alpha1.Start) plan.Start {
	switch {
	case s == nil:
		return plan.Start{Earliest: true}
	case s.Time != nil:
		return plan.Start{Time: s.Time.Time}
	case len(s.Positions) > 0:
		return plan.Start{Positions: positions(s.Positions)}
	case s.Position == v1alpha1.StartLatest:
		return plan.Start{Latest: true}
	default:
		return plan.Start{Earliest: true}
	}
}

func positions(list []v1alpha1.PartitionPosition) map[int]string {
	m := make(map[int]string, len(list))
	for _, p := range list {
		m[int(p.Partition)] = p.Position
	}
	return m
}

// fields lists what a spec sets, of what not every backend has.
func fields(p *v1alpha1.SubscriptionParameters) []plan.Field {
	set := []plan.Field{plan.FieldStartFrom, plan.FieldType, plan.FieldRetry, plan.FieldDeadLetter}
	if p.DeadLetter != nil && p.DeadLetter.Retention != nil {
		set = append(set, plan.FieldDeadLetterRetention)
	}
	if p.Replay != nil {
		set = append(set, plan.FieldReplay)
	}
	if p.Filter != nil {
		set = append(set, plan.FieldFilter)
	}
	return set
}

// deletion is what the plan of a deletion depends on.
func deletion[T object](mg T) plan.Context {
	return plan.Context{UID: string(mg.GetUID()), Confirm: mg.GetAnnotations()[v1alpha1.AnnotationConfirm]}
}

// knownPositions joins what status knows with what was seen since it was written. Positions in a store that was deleted and
// made again say nothing of the new one.
func knownPositions(o *v1alpha1.SubscriptionObservation, store string, seen map[int]string) map[int]string {
	known := map[int]string{}
	if o.EventStoreCreated == store {
		known = positions(o.Positions)
	}
	maps.Copy(known, seen)
	return known
}
