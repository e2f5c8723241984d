package pulsar

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// ApplySubscriptions makes planned changes: marker, settings, positions, replay, principal. That is the order of a plan.
// Subscriptions are worked on side by side.
func (b *Backend) ApplySubscriptions(ctx context.Context, changes []backend.SubscriptionChange) []error {
	errs := make([]error, len(changes))
	parallel(len(changes), func(i int) {
		c := changes[i]
		err := first(layout.ValidateStore(c.Desired.Store), layout.ValidateSubscription(c.Desired.Name))
		if err == nil && len(c.Changes) > 0 {
			err = b.applySubscription(ctx, c)
		}
		if err != nil {
			errs[i] = fmt.Errorf("cannot apply subscription %q: %w", c.ID(), b.explain(err))
		}
	})
	return errs
}

// A subscriptionState is a subscription while its changes are made.
type subscriptionState struct {
	namespace *namespace
	marker    marker[subscriptionSettings]
	former    *principalNote // Whom the marker noted before.
}

func (b *Backend) applySubscription(ctx context.Context, c backend.SubscriptionChange) error {
	if err := checkRole(c.Desired.Principal); err != nil {
		return err
	}
	release, err := b.exclusion.shared(ctx, c.Desired.Store)
	if err != nil {
		return err
	}
	defer release()
	s, err := b.claimSubscription(ctx, c)
	if err != nil {
		return err
	}
	if err := b.dismissFormerReader(ctx, c, s); err != nil {
		return err
	}
	if err := b.noteSubscription(ctx, c, &s); err != nil {
		return err
	}
	if err := b.setRestriction(ctx, c, s); err != nil {
		return err
	}
	if err := b.setDeadLetters(ctx, c, s); err != nil {
		return err
	}
	if err := b.placeGroups(ctx, c, &s); err != nil {
		return err
	}
	if err := b.replay(ctx, c, &s); err != nil {
		return err
	}
	return b.setSubscriptionPrincipal(ctx, c, s)
}

func (b *Backend) claimSubscription(ctx context.Context, c backend.SubscriptionChange) (s subscriptionState, err error) {
	const kind = "ApplySubscriptions"
	d := c.Desired
	if s.namespace, err = b.readNamespace(ctx, kind, d.Store); err != nil {
		return s, err
	}
	if s.namespace == nil {
		return s, dataError{fmt.Errorf("its store %q does not exist any more: create its EventStore", d.Store)}
	}
	if store, err := decodeStore(s.namespace.Properties); err != nil || store.claim.Deleting {
		return s, first(err, dataError{fmt.Errorf("its store %q is being deleted", d.Store)})
	}
	if s.marker, err = decodeSubscription(s.namespace.Properties, d.Name); err != nil {
		return s, err
	}
	s.former = s.marker.settings.Principal
	if !has(c.Changes, plan.FieldOwner) {
		return s, s.marker.ownedBy(d.Owner)
	}
	next := claim{Layout: layout.Version, Partitions: c.Observed.Partitions, Hash: layout.Hash, Owner: ownerJSON(d.Owner), Created: now()}
	settings := s.marker.settings
	if !s.marker.marked() {
		settings = subscriptionSettings{DeadLetterRetention: duration(d.DeadLetterRetention)}
		if settings.Kept, err = b.toKeep(ctx, c); err != nil {
			return s, err
		}
		if has(c.Changes, plan.FieldPrincipal) {
			settings.Principal = note(d.Principal)
		}
	}
	s.marker, err = takeOver(ctx, b, kind, ofSubscription(c.ID()), s.marker, c.Observed.Owner, c.Observed.Marked, next, settings)
	return s, err
}

// toKeep returns the partitions in which a subscription without a marker has a position, which adopting it does not move. It
// fails with [backend.ErrConflict] if somebody has made one since it was observed.
func (b *Backend) toKeep(ctx context.Context, c backend.SubscriptionChange) (kept []int, err error) {
	d := c.Desired
	var now struct {
		Partitions map[string]struct {
			Subscriptions map[string]struct{} `json:"subscriptions"`
		} `json:"partitions"`
	}
	path := b.topic(d.Store, layout.PulsarEvents) + "/partitioned-stats"
	if err := unlessAbsent(b.get(ctx, "ApplySubscriptions", path, &now, "perPartition", "true")); err != nil {
		return nil, err
	}
	for p, stats := range byPartition(b.fullName(d.Store, layout.PulsarEvents), now.Partitions) {
		if _, ok := stats.Subscriptions[d.Name]; !ok {
			continue
		}
		if !slices.ContainsFunc(c.Observed.Groups, func(g plan.Group) bool { return g.Partition == p }) && p < c.Observed.Partitions {
			return nil, backend.ErrConflict
		}
		kept = append(kept, p)
	}
	slices.Sort(kept)
	return kept, nil
}

// noteSubscription writes the marker's settings.
func (b *Backend) noteSubscription(ctx context.Context, c backend.SubscriptionChange, s *subscriptionState) error {
	settings, d := s.marker.settings, c.Desired
	for _, change := range c.Changes {
		switch change.Field { //nolint:exhaustive // The others are not in the marker.
		case plan.FieldDeadLetterRetention:
			settings.DeadLetterRetention = duration(d.DeadLetterRetention)
		case plan.FieldPrincipal:
			settings.Principal = renote(settings.Principal, d.Principal)
		}
	}
	return b.noteSettings(ctx, c.ID(), s, settings)
}

func (b *Backend) noteSettings(ctx context.Context, id backend.SubscriptionID, s *subscriptionState, settings subscriptionSettings) error {
	before := s.marker.settings
	s.marker.settings = settings
	if encode(before) == encode(settings) {
		return nil
	}
	key := subscriptionKeys(id.Name) + strconv.Itoa(s.marker.round) + settingsSuffix
	return b.setProperties(ctx, "ApplySubscriptions", id.Store, map[string]string{key: encode(settings)})
}

// setRestriction keeps the subscription from others before it is there.
func (b *Backend) setRestriction(ctx context.Context, c backend.SubscriptionChange, s subscriptionState) error {
	d := c.Desired
	if !has(c.Changes, plan.FieldOwner) && !has(c.Changes, plan.FieldPrincipal) && !slices.Contains(settingNames(c.Changes), settingRestricted) {
		return nil
	}
	now := s.namespace.Auth.Subscriptions[d.Name]
	roles := []string{cmp.Or(d.Principal.Name, layout.SubscriptionPrincipal(d.Store, d.Name))}
	if s.marker.settings.Principal.provided() {
		others := slices.DeleteFunc(slices.Clone(now), func(r string) bool {
			return r == roles[0] || s.former != nil && r == s.former.Name || r == layout.SubscriptionPrincipal(d.Store, d.Name)
		})
		roles = append(roles, others...)
	}
	slices.Sort(roles)
	if slices.Equal(slices.Sorted(slices.Values(now)), roles) {
		return nil
	}
	return b.restrict(ctx, c.ID(), roles)
}

// setDeadLetters creates the topic for dead letters, and sets how long they are kept.
func (b *Backend) setDeadLetters(ctx context.Context, c backend.SubscriptionChange, s subscriptionState) error {
	const kind = "ApplySubscriptions"
	d := c.Desired
	created := slices.Contains(settingNames(c.Changes), settingDeadLetters)
	local := layout.PulsarDeadLetters(d.Name)
	if created {
		if err := unlessConflict(b.put(ctx, kind, b.topic(d.Store, local), map[string]string{})); err != nil {
			return err
		}
	}
	forever := s.marker.settings.DeadLetterRetention == 0
	inherits := forever && s.namespace.Retention != nil && *s.namespace.Retention == policyOf(plan.Retention{}, 1)
	path := b.topic(d.Store, local) + "/retention"
	switch {
	case !created && !has(c.Changes, plan.FieldDeadLetterRetention), created && inherits:
		return nil
	case inherits:
		return unlessAbsent(b.delete(ctx, kind, path))
	default:
		return unlessAbsent(b.post(ctx, kind, path, policyOf(plan.Retention{Duration: time.Duration(s.marker.settings.DeadLetterRetention)}, 1)))
	}
}

// placeGroups creates the subscription where it is missing, and notes that every partition has had a position. While lost
// positions are restored it is noted which, so that one that is set by half counts as none.
func (b *Backend) placeGroups(ctx context.Context, c backend.SubscriptionChange, s *subscriptionState) error {
	settings := s.marker.settings
	var missing []int
	for _, change := range c.Changes {
		if change.Field == plan.FieldGroup {
			missing = append(missing, change.Partition)
		}
	}
	missing = slices.DeleteFunc(missing, func(p int) bool { return !settings.Positioned && slices.Contains(settings.Kept, p) })
	if len(missing) > 0 && settings.Positioned {
		var err error
		if missing, err = b.stillMissing(ctx, c, settings, missing); err != nil {
			return err
		}
		settings.Placing = map[int]string{}
		for _, p := range missing {
			settings.Placing[p] = cmp.Or(c.Restore[p], c.Desired.StartFrom.String())
		}
		if err := b.noteSettings(ctx, c.ID(), s, settings); err != nil {
			return err
		}
	}
	if err := b.placeAll(ctx, c, missing); err != nil {
		return err
	}
	settings.Placing = nil
	if settings.Positioned = settings.Positioned || has(c.Changes, plan.FieldPositioned); settings.Positioned {
		settings.Kept = nil
	}
	return b.noteSettings(ctx, c.ID(), s, settings)
}

// stillMissing returns those partitions where the subscription has no position: a plan may be late.
func (b *Backend) stillMissing(ctx context.Context, c backend.SubscriptionChange, s subscriptionSettings, planned []int) ([]int, error) {
	logs, err := b.readLogs(ctx, "ApplySubscriptions", c.Desired.Store, true)
	return slices.DeleteFunc(planned, func(p int) bool {
		_, exists := logs[p].Cursors[c.Desired.Name]
		_, placing := s.Placing[p]
		return exists && !placing
	}), err
}

// placeAll sets positions: those to restore, and others where reading starts. Each partition is asked for itself: of a request
// for all of them Pulsar would not tell which had the subscription already.
func (b *Backend) placeAll(ctx context.Context, c backend.SubscriptionChange, partitions []int) error {
	id := c.ID()
	errs := make([]error, len(partitions))
	parallel(len(partitions), func(i int) {
		var at position
		if restore, ok := c.Restore[partitions[i]]; ok {
			at, errs[i] = parsePosition(restore)
		} else {
			at, errs[i] = b.startAt(ctx, "ApplySubscriptions", id.Store, c.Desired.StartFrom, partitions[i])
		}
		if errs[i] == nil {
			errs[i] = b.place(ctx, id, partitions[i], at)
		}
	})
	return first(errs...)
}

// place makes the subscription begin at a position of a partition, whether it is there or not.
func (b *Backend) place(ctx context.Context, id backend.SubscriptionID, partition int, at position) error {
	const kind = "ApplySubscriptions"
	path := b.topic(id.Store, layout.PulsarPartition(layout.PulsarEvents, partition)) + "/subscription/" + id.Name
	err := b.put(ctx, kind, path, at.messageID(partition))
	if isConflict(err) {
		err = b.post(ctx, kind, path+"/resetcursor", at.messageID(partition))
	}
	return err
}

// replay moves the position, once for each id: it notes where to, moves, and notes that it is done. A replay that was
// interrupted goes to the places that were noted, so that "the latest record" is not a later one now.
func (b *Backend) replay(ctx context.Context, c backend.SubscriptionChange, s *subscriptionState) error {
	d := c.Desired
	if !has(c.Changes, plan.FieldReplay) || d.Replay == nil || s.marker.settings.Replay == d.Replay.ID {
		return nil
	}
	settings := s.marker.settings
	if settings.Pending != d.Replay.ID {
		places, err := b.places(ctx, c)
		if err != nil {
			return err
		}
		settings.Pending, settings.Places = d.Replay.ID, places
		if err := b.noteSettings(ctx, c.ID(), s, settings); err != nil {
			return err
		}
	}
	errs := make([]error, len(settings.Places))
	parallel(len(settings.Places), func(p int) {
		var at position
		if at, errs[p] = parsePosition(settings.Places[p]); errs[p] == nil {
			errs[p] = b.place(ctx, c.ID(), p, at)
		}
	})
	if err := first(errs...); err != nil {
		return err
	}
	settings.Replay, settings.Pending, settings.Places = d.Replay.ID, "", nil
	return b.noteSettings(ctx, c.ID(), s, settings)
}

// places returns where a replay goes, by partition. The end of the log is where it is now.
func (b *Backend) places(ctx context.Context, c backend.SubscriptionChange) ([]string, error) {
	const kind = "ApplySubscriptions"
	from, store := c.Desired.Replay.From, c.Desired.Store
	var logs map[int]partitionStats
	if from.Latest {
		var err error
		if logs, err = b.readLogs(ctx, kind, store, true); err != nil {
			return nil, err
		}
	}
	places := make([]string, c.Observed.Partitions)
	errs := make([]error, len(places))
	parallel(len(places), func(p int) {
		var at position
		at, errs[p] = b.startAt(ctx, kind, store, from, p)
		if from.Latest {
			at, errs[p] = logs[p].end()
		}
		places[p] = at.String()
	})
	return places, first(errs...)
}

// end returns the position after the last record.
func (s ledgerStats) end() (position, error) {
	last, err := parsePosition(s.LastConfirmed)
	if err != nil {
		return last, errors.New("a partition does not say where it ends: it is tried again")
	}
	return position{last.ledger, last.entry + 1}, nil
}

// dismissFormerReader takes the rights of a principal that is to be another, or none, before the marker forgets it.
func (b *Backend) dismissFormerReader(ctx context.Context, c backend.SubscriptionChange, s subscriptionState) error {
	if !has(c.Changes, plan.FieldPrincipal) || s.former == nil || s.former.Name == c.Desired.Principal.Name {
		return nil
	}
	return b.dismiss(ctx, "ApplySubscriptions", c.Desired.Store, s.namespace, s.former, subscriptionKeys(c.Desired.Name))
}

// setSubscriptionPrincipal gives the principal its rights.
func (b *Backend) setSubscriptionPrincipal(ctx context.Context, c backend.SubscriptionChange, s subscriptionState) error {
	const kind = "ApplySubscriptions"
	d := c.Desired
	renewed := slices.Contains(settingNames(c.Changes), settingDeadLetters) && c.Observed.Principal.Name == d.Principal.Name
	role := s.marker.settings.Principal
	if role == nil || !has(c.Changes, plan.FieldPrincipal) && !renewed {
		return nil
	}
	t, err := b.readTopics(ctx, kind, d.Store)
	if err != nil {
		return err
	}
	permissions := subscriptionPermissions(t, c.Observed.Partitions, d.Name)
	if !role.provided() {
		return b.setRights(ctx, kind, d.Store, s.namespace, role.Name, permissions)
	}
	return b.withRights(ctx, kind, d.Store, func(n *namespace) error {
		settings := s.marker.settings
		settings.Principal = role.noting(b, d.Store, n, subscriptionKeys(d.Name), permissions)
		if err := b.noteSettings(ctx, c.ID(), &s, settings); err != nil {
			return err
		}
		return b.addRights(ctx, kind, d.Store, n, role.Name, permissions)
	})
}
