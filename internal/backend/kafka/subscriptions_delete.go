package kafka

import (
	"context"
	"fmt"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// DeleteSubscriptions deletes users and rights, then groups and dead letters, then markers, in the way of DeleteStores. Of one
// that has no marker only the user goes: nothing says whose the position and the dead letters are.
func (b *Backend) DeleteSubscriptions(ctx context.Context, deletions []backend.SubscriptionDeletion) []error {
	errs := make([]error, len(deletions))
	doomed := make([]doomed, len(deletions))
	b.shared.wrote()
	b.doomSubscriptions(ctx, deletions, doomed, errs)
	b.revoke(ctx, doomed, errs)
	var topics []deadTopic
	var groups []deadGroup
	for i, d := range doomed {
		if id := deletions[i].ID; errs[i] == nil && d.marked {
			if d.noted {
				topics = append(topics, deadTopic{i, layout.KafkaDeadLetters(id.Store, id.Name)})
			}
			groups = append(groups, deadGroup{i, layout.KafkaGroup(id.Store, id.Name)})
		}
	}
	b.deleteGroups(ctx, groups, errs)
	b.deleteTopics(ctx, topics, errs)
	b.finish(ctx, doomed, errs)
	b.shared.wrote()
	for i, err := range errs {
		if err != nil {
			errs[i] = fmt.Errorf("cannot delete subscription %q: %w", deletions[i].ID, b.explain(err))
		}
	}
	return errs
}

func (b *Backend) doomSubscriptions(ctx context.Context, deletions []backend.SubscriptionDeletion, all []doomed, errs []error) {
	b.mark(ctx, errs, func(f *fold, i int) ([]write, error) {
		id := deletions[i].ID
		if !valid(id) { // Nothing exists under a name that none can have.
			return nil, nil
		}
		all[i] = doomed{
			valid: true, key: layout.KafkaSubscriptionKey(id.Store, id.Name), managed: layout.SubscriptionPrincipal(id.Store, id.Name),
			list: layout.KafkaSubscriptionACL(id.Store, id.Name), store: id.Store, deadLetters: []string{id.Name},
		}
		_, all[i].noted = f.deadLetters[id.Store][id.Name]
		m, err := f.subscriptionMarker(id.Store, id.Name)
		if err != nil || m == nil {
			return nil, err
		}
		if !m.Owner.sameResource(deletions[i].Owner) {
			return nil, backend.ErrConflict
		}
		next := *m
		next.Deletion = deleting
		all[i].marked, all[i].grant = true, m.Grant
		return []write{{all[i].key, encode(&next)}}, nil
	})
}
