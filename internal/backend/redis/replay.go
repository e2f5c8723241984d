package redis

import (
	"context"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// replay moves positions, once for each id: it notes in the marker where they go, moves them, and notes that it is done.
// A replay that was interrupted goes to the places that were noted, so that "the latest record" is not a later one now.
func (b *Backend) replay(ctx context.Context, changes []backend.SubscriptionChange, errs []error) {
	places := b.places(ctx, changes, errs)
	places = b.notePlaces(ctx, changes, places, errs)
	b.eachPart(ctx, "ApplySubscriptions", moveScript, errs, func(i int) ([]any, []part) {
		d, parts := changes[i].Desired, make([]part, len(places[i]))
		for p, id := range places[i] {
			parts[p] = part{keys: []string{layout.RedisEvents(d.Store, p), layout.RedisRetries(d.Store, p, d.Name)}, args: []any{id}}
		}
		return []any{d.Name}, parts
	})
	b.setSubscriptions(ctx, changes, errs, func(c backend.SubscriptionChange) []string {
		if has(c.Changes, plan.FieldReplay) {
			return []string{fieldReplay, c.Desired.Replay.ID, fieldReplayPending, "", fieldReplayPlaces, ""}
		}
		return nil
	})
}

// places returns, for each subscription that is to be replayed, the id after which it reads in each partition.
func (b *Backend) places(ctx context.Context, changes []backend.SubscriptionChange, errs []error) [][]string {
	ends := b.ends(ctx, changes, errs)
	places := make([][]string, len(changes))
	for i, c := range changes {
		if errs[i] != nil || !has(c.Changes, plan.FieldReplay) {
			continue
		}
		for p := range c.Observed.Partitions {
			id, err := startAfter(c.Desired.Replay.From, p)
			if id == latest {
				id = text(ends[i][p])
			}
			errs[i] = cmpErr(errs[i], err)
			places[i] = append(places[i], id)
		}
	}
	return places
}

// ends returns the last ids of all partitions of the subscriptions that are to be replayed from the latest record.
func (b *Backend) ends(ctx context.Context, changes []backend.SubscriptionChange, errs []error) [][]any {
	replies := make([]spread, len(changes))
	b.send(ctx, "ApplySubscriptions", func(t *trip) {
		for i, c := range changes {
			if errs[i] == nil && has(c.Changes, plan.FieldReplay) && c.Desired.Replay.From.Latest {
				replies[i] = t.lookOver(lastScript, eventParts(c.Desired.Store, c.Observed.Partitions))
			}
		}
	})
	ends := make([][]any, len(changes))
	for i, r := range replies {
		if r == nil {
			continue
		}
		var err error
		if ends[i], err = r.slice(); err != nil {
			errs[i] = b.explain(err)
		}
	}
	return ends
}

// notePlaces writes down where replays go, and returns where they really go: where an interrupted one went, and nowhere
// if that replay was done.
func (b *Backend) notePlaces(ctx context.Context, changes []backend.SubscriptionChange, places [][]string, errs []error) [][]string {
	replies := make([]*redis.Cmd, len(changes))
	b.send(ctx, "ApplySubscriptions", func(t *trip) {
		for i, c := range changes {
			if errs[i] == nil && len(places[i]) > 0 {
				d := c.Desired
				replies[i] = t.run(replayScript, []string{layout.RedisSubscriptionMarker(d.Store, d.Name)}, ownedArgs(d.Owner,
					d.Replay.ID, strings.Join(places[i], ","), fieldReplay, fieldReplayPending, fieldReplayPlaces)...)
			}
		}
	})
	noted := make([][]string, len(changes))
	for i, r := range replies {
		if r == nil {
			continue
		}
		if errs[i] = b.owned(r); errs[i] == nil {
			if s, _ := r.Text(); s != "done" {
				noted[i] = strings.Split(s, ",")
			}
		}
	}
	return noted
}
