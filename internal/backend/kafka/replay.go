package kafka

import (
	"context"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// replay moves positions, once for each id: it notes in the marker where they go, moves them, and notes that it is done. A
// replay that was interrupted goes to the places that were noted, so that "the latest record" is not a later one now.
func (b *Backend) replay(ctx context.Context, changes []backend.SubscriptionChange, errs []error) {
	var wishes []wish
	for i, c := range changes {
		if errs[i] != nil || !has(c.Changes, plan.FieldReplay) {
			continue
		}
		for p := range c.Observed.Partitions {
			wishes = append(wishes, wish{place: place{layout.KafkaEvents(c.Desired.Store), int32(p)}, at: i, start: c.Desired.Replay.From})
		}
	}
	if len(wishes) == 0 {
		return
	}
	all := commitments(changes, wishes, b.resolve(ctx, wishes, errs))
	b.markSubscriptions(ctx, changes, errs, plan.FieldReplay, func(m *subscriptionMarker, c backend.SubscriptionChange) {
		i := indexOf(changes, c.ID())
		switch id := c.Desired.Replay.ID; {
		case m.Replay == id:
			all[i].offsets = nil // It was done.
		case m.Pending != nil && m.Pending.ID == id:
			all[i].offsets = m.Pending.offsets()
		default:
			m.Pending = &pending{ID: id, Places: all[i].places(c.Observed.Partitions)}
		}
	})
	b.commit(ctx, all, errs)
	b.markSubscriptions(ctx, changes, errs, plan.FieldReplay, func(m *subscriptionMarker, c backend.SubscriptionChange) {
		m.Replay, m.Pending = c.Desired.Replay.ID, nil
	})
}

func (p *pending) offsets() map[int32]int64 {
	offsets := map[int32]int64{}
	for i, n := range p.Places {
		offsets[int32(i)] = n
	}
	return offsets
}

func (c commitment) places(partitions int) []int64 {
	places := make([]int64, partitions)
	for p := range places {
		places[p] = c.offsets[int32(p)]
	}
	return places
}

func indexOf(changes []backend.SubscriptionChange, id backend.SubscriptionID) int {
	for i, c := range changes {
		if c.ID() == id {
			return i
		}
	}
	return -1
}
