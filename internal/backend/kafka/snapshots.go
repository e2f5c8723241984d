package kafka

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// makesSnapshots reports whether a store's plan makes its topic of snapshots.
func makesSnapshots(c backend.StoreChange) bool {
	creates := !c.Observed.Exists() && has(c.Changes, plan.FieldEvents)
	return c.Desired.Snapshots && (creates || has(c.Changes, plan.FieldSnapshots))
}

// setsSnapshots reports whether a change is one of the topic of snapshots.
func setsSnapshots(c plan.Change) bool {
	return c.Field == plan.FieldSnapshots || strings.HasPrefix(c.Setting, snapshotsPrefix)
}

// spareSnapshots takes out of the plans what would take over a topic of snapshots that somebody else has made: compaction
// would delete from it, and so would the deletion of the store. It returns why, of each; their other changes are made.
func (b *Backend) spareSnapshots(ctx context.Context, changes []backend.StoreChange, errs []error) (spared []backend.StoreChange, why []error) {
	spared, why = slices.Clone(changes), make([]error, len(changes))
	topics := map[string]int{}
	for i, c := range changes {
		if errs[i] == nil && (makesSnapshots(c) || slices.ContainsFunc(c.Changes, setsSnapshots)) {
			topics[layout.KafkaSnapshots(c.Desired.Name)] = i
		}
	}
	if len(topics) == 0 {
		return changes, why
	}
	there, err := b.cluster.metadata(ctx, union(topics))
	if err == nil && len(there) > 0 {
		err = b.registry.view(ctx, func(f *fold) {
			for name, t := range there {
				i := topics[name]
				var m *storeMarker
				if m, errs[i] = f.storeMarker(changes[i].Desired.Name); errs[i] != nil {
					continue
				}
				if why[i] = refuseSnapshots(changes[i], m, name, t); m == nil { // Nothing can be done without it.
					errs[i] = why[i]
				}
			}
		})
	}
	for name, i := range topics {
		if err != nil {
			errs[i] = first(errs[i], fmt.Errorf("cannot see whose topic %q is: %w", name, b.explain(err)))
		}
		if why[i] != nil {
			spared[i].Changes = slices.DeleteFunc(slices.Clone(changes[i].Changes), setsSnapshots)
		}
	}
	return spared, why
}

// refuseSnapshots says why a store cannot have a topic that is there, or returns nil.
func refuseSnapshots(c backend.StoreChange, m *storeMarker, topic string, t topicView) error {
	n := plan.PartitionCount(c.Desired, c.Observed)
	switch adopted := c.Observed.Remains == remainingTopic(topic); {
	case t.err != nil:
		return fmt.Errorf("topic %q: %w", topic, t.err)
	case m == nil && !adopted:
		return dataError{fmt.Errorf("topic %q was made by somebody else meanwhile: it is looked at again", topic)}
	case m != nil && !m.SnapshotsTopic:
		return dataError{fmt.Errorf("topic %q is there already, and somebody else has made it: turn snapshots off, or delete the topic", topic)}
	case len(t.partitions) < n:
		return dataError{fmt.Errorf("topic %q has %d partitions, and the store %d: delete the topic, and it is made again", topic, len(t.partitions), n)}
	}
	return nil
}

// remains says what else there is of a store without a marker: snapshots, or dead letters that nobody has handled.
func (r storeReading) remains(store string, deadLetters []string) string {
	if t, there := r.topics[layout.KafkaSnapshots(store)]; there && t.err == nil {
		return remainingTopic(layout.KafkaSnapshots(store))
	}
	for _, s := range deadLetters {
		topic := layout.KafkaDeadLetters(store, s)
		for _, p := range placesOf(topic, len(r.topics[topic].partitions)) {
			if r.next[p].offset > r.first[p].offset {
				return remainingTopic(topic)
			}
		}
	}
	return ""
}

func remainingTopic(name string) string { return fmt.Sprintf("topic %q", name) }
