package kafka

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// ApplySubscriptions makes planned changes, step by step for all subscriptions at once: markers, topics of dead letters,
// positions, replays, users. That is the order of a plan: nobody can read before every partition has its position. A
// subscription whose step fails takes no further one.
func (b *Backend) ApplySubscriptions(ctx context.Context, changes []backend.SubscriptionChange) []error {
	errs := make([]error, len(changes))
	for i, c := range changes {
		errs[i] = first(layout.ValidateStore(c.Desired.Store), layout.ValidateSubscription(c.Desired.Name))
	}
	b.shared.wrote()
	before := b.claimSubscriptions(ctx, changes, errs)
	configured := b.applyDeadLetters(ctx, changes, errs)
	b.setPositions(ctx, changes, errs)
	b.markSubscriptions(ctx, changes, errs, plan.FieldPositioned, func(m *subscriptionMarker, c backend.SubscriptionChange) {
		m.position(c.Observed.StoreCreated)
	})
	b.replay(ctx, changes, errs)
	grants := b.applyUsers(ctx, subscriptionGrants(changes, before, errs), errs)
	b.applyRights(ctx, grants, errs)
	b.awaitConfigs(ctx, configured, errs)
	b.awaitGrants(ctx, grants, errs)
	b.shared.wrote()
	for i, err := range errs {
		if err != nil {
			errs[i] = fmt.Errorf("cannot apply subscription %q: %w", changes[i].ID(), b.explain(err)) //nolint:gosec // There is one for each.
		}
	}
	return errs
}

// head returns what the marker has in common with others; nil if there is none.
func (m *subscriptionMarker) head() *common {
	if m == nil {
		return nil
	}
	return &m.common
}

// nextSubscription returns a subscription's marker as it is after the changes, but for what is noted when it is done.
func nextSubscription(m *subscriptionMarker, c backend.SubscriptionChange) (*subscriptionMarker, error) {
	d := c.Desired
	next := &subscriptionMarker{}
	if m != nil {
		*next = *m
	}
	switch {
	case !has(c.Changes, plan.FieldOwner):
		if err := ownedBy(m.head(), d.Owner); err != nil {
			return nil, err
		}
	case m == nil:
		next.common, next.DeadLetterRetention = newCommon(c.Observed.Partitions, time.Now()), duration(d.DeadLetterRetention)
		fallthrough
	default:
		if err := claim(m.head(), &next.common, c.Observed.Marked, c.Observed.Owner, d.Owner); err != nil {
			return nil, err
		}
	}
	if has(c.Changes, plan.FieldDeadLetterRetention) {
		next.DeadLetterRetention = duration(d.DeadLetterRetention)
	}
	if has(c.Changes, plan.FieldPrincipal) {
		next.Grant = granted(d.Principal, layout.SubscriptionPrincipal(d.Store, d.Name), c.Password)
	}
	return next, nil
}

// claimSubscriptions writes the markers that the plans change, and the notes that there are dead letters. It returns to whom
// rights had been given.
func (b *Backend) claimSubscriptions(ctx context.Context, changes []backend.SubscriptionChange, errs []error) []grant {
	before := make([]grant, len(changes))
	b.mark(ctx, errs, func(f *fold, i int) ([]write, error) {
		c := changes[i]
		d := c.Desired
		if len(c.Changes) == 0 {
			return nil, nil
		}
		if store, err := f.storeMarker(d.Store); err == nil && store != nil && store.Deletion != "" {
			return nil, deletionError{"the deletion of its store has begun"}
		}
		m, err := f.subscriptionMarker(d.Store, d.Name)
		if err != nil {
			return nil, err
		}
		next, err := nextSubscription(m, c)
		if err != nil {
			return nil, err
		}
		if m != nil {
			before[i] = m.Grant
		}
		writes := []write{{layout.KafkaSubscriptionKey(d.Store, d.Name), encode(next)}}
		if changesDeadLetters(c) {
			writes = append(writes, write{layout.KafkaDeadLettersKey(d.Store, d.Name), []byte("{}")})
		}
		return writes, nil
	})
	return before
}

// markSubscriptions notes in the markers of those whose plan has the field what was done.
func (b *Backend) markSubscriptions(ctx context.Context, changes []backend.SubscriptionChange, errs []error, field plan.Field, note func(*subscriptionMarker, backend.SubscriptionChange)) {
	if !slices.ContainsFunc(changes, func(c backend.SubscriptionChange) bool { return has(c.Changes, field) }) {
		return
	}
	b.mark(ctx, errs, func(f *fold, i int) ([]write, error) {
		d := changes[i].Desired
		if !has(changes[i].Changes, field) {
			return nil, nil
		}
		m, err := f.subscriptionMarker(d.Store, d.Name)
		if err == nil {
			err = ownedBy(m.head(), d.Owner)
		}
		if err != nil {
			return nil, err
		}
		next := *m
		note(&next, changes[i])
		return []write{{layout.KafkaSubscriptionKey(d.Store, d.Name), encode(&next)}}, nil
	})
}

// changesDeadLetters reports whether the plan configures the topic of dead letters, which it may have to make for that.
func changesDeadLetters(c backend.SubscriptionChange) bool {
	return slices.ContainsFunc(c.Changes, func(c plan.Change) bool { return strings.HasPrefix(c.Setting, deadLettersPrefix) })
}

// applyDeadLetters creates topics of dead letters, and configures those that are there, in the way of applyTopics. It returns
// what is to be waited for.
func (b *Backend) applyDeadLetters(ctx context.Context, changes []backend.SubscriptionChange, errs []error) []alteration {
	var missing []newTopic
	var altered []alteration
	for i, c := range changes {
		if errs[i] != nil {
			continue
		}
		topic := layout.KafkaDeadLetters(c.Desired.Store, c.Desired.Name)
		kept := map[string]string{keyRetention: retentionConfig(plan.Retention{Duration: c.Desired.DeadLetterRetention}, 1)[keyRetention]}
		switch there := c.Observed.Settings != nil; {
		case changesDeadLetters(c) && !there:
			config := map[string]string{keyRetainedBytes: "-1"}
			maps.Copy(config, kept)
			for k, v := range c.Desired.Settings {
				config[strings.TrimPrefix(k, deadLettersPrefix)] = v
			}
			missing = append(missing, newTopic{i, topic, 1, 0, config})
		case there:
			set := deadLettersAlterations(c)
			if has(c.Changes, plan.FieldDeadLetterRetention) {
				maps.Copy(set, kept)
			}
			if len(set) > 0 {
				altered = append(altered, alteration{i, topic, set})
			}
		}
	}
	existed := b.createTopics(ctx, missing, errs)
	for _, t := range existed {
		altered = append(altered, alteration{t.at, t.name, deadLettersAlterations(changes[t.at])})
	}
	b.alterTopics(ctx, altered, errs)
	for _, t := range missing {
		if !slices.ContainsFunc(existed, func(e newTopic) bool { return e.at == t.at }) {
			altered = append(altered, alteration{t.at, t.name, t.config})
		}
	}
	return altered
}

// deadLettersAlterations returns what a plan changes of the settings of the topic of dead letters.
func deadLettersAlterations(c backend.SubscriptionChange) map[string]string {
	set := map[string]string{}
	for _, change := range c.Changes {
		if key, ok := strings.CutPrefix(change.Setting, deadLettersPrefix); ok {
			set[key] = c.Desired.Settings[change.Setting]
		}
	}
	return set
}

// setPositions gives a position to partitions that have none. One that is there stays: the reply to an earlier call may have
// been lost.
func (b *Backend) setPositions(ctx context.Context, changes []backend.SubscriptionChange, errs []error) {
	groups := map[string]group{}
	for i, c := range changes {
		if errs[i] == nil && has(c.Changes, plan.FieldGroup) {
			n := layout.KafkaGroup(c.Desired.Store, c.Desired.Name)
			groups[n] = group{n, layout.KafkaEvents(c.Desired.Store), c.Observed.Partitions}
		}
	}
	if len(groups) == 0 {
		return
	}
	known := b.readOffsets(ctx, writePatience, groups)
	var wishes []wish
	for i, c := range changes {
		g := known[layout.KafkaGroup(c.Desired.Store, c.Desired.Name)]
		if errs[i] != nil || g == nil {
			continue
		}
		if g.err != nil {
			errs[i] = fmt.Errorf("cannot see the positions: %w", b.explain(g.err))
			continue
		}
		for _, change := range c.Changes {
			if _, there := g.offsets[int32(change.Partition)]; change.Field == plan.FieldGroup && !there {
				wishes = append(wishes, wish{
					place: place{layout.KafkaEvents(c.Desired.Store), int32(change.Partition)}, at: i,
					start: c.Desired.StartFrom, restore: c.Restore[change.Partition],
				})
			}
		}
	}
	offsets := b.resolve(ctx, wishes, errs)
	b.commit(ctx, commitments(changes, wishes, offsets), errs)
}

// commitments collects the offsets of each group.
func commitments(changes []backend.SubscriptionChange, wishes []wish, offsets map[place]map[int]int64) []commitment {
	all := make([]commitment, len(changes))
	for i, c := range changes {
		all[i] = commitment{i, layout.KafkaGroup(c.Desired.Store, c.Desired.Name), layout.KafkaEvents(c.Desired.Store), map[int32]int64{}}
	}
	for _, w := range wishes {
		if n, ok := offsets[w.place][w.at]; ok {
			all[w.at].offsets[w.partition] = n
		}
	}
	return all
}

func subscriptionGrants(changes []backend.SubscriptionChange, before []grant, errs []error) (grants []grantChange) {
	for i, c := range changes {
		if errs[i] != nil || !has(c.Changes, plan.FieldPrincipal) {
			continue
		}
		d := c.Desired
		g := grantChange{
			at: i, managed: layout.SubscriptionPrincipal(d.Store, d.Name), previous: before[i].User, list: layout.KafkaSubscriptionACL(d.Store, d.Name),
		}
		if g, errs[i] = newGrant(g, d.Principal, c.Observed.Principal, c.Password); errs[i] == nil {
			grants = append(grants, g)
		}
	}
	return grants
}
