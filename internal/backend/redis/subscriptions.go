package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

const (
	// idleAfter is how long a consumer without a lease may be silent and still counts as one that reads.
	idleAfter = 30 * time.Second

	// countedRecords is up to how many records a lag is counted for where Redis does not know it, in one script.
	// More is estimated; see estimate.
	countedRecords = 500
)

// ReadSubscriptions observes subscriptions. See the package's documentation for its round trips.
func (b *Backend) ReadSubscriptions(ctx context.Context, ids []backend.SubscriptionID) []backend.Result[plan.ObservedSubscription] {
	results := make([]backend.Result[plan.ObservedSubscription], len(ids))
	principals := make([]string, len(ids))
	for i, id := range ids {
		principals[i] = layout.SubscriptionPrincipal(id.Store, id.Name)
	}
	users := b.lookAt(ctx, "ReadSubscriptions", principals)
	for lo, hi := range chunks(len(ids)) {
		b.readSubscriptions(ctx, users, ids[lo:hi], results[lo:hi])
	}
	for i, r := range results {
		if r.Err != nil {
			results[i] = backend.Result[plan.ObservedSubscription]{Err: fmt.Errorf("cannot read subscription %q: %w", ids[i], b.explain(r.Err))}
		}
	}
	return results
}

// valid reports whether a subscription of that name can exist.
func valid(id backend.SubscriptionID) bool {
	return layout.ValidateStore(id.Store) == nil && layout.ValidateSubscription(id.Name) == nil
}

type subscriptionReading struct {
	store  *redis.MapStringStringCmd // Shared by the store's subscriptions.
	marker *redis.MapStringStringCmd
	user   replies
}

func (b *Backend) readSubscriptions(ctx context.Context, users *userReading, ids []backend.SubscriptionID, results []backend.Result[plan.ObservedSubscription]) {
	readings := b.readSubscriptionMarkers(ctx, users, ids)
	for i, id := range ids {
		results[i].Value, results[i].Err = observeSubscription(id, users, readings[i])
	}
	groups := make([]spread, len(ids))
	logs, stores := make([]remnant, len(ids)), map[string]remnant{}
	b.send(ctx, "ReadSubscriptions", func(t *trip) {
		for i, id := range ids {
			o := results[i].Value
			if results[i].Err == nil && o.StoreGone && layout.ValidateStore(id.Store) == nil {
				if stores[id.Store].logs == nil {
					stores[id.Store] = t.remnant(id.Store)
				}
				logs[i] = stores[id.Store]
			}
			if results[i].Err != nil || !valid(id) || o.Partitions == 0 || o.StoreGone && !o.Marked {
				continue
			}
			parts := make([]part, o.Partitions)
			for at := range parts {
				parts[at].keys = []string{layout.RedisEvents(id.Store, at), layout.RedisDeadLetters(id.Store, at, id.Name), layout.RedisLease(id.Store, at, id.Name)}
			}
			groups[i] = t.lookOver(groupsScript, parts, id.Name, layout.RedisConsumer, idleAfter.Milliseconds(), countedRecords)
		}
	})
	for i, id := range ids {
		if groups[i] != nil {
			results[i].Err = observeGroups(id, groups[i], &results[i].Value)
		}
		if logs[i].logs != nil {
			there, err := logs[i].any()
			results[i].Value.StoreHasLogs = there
			results[i].Err = cmpErr(results[i].Err, err)
		}
	}
}

func (b *Backend) readSubscriptionMarkers(ctx context.Context, users *userReading, ids []backend.SubscriptionID) []subscriptionReading {
	readings, stores := make([]subscriptionReading, len(ids)), map[string]*redis.MapStringStringCmd{}
	b.send(ctx, "ReadSubscriptions", func(t *trip) {
		for i, id := range ids {
			if layout.ValidateStore(id.Store) != nil {
				continue
			}
			if stores[id.Store] == nil {
				stores[id.Store] = t.HGetAll(ctx, layout.RedisMarker(id.Store))
			}
			readings[i].store = stores[id.Store]
			if valid(id) {
				readings[i].marker = t.HGetAll(ctx, layout.RedisSubscriptionMarker(id.Store, id.Name))
				readings[i].user = users.queue(t, layout.SubscriptionPrincipal(id.Store, id.Name))
			}
		}
	})
	return readings
}

// observeSubscription reads what the two markers say, and the user.
func observeSubscription(id backend.SubscriptionID, users *userReading, r subscriptionReading) (plan.ObservedSubscription, error) {
	o := plan.ObservedSubscription{StoreGone: true}
	if r.store == nil {
		return o, nil
	}
	fields, err := r.store.Result()
	if err != nil {
		return o, err
	}
	store, err := decodeStore(fields)
	if err != nil {
		return o, fmt.Errorf("its store %q: %w", id.Store, err)
	}
	// What is missing of a store that is being deleted goes with it: it is not to be made again.
	o.StoreGone, o.StoreCreated, o.Partitions = !store.Marked || fields[fieldDeletion] != "", fields[fieldCreated], store.Partitions
	if r.marker == nil {
		return o, nil
	}
	if fields, err = r.marker.Result(); err != nil {
		return o, err
	}
	d := &decoder{fields: fields}
	o.Marked, o.Owner = len(fields) > 0, decodeOwner(fields)
	o.DeadLetterRetention = d.duration(fieldDeadLetterRetention)
	o.Takeovers = int(d.integer(fieldTakeovers, 0, 1<<31-1))
	o.Created, o.PositionedIn, o.LastReplay = fields[fieldPositioned] == "true", fields[fieldPositionedIn], fields[fieldReplay]
	if o.StoreGone {
		o.Partitions = int(d.integer(layout.RedisMarkerPartitions, 0, maxPartitions))
	}
	if d.err != nil {
		return o, d.err
	}
	o.Principal, err = users.principal(layout.SubscriptionPrincipal(id.Store, id.Name), r.user, fields)
	return o, err
}

// observeGroups reads the answer of groups.lua.
func observeGroups(id backend.SubscriptionID, reply spread, o *plan.ObservedSubscription) error {
	all, err := reply.slice()
	if err != nil {
		return err
	}
	for p, v := range all {
		if s, ok := v.(string); ok {
			return wrongKey(layout.RedisEvents(id.Store, p), s)
		}
		g, ok := v.([]any)
		if !ok || len(g) != 11 {
			return errors.New("the script groups.lua answered out of shape")
		}
		o.DeadLetters += integer(g[9])
		if integer(g[0]) == 0 {
			continue
		}
		group, err := observeGroup(p, g)
		if err != nil {
			return err
		}
		o.Groups = append(o.Groups, group)
		names, _ := g[10].([]any)
		for _, n := range names {
			o.Consumers = append(o.Consumers, text(n))
		}
	}
	slices.Sort(o.Consumers)
	o.Consumers = slices.Compact(o.Consumers)
	return nil
}

func observeGroup(partition int, g []any) (plan.Group, error) {
	delivered, err := parseID(text(g[1]))
	if err != nil {
		return plan.Group{}, err
	}
	pending, firstPending, unread, lag := integer(g[2]), text(g[3]), text(g[4]), integer(g[5])
	if lag < 0 {
		lag = estimate(integer(g[6]), text(g[7]), text(g[8]), unread)
	}
	group := plan.Group{Partition: partition, Lag: lag + pending}
	switch {
	case pending > 0:
		group.Position = firstPending
		group.OldestUnread = timeOf(firstPending)
	default:
		group.Position = delivered.next().String()
		group.OldestUnread = timeOf(unread)
	}
	return group, nil
}

// estimate guesses how many of a stream's records follow from an entry on, as if they had come evenly. Redis does not
// count them where reading began in the middle, until it reaches the end for the first time.
func estimate(length int64, first, last, unread string) int64 {
	whole, part := timeOf(last).Sub(timeOf(first)), timeOf(last).Sub(timeOf(unread))
	if whole <= 0 {
		return length
	}
	return min(max(int64(float64(length)*float64(part)/float64(whole)), countedRecords+1), length)
}
