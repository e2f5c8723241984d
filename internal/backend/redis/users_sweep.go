package redis

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// sweep deletes users that outlived their store or subscription on a server that could not be reached when they were
// deleted. Such a user is on some servers and not on others, and has no marker; one that has a marker is drift, and
// repaired as that. It looks only after a server has come, or come back.
func (b *Backend) sweep(ctx context.Context) error {
	var listed replies
	b.send(ctx, "Maintain", func(t *trip) {
		if slices.ContainsFunc(t.topology.users(), (*node).unlooked) {
			listed = t.all(t.topology.users(), "ACL", "USERS")
		}
	})
	some, err := listed.answered()
	if err != nil || len(some) == 0 {
		return nil //nolint:nilerr // Health says it.
	}
	holders := map[string]replies{}
	for _, r := range some {
		users, err := r.StringSlice()
		if err != nil {
			return nil //nolint:nilerr // Users cannot be managed there.
		}
		for _, u := range users {
			if markerOf(u) != "" {
				holders[u] = append(holders[u], r)
			}
		}
	}
	maps.DeleteFunc(holders, func(_ string, on replies) bool { return len(on) == len(some) })
	if err := b.drop(ctx, holders); err != nil {
		return fmt.Errorf("cannot delete users of what was deleted: %w", b.explain(err))
	}
	for _, r := range some {
		r.from.looked()
	}
	return nil
}

// drop deletes those users that have no marker, from the servers that have them. None is made meanwhile: whoever makes one
// has its marker first.
func (b *Backend) drop(ctx context.Context, holders map[string]replies) (err error) {
	b.unsaved.making.Lock()
	defer b.unsaved.making.Unlock()
	marked := map[string]*redis.IntCmd{}
	b.send(ctx, "Maintain", func(t *trip) {
		for u := range holders {
			marked[u] = t.Exists(ctx, markerOf(u))
		}
	})
	var dropped replies
	b.send(ctx, "Maintain", func(t *trip) {
		for u, on := range holders {
			err = cmpErr(err, marked[u].Err())
			if marked[u].Err() != nil || marked[u].Val() > 0 {
				continue
			}
			for _, r := range on {
				dropped = append(dropped, reply{r.from, t.one(r.from, "ACL", "DELUSER", u)})
			}
			b.unsaved.note(u, true)
		}
	})
	return cmpErr(err, dropped.err())
}

// markerOf returns the marker that a user of ours belongs to; empty if the user is not ours.
func markerOf(user string) string {
	rest, ours := strings.CutPrefix(user, layout.StorePrincipal(""))
	store, subscription, of := strings.Cut(rest, ":")
	switch {
	case !ours || layout.ValidateStore(store) != nil:
		return ""
	case !of:
		return layout.RedisMarker(store)
	case layout.ValidateSubscription(subscription) != nil:
		return ""
	default:
		return layout.RedisSubscriptionMarker(store, subscription)
	}
}

// unlooked reports whether the server can be reached, and was not looked at since it could not.
func (n *node) unlooked() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.unswept && n.failed == nil
}

func (n *node) looked() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.unswept = n.failed != nil
}
