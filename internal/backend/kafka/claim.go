package kafka

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// claim makes a resource the owner of what has the marker, if it still is as it was observed. was is nil if there is no
// marker, and next then new.
func claim(was, next *common, marked bool, observed, desired plan.Owner) error {
	mine := was != nil && plan.Owner(was.Owner) == desired
	same := (was != nil) == marked && (was == nil || plan.Owner(was.Owner) == observed)
	switch {
	case !mine && !same:
		return backend.ErrConflict
	case was != nil && was.Deletion != "":
		return beingDeleted(was.Owner.sameResource(desired))
	case was != nil && !was.Owner.sameResource(desired):
		next.Takeovers++
	}
	next.Owner = owner(desired)
	return nil
}

// owned says why a resource must not change what has the marker, or returns nil.
func ownedBy(m *common, o plan.Owner) error {
	switch {
	case m == nil || plan.Owner(m.Owner) != o:
		return backend.ErrConflict
	case m.Deletion != "":
		return beingDeleted(true)
	}
	return nil
}

func beingDeleted(ours bool) error {
	if ours {
		return deletionError{"a part of it was deleted already: delete this resource to finish that, and create it anew"}
	}
	return deletionError{"the deletion of it has begun"}
}

func newCommon(partitions int, created time.Time) common {
	return common{Layout: layout.Version, Partitions: partitions, Created: created.UTC().Format(time.RFC3339Nano)}
}

// nextStore returns a store's marker as it is after the changes.
func nextStore(m *storeMarker, c backend.StoreChange) (*storeMarker, error) {
	d := c.Desired
	next := &storeMarker{}
	if m != nil {
		*next = *m
	}
	switch {
	case !has(c.Changes, plan.FieldOwner):
		if err := ownedBy(m.head(), d.Owner); err != nil {
			return nil, err
		}
	case m == nil:
		*next = newStore(c)
		fallthrough
	default:
		if err := claim(m.head(), &next.common, c.Observed.Marked, c.Observed.Owner, d.Owner); err != nil {
			return nil, err
		}
	}
	for _, change := range c.Changes {
		switch change.Field {
		case plan.FieldRetentionDuration:
			next.Retention = duration(d.Retention.Duration)
		case plan.FieldRetentionBytes:
			next.RetainedBytes = d.Retention.Bytes
		case plan.FieldSnapshots:
			next.Snapshots = d.Snapshots
		case plan.FieldMaxEventBytes:
			next.MaxEventBytes = d.MaxEventBytes
		case plan.FieldPrincipal:
			next.Grant = granted(d.Principal, layout.StorePrincipal(d.Name), c.Password)
		}
	}
	next.SnapshotsTopic = next.SnapshotsTopic || makesSnapshots(c)
	// A retention that becomes finite makes the store a streaming one, for good: events may be gone from then on.
	if next.Retention > 0 || next.RetainedBytes > 0 {
		next.Kind = layout.Streaming
	}
	return next, nil
}

// newStore is the marker that a store begins with. What is adopted keeps everything, until the plan's other changes say
// otherwise; if its beginning is gone already, nobody can know versions any more.
func newStore(c backend.StoreChange) storeMarker {
	m := storeMarker{
		common: newCommon(plan.PartitionCount(c.Desired, c.Observed), time.Now()),
		Hash:   layout.Hash, Kind: layout.Sourcing,
	}
	if !c.Observed.Exists() {
		d := c.Desired.StoreSettings
		m.Retention, m.RetainedBytes, m.MaxEventBytes, m.Snapshots = duration(d.Retention.Duration), d.Retention.Bytes, d.MaxEventBytes, d.Snapshots
	}
	if slices.ContainsFunc(c.Observed.Logs, func(l plan.Log) bool { return l.First != "" && l.First != offset(firstRecord(0)) }) {
		m.Kind = layout.Streaming
	}
	return m
}

// head returns what the marker has in common with others; nil if there is none.
func (m *storeMarker) head() *common {
	if m == nil {
		return nil
	}
	return &m.common
}

// granted is what a marker remembers of a user.
func granted(p plan.Principal, managed, password string) grant {
	g := grant{User: p.Name}
	if p.Name == managed {
		g.Password = shortDigest(managed, password)
	}
	return g
}

// claimStores writes the markers that the plans change, and fails those whose store is another's by now. It returns to whom
// rights had been given.
func (b *Backend) claimStores(ctx context.Context, changes []backend.StoreChange, errs []error) []grant {
	before := make([]grant, len(changes))
	b.mark(ctx, errs, func(f *fold, i int) ([]write, error) {
		c := changes[i]
		if len(c.Changes) == 0 {
			return nil, nil
		}
		m, err := f.storeMarker(c.Desired.Name)
		if err != nil {
			return nil, err
		}
		next, err := nextStore(m, c)
		if err != nil {
			return nil, err
		}
		if m != nil {
			before[i] = m.Grant
		}
		return []write{{layout.KafkaStoreKey(c.Desired.Name), encode(next)}}, nil
	})
	return before
}

// mark writes, for every resource that has not failed, what next says, and leaves out what the registry says already. Who
// loses to somebody else fails with a conflict. The first write of a resource decides: it is its marker.
func (b *Backend) mark(ctx context.Context, errs []error, next func(f *fold, i int) ([]write, error)) {
	if !slices.Contains(errs, nil) {
		return
	}
	deciding := map[string]int{} // The write of each marker.
	keys := make([]string, len(errs))
	won, err := b.registry.update(ctx, func(f *fold) (all []write) {
		for i := range errs {
			if errs[i] != nil {
				continue
			}
			var writes []write
			if writes, errs[i] = next(f, i); errs[i] != nil {
				continue
			}
			for j, w := range writes {
				if is := f.value(w.key); bytes.Equal(is, w.value) && (is == nil) == (w.value == nil) {
					continue
				}
				if first, twice := deciding[w.key]; twice && bytes.Equal(all[first].value, w.value) { // Who asks twice gets one answer.
					keys[i] = w.key
					continue
				}
				if j == 0 {
					deciding[w.key], keys[i] = len(all), w.key
				}
				all = append(all, w)
			}
		}
		return all
	})
	if err != nil {
		for i := range errs {
			errs[i] = first(errs[i], b.explain(err))
		}
		return
	}
	for i, k := range keys {
		if k != "" && !won[deciding[k]] {
			errs[i] = first(errs[i], backend.ErrConflict)
		}
	}
}

func has(changes []plan.Change, f plan.Field) bool {
	return slices.ContainsFunc(changes, func(c plan.Change) bool { return c.Field == f })
}
