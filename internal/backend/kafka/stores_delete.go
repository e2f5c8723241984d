package kafka

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// DeleteStores deletes users and rights, then topics, then markers. Nobody else can claim a store from the first step on,
// which notes in its marker that it is being deleted. Of a store that has no marker only the user goes: nothing says whose
// the events are. The topics of its subscriptions' dead letters go with it; their groups lose their positions by themselves.
func (b *Backend) DeleteStores(ctx context.Context, deletions []backend.StoreDeletion) []error {
	errs := make([]error, len(deletions))
	doomed := make([]doomed, len(deletions))
	b.shared.wrote()
	b.doomStores(ctx, deletions, doomed, errs)
	b.revoke(ctx, doomed, errs)
	var topics []deadTopic
	for i, d := range doomed {
		if errs[i] != nil || !d.marked {
			continue
		}
		n := deletions[i].Name
		topics = append(topics, deadTopic{i, layout.KafkaEvents(n)})
		if d.snapshots {
			topics = append(topics, deadTopic{i, layout.KafkaSnapshots(n)})
		}
		for _, s := range d.deadLetters {
			topics = append(topics, deadTopic{i, layout.KafkaDeadLetters(n, s)})
		}
	}
	b.deleteTopics(ctx, topics, errs)
	b.finish(ctx, doomed, errs)
	b.shared.wrote()
	for i, err := range errs {
		if err != nil {
			errs[i] = fmt.Errorf("cannot delete store %q: %w", deletions[i].Name, b.explain(err))
		}
	}
	return errs
}

// A doomed is something that is to be deleted.
type doomed struct {
	valid  bool // It can exist.
	marked bool // It has a marker, which says that its deletion has begun.

	key         string // Of the marker.
	grant       grant
	managed     string // Name of the user.
	list        []layout.KafkaACL
	topic       string   // That may be fenced.
	store       string   // That the dead letters belong to.
	deadLetters []string // Subscriptions that have some.
	noted       bool     // The subscription has some.
	snapshots   bool     // The topic of snapshots is the store's.
	quota       bool     // The user may have one.
}

func (b *Backend) doomStores(ctx context.Context, deletions []backend.StoreDeletion, all []doomed, errs []error) {
	b.mark(ctx, errs, func(f *fold, i int) ([]write, error) {
		n := deletions[i].Name
		if err := layout.ValidateStore(n); err != nil {
			return nil, nil //nolint:nilerr // Nothing exists under a name that none can have.
		}
		all[i] = doomed{
			valid: true, key: layout.KafkaStoreKey(n), managed: layout.StorePrincipal(n), list: layout.KafkaStoreACL(n),
			topic: layout.KafkaEvents(n), store: n, deadLetters: slices.Sorted(maps.Keys(f.deadLetters[n])), quota: true,
		}
		m, err := f.storeMarker(n)
		if err != nil || m == nil {
			return nil, err
		}
		if !m.Owner.sameResource(deletions[i].Owner) {
			return nil, backend.ErrConflict
		}
		next := *m
		next.Deletion = deleting
		all[i].marked, all[i].grant, all[i].snapshots = true, m.Grant, m.SnapshotsTopic
		return []write{{all[i].key, encode(&next)}}, nil
	})
}

// revoke takes users and rights away. If the cluster does not let the provider do so, that is an error only if the marker
// says that there were some.
func (b *Backend) revoke(ctx context.Context, all []doomed, errs []error) {
	var grants []grantChange
	var quotas []quotaChange
	for i, d := range all {
		if errs[i] != nil || !d.valid {
			continue
		}
		grants = append(grants, grantChange{at: i, managed: d.managed, previous: d.grant.User, list: d.list, topic: d.topic})
	}
	if len(grants) == 0 {
		return
	}
	of := interests(grants)
	of.quotas = slices.ContainsFunc(all, func(d doomed) bool { return d.quota })
	a, err := b.access(ctx, of)
	if err = first(err, b.share(ctx, grants)); err != nil {
		for _, g := range grants {
			errs[g.at] = first(errs[g.at], b.explain(err))
		}
		return
	}
	grants = slices.DeleteFunc(grants, func(g grantChange) bool {
		denied := g.denied(a)
		if denied != nil && g.previous != "" {
			errs[g.at] = first(errs[g.at], explainAccess(denied))
		}
		return denied != nil
	})
	for _, g := range grants {
		if _, limited := a.quotas[g.managed][keyByteRate]; limited && all[g.at].quota {
			quotas = append(quotas, quotaChange{at: g.at, user: g.managed})
		}
	}
	b.setQuotas(ctx, quotas, errs)
	for i := range grants {
		grants[i].seen = a
	}
	b.dropPasswords(ctx, grants, a, errs)
	b.applyRights(ctx, grants, errs)
	b.awaitGrants(ctx, grants, errs)
}

// finish deletes the markers, and the notes of dead letters that went along.
func (b *Backend) finish(ctx context.Context, all []doomed, errs []error) {
	b.mark(ctx, errs, func(_ *fold, i int) ([]write, error) {
		d := all[i]
		if !d.marked {
			return nil, nil
		}
		writes := []write{{d.key, nil}}
		for _, s := range d.deadLetters {
			writes = append(writes, write{layout.KafkaDeadLettersKey(d.store, s), nil})
		}
		return writes, nil
	})
}
