package pulsar

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// DeleteSubscriptions deletes subscriptions with their principals' rights, positions and dead letters; the marker goes last.
// Of one that has no marker only the rights go: nothing says whose the position and the dead letters are. With its store a
// subscription is gone too.
func (b *Backend) DeleteSubscriptions(ctx context.Context, deletions []backend.SubscriptionDeletion) []error {
	errs := make([]error, len(deletions))
	parallel(len(deletions), func(i int) {
		if !valid(deletions[i].ID) {
			return // Nothing exists under a name that none can have.
		}
		if err := b.deleteSubscription(ctx, deletions[i]); err != nil {
			errs[i] = fmt.Errorf("cannot delete subscription %q: %w", deletions[i].ID, b.explain(err))
		}
	})
	return errs
}

func (b *Backend) deleteSubscription(ctx context.Context, d backend.SubscriptionDeletion) error {
	const kind = "DeleteSubscriptions"
	release, err := b.exclusion.shared(ctx, d.ID.Store)
	if err != nil {
		return err
	}
	defer release()
	n, err := b.readNamespace(ctx, kind, d.ID.Store)
	if err != nil || n == nil {
		return err
	}
	m, err := decodeSubscription(n.Properties, d.ID.Name)
	if err != nil {
		return err
	}
	if !m.marked() {
		return b.takeRights(ctx, kind, d.ID.Store, n, layout.SubscriptionPrincipal(d.ID.Store, d.ID.Name))
	}
	if m, err = doom(ctx, b, kind, ofSubscription(d.ID), m, d.Owner); err != nil {
		return err
	}
	if err := b.dismiss(ctx, kind, d.ID.Store, n, m.settings.Principal, subscriptionKeys(d.ID.Name)); err != nil {
		return err
	}
	if err := b.deleteGroups(ctx, kind, d.ID, m.claim.Partitions); err != nil {
		return err
	}
	if err := b.deleteTopic(ctx, kind, d.ID.Store, layout.PulsarDeadLetters(d.ID.Name)); err != nil {
		return err
	}
	for _, role := range n.Auth.Subscriptions[d.ID.Name] {
		if err := unlessAbsent(b.delete(ctx, kind, b.namespace(d.ID.Store)+"/permissions/"+d.ID.Name+"/"+url.PathEscape(role))); err != nil {
			return err
		}
	}
	return b.deleteMarker(ctx, kind, d.ID, m.round)
}

// deleteGroups deletes the positions of a subscription. Each partition is asked for itself: of all of them at once Pulsar says
// that there is none if one partition is lost, whatever another has answered.
func (b *Backend) deleteGroups(ctx context.Context, kind string, id backend.SubscriptionID, partitions int) error {
	var topic struct {
		Partitions int `json:"partitions"`
	}
	if err := unlessAbsent(b.get(ctx, kind, b.topic(id.Store, layout.PulsarEvents)+"/partitions", &topic)); err != nil {
		return err
	}
	errs := make([]error, max(partitions, topic.Partitions)) // Pulsar gives partitions that are added the subscriptions of the others.
	parallel(len(errs), func(p int) {
		path := b.topic(id.Store, layout.PulsarPartition(layout.PulsarEvents, p)) + "/subscription/" + id.Name
		errs[p] = unlessAbsent(b.delete(ctx, kind, path, "force", "true"))
	})
	return first(errs...)
}

// deleteMarker deletes the topics that decided who owns the subscription, and then the properties. The last claim, which says
// that the subscription is being deleted, goes last.
func (b *Backend) deleteMarker(ctx context.Context, kind string, id backend.SubscriptionID, last int) error {
	of := ofSubscription(id)
	rounds, err := b.rounds(ctx, kind, of)
	if err != nil {
		return err
	}
	slices.Sort(rounds)
	for _, r := range rounds {
		if err := b.deletePartitioned(ctx, kind, id.Store, of.topic+strconv.Itoa(r)); err != nil {
			return err
		}
	}
	for r := 1; r <= last; r++ {
		key := b.namespace(id.Store) + "/property/" + of.prefix + strconv.Itoa(r)
		if err := b.delete(ctx, kind, key+settingsSuffix); err != nil {
			return err
		}
		if err := b.delete(ctx, kind, key); err != nil {
			return err
		}
	}
	return nil
}
