package redis

import (
	"context"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect/redisclient"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// DeleteSubscriptions deletes users, then at once groups and keys in all partitions and the marker. Of one that has no
// marker only the user goes: nothing says whose the position and the dead letters are.
func (b *Backend) DeleteSubscriptions(ctx context.Context, deletions []backend.SubscriptionDeletion) []error {
	errs := make([]error, len(deletions))
	for lo, hi := range chunks(len(deletions)) {
		b.deleteSubscriptions(ctx, deletions[lo:hi], errs[lo:hi])
	}
	for i, err := range errs {
		if err != nil {
			errs[i] = fmt.Errorf("cannot delete subscription %q: %w", deletions[i].ID, b.explain(err))
		}
	}
	return errs
}

func (b *Backend) deleteSubscriptions(ctx context.Context, deletions []backend.SubscriptionDeletion, errs []error) {
	doomed := make([]doomed, len(deletions))
	for i, d := range deletions {
		if valid(d.ID) { // Nothing exists under a name that none can have.
			doomed[i] = subscriptionToDelete(d.ID, d.Owner)
		}
	}
	counts := make([][2]*redis.StringCmd, len(deletions))
	b.doom(ctx, "DeleteSubscriptions", doomed, errs, func(t *trip, i int) {
		counts[i][0] = t.HGet(ctx, layout.RedisMarker(deletions[i].ID.Store), layout.RedisMarkerPartitions)
		counts[i][1] = t.HGet(ctx, doomed[i].marker, layout.RedisMarkerPartitions)
	})
	b.deleteUsers(ctx, "DeleteSubscriptions", doomed, errs)
	partitions := make([]int, len(deletions))
	for i := range deletions {
		if errs[i] == nil && doomed[i].marked {
			partitions[i], errs[i] = partitionsOf(counts[i])
		}
	}
	if b.config.Mode == redisclient.ModeCluster {
		b.leave(ctx, deletions, doomed, partitions, errs)
		clear(partitions)
	}
	b.each(ctx, "DeleteSubscriptions", dropScript, errs, func(i int) (keys []string, args []any) {
		if !doomed[i].marked {
			return nil, nil
		}
		id := deletions[i].ID
		keys = []string{doomed[i].marker, layout.RedisSubscriptions(id.Store)}
		for _, p := range subscriptionParts(id, partitions[i]) {
			keys = append(keys, p.keys...)
		}
		return keys, deletionArgs(doomed[i].owner, id.Name)
	})
}

// leave removes subscriptions from the partitions of a cluster, where no script can name them together with the marker.
// So the marker says first that something is destroyed, from when on nobody can call the deletion off.
func (b *Backend) leave(ctx context.Context, deletions []backend.SubscriptionDeletion, doomed []doomed, partitions []int, errs []error) {
	b.each(ctx, "DeleteSubscriptions", unlinkScript, errs, func(i int) ([]string, []any) {
		if !doomed[i].marked {
			return nil, nil
		}
		return []string{doomed[i].marker}, deletionArgs(doomed[i].owner)
	})
	b.eachPart(ctx, "DeleteSubscriptions", leaveScript, errs, func(i int) ([]any, []part) {
		return []any{deletions[i].ID.Name}, subscriptionParts(deletions[i].ID, partitions[i])
	})
}

// subscriptionParts returns what a subscription has in each partition.
func subscriptionParts(id backend.SubscriptionID, partitions int) []part {
	parts := make([]part, partitions)
	for p := range parts {
		parts[p].keys = []string{
			layout.RedisEvents(id.Store, p), layout.RedisDeadLetters(id.Store, p, id.Name),
			layout.RedisLease(id.Store, p, id.Name), layout.RedisRetries(id.Store, p, id.Name),
		}
	}
	return parts
}

func subscriptionToDelete(id backend.SubscriptionID, owner plan.Owner) doomed {
	return doomed{marker: layout.RedisSubscriptionMarker(id.Store, id.Name), user: layout.SubscriptionPrincipal(id.Store, id.Name), owner: owner}
}

// partitionsOf returns how many partitions a subscription may have something in: as many as its store or its own marker
// says.
func partitionsOf(counts [2]*redis.StringCmd) (partitions int, err error) {
	for _, c := range counts {
		if err := c.Err(); err != nil && err != redis.Nil { //nolint:errorlint // go-redis returns it as is.
			return 0, err
		}
		if n, err := strconv.Atoi(c.Val()); err == nil && n <= maxPartitions {
			partitions = max(partitions, n)
		}
	}
	return partitions, nil
}
