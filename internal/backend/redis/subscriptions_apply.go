package redis

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// ApplySubscriptions makes planned changes, step by step for all subscriptions at once: markers, settings, groups,
// replays, users. That is the order of a plan. A subscription whose step fails takes no further one.
func (b *Backend) ApplySubscriptions(ctx context.Context, changes []backend.SubscriptionChange) []error {
	errs := make([]error, len(changes))
	for lo, hi := range chunks(len(changes)) {
		b.applySubscriptions(ctx, changes[lo:hi], errs[lo:hi])
	}
	for i, err := range errs {
		if err != nil {
			errs[i] = fmt.Errorf("cannot apply subscription %q: %w", changes[i].ID(), err)
		}
	}
	return errs
}

func (b *Backend) applySubscriptions(ctx context.Context, changes []backend.SubscriptionChange, errs []error) {
	for i, c := range changes {
		errs[i] = cmpErr(layout.ValidateStore(c.Desired.Store), layout.ValidateSubscription(c.Desired.Name))
	}
	b.claimSubscriptions(ctx, changes, errs)
	b.setSubscriptions(ctx, changes, errs, func(c backend.SubscriptionChange) []string {
		if has(c.Changes, plan.FieldDeadLetterRetention) {
			return []string{fieldDeadLetterRetention, c.Desired.DeadLetterRetention.String()}
		}
		return nil
	})
	b.createGroups(ctx, changes, errs)
	b.setSubscriptions(ctx, changes, errs, positioned)
	b.replay(ctx, changes, errs)
	b.applyUsers(ctx, "ApplySubscriptions", subscriptionUsers(changes, errs), errs)
}

func (b *Backend) claimSubscriptions(ctx context.Context, changes []backend.SubscriptionChange, errs []error) {
	b.each(ctx, "ApplySubscriptions", claimScript, errs, func(i int) ([]string, []any) {
		c := changes[i]
		if !has(c.Changes, plan.FieldOwner) {
			return nil, nil
		}
		keys := []string{layout.RedisSubscriptionMarker(c.Desired.Store, c.Desired.Name), layout.RedisSubscriptions(c.Desired.Store)}
		return keys, claimArgs(c.Desired.Name, c.Observed.Owner, c.Desired.Owner, c.Observed.Marked,
			layout.RedisMarkerLayout, strconv.Itoa(layout.Version),
			layout.RedisMarkerPartitions, strconv.Itoa(c.Observed.Partitions),
			fieldDeadLetterRetention, c.Desired.DeadLetterRetention.String(),
			fieldCreated, time.Now().UTC().Format(time.RFC3339),
		)
	})
}

// setSubscriptions writes the fields that the function returns into the markers.
func (b *Backend) setSubscriptions(ctx context.Context, changes []backend.SubscriptionChange, errs []error, fields func(backend.SubscriptionChange) []string) {
	b.each(ctx, "ApplySubscriptions", setScript, errs, func(i int) ([]string, []any) {
		f := fields(changes[i])
		if len(f) == 0 {
			return nil, nil
		}
		d := changes[i].Desired
		return []string{layout.RedisSubscriptionMarker(d.Store, d.Name)}, ownedArgs(d.Owner, f...)
	})
}

// positioned returns the fields that note that every partition has its position. What was replayed in an earlier store of
// the same name was not replayed in this one.
func positioned(c backend.SubscriptionChange) []string {
	if !has(c.Changes, plan.FieldPositioned) {
		return nil
	}
	fields := []string{fieldPositioned, "true", fieldPositionedIn, c.Observed.StoreCreated}
	if c.Observed.PositionedIn != c.Observed.StoreCreated {
		fields = append(fields, fieldReplay, "", fieldReplayPending, "", fieldReplayPlaces, "")
	}
	return fields
}

func (b *Backend) createGroups(ctx context.Context, changes []backend.SubscriptionChange, errs []error) {
	parts := make([][]part, len(changes))
	for i, c := range changes {
		if errs[i] == nil {
			parts[i], errs[i] = groupStarts(c)
		}
	}
	b.eachPart(ctx, "ApplySubscriptions", groupScript, errs, func(i int) ([]any, []part) {
		return []any{changes[i].Desired.Name, countedRecords}, parts[i]
	})
}

// groupStarts returns the partitions in which groups are new, each with the id after which the group reads there.
func groupStarts(c backend.SubscriptionChange) (parts []part, err error) {
	for _, change := range c.Changes {
		if change.Field != plan.FieldGroup {
			continue
		}
		var id string
		if at, ok := c.Restore[change.Partition]; ok {
			id, err = after(at)
		} else {
			id, err = startAfter(c.Desired.StartFrom, change.Partition)
		}
		if err != nil {
			return nil, err
		}
		parts = append(parts, part{keys: []string{layout.RedisEvents(c.Desired.Store, change.Partition)}, args: []any{id}})
	}
	return parts, nil
}

func subscriptionUsers(changes []backend.SubscriptionChange, errs []error) []userChange {
	var users []userChange
	for i, c := range changes {
		if errs[i] != nil || !has(c.Changes, plan.FieldPrincipal) {
			continue
		}
		d := c.Desired
		u := userChange{
			at: i, name: layout.SubscriptionPrincipal(d.Store, d.Name), rules: layout.RedisSubscriptionACL(d.Store, d.Name),
			marker: layout.RedisSubscriptionMarker(d.Store, d.Name), owner: d.Owner, claimed: has(c.Changes, plan.FieldOwner),
		}
		users, errs[i] = appendUser(users, u, d.Principal, c.Observed.Principal, c.Password)
	}
	return users
}
