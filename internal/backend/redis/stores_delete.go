package redis

import (
	"context"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

const (
	scanCount  = 1000 // Keys that one SCAN looks at.
	unlinkKeys = 500  // Keys that one UNLINK names.
)

// DeleteStores deletes users, then every key of the stores' partitions, then the markers. Nobody else can claim a store
// from the first step on, and each later one looks again whether the deletion still stands. Of a store that has no marker
// only the user goes: nothing says whose the events are. One that was fenced is not touched if another server has become
// the master since: see [reign].
//
// The keys of a store's streams have names that only the application knows, so they are looked for: one pass over all
// keys of each master for the whole batch, [scanCount] at a time, each a round trip that keeps others waiting for well
// under a millisecond. With a million keys that is a thousand round trips. What cannot be done within [searchFor] fails,
// and the next call for the store goes on where this one stopped.
func (b *Backend) DeleteStores(ctx context.Context, deletions []backend.StoreDeletion) []error {
	errs := make([]error, len(deletions))
	doomed, members := make([]doomed, len(deletions)), make([]*redis.StringSliceCmd, len(deletions))
	for i, d := range deletions {
		if layout.ValidateStore(d.Name) == nil { // Nothing exists under a name that none can have.
			doomed[i] = b.storeToDelete(d)
		}
	}
	for lo, hi := range chunks(len(deletions)) {
		b.doom(ctx, "DeleteStores", doomed[lo:hi], errs[lo:hi], func(t *trip, i int) {
			members[lo+i] = t.SMembers(ctx, layout.RedisSubscriptions(deletions[lo+i].Name))
		})
		b.deleteUsers(ctx, "DeleteStores", doomed[lo:hi], errs[lo:hi])
	}
	b.deleteKeys(ctx, deletions, doomed, errs)
	for lo, hi := range chunks(len(deletions)) {
		b.deleteMarkers(ctx, deletions[lo:hi], doomed[lo:hi], members[lo:hi], errs[lo:hi])
	}
	for i, err := range errs {
		if err != nil {
			errs[i] = fmt.Errorf("cannot delete store %q: %w", deletions[i].Name, b.explain(err))
			continue
		}
		b.fences.drop(deletions[i].Name)
		b.searched.take(deletions[i].Name)
	}
	return errs
}

func (b *Backend) storeToDelete(d backend.StoreDeletion) doomed {
	return doomed{marker: layout.RedisMarker(d.Name), user: layout.StorePrincipal(d.Name), owner: d.Owner, reign: b.fences.of(d.Name)}
}

// doomed is what is to be deleted. Without a marker's key it is nothing.
type doomed struct {
	marker, user string
	owner        plan.Owner
	reign        []string // In which it must be; empty if it does not matter.

	marked bool // The marker is there, and says that the deletion has begun.
	begun  bool // That is only just so.
}

// doom begins deletions, and asks in the same round trip what else there is to know of each.
func (b *Backend) doom(ctx context.Context, kind string, doomed []doomed, errs []error, ask func(t *trip, i int)) {
	begun := make([]*redis.Cmd, len(doomed))
	b.send(ctx, kind, func(t *trip) {
		for i, d := range doomed {
			if d.marker != "" {
				begun[i] = t.run(doomScript, []string{d.marker}, deletionArgs(d.owner, d.reign...)...)
				ask(t, i)
			}
		}
	})
	for i, r := range begun {
		if r != nil {
			errs[i] = b.owned(r)
			doomed[i].begun = r.Val() == int64(1)
			doomed[i].marked = doomed[i].begun || r.Val() == int64(3)
		}
	}
}

// deleteUsers deletes the user of each resource that has not failed, on every server. Redis cuts its connections. If the
// provider may not delete users, that is an error only if the marker says that there was one of ours.
func (b *Backend) deleteUsers(ctx context.Context, kind string, doomed []doomed, errs []error) {
	deleted, rights := make([]replies, len(errs)), make([]*redis.StringCmd, len(errs))
	b.send(ctx, kind, func(t *trip) {
		for i, d := range doomed {
			if errs[i] == nil && d.user != "" {
				rights[i], deleted[i] = t.HGet(ctx, d.marker, fieldRights), t.all(t.topology.users(), "ACL", "DELUSER", d.user)
			}
		}
	})
	had := make([]bool, len(errs))
	for i, all := range deleted {
		some, err := all.answered()
		for _, d := range some {
			if isForbidden(d.Err()) && rights[i].Val() == "" {
				continue
			}
			had[i], err = had[i] || d.Val() == int64(1), cmpErr(err, d.Err())
		}
		if all != nil {
			b.seen.wrote(doomed[i].user)
			errs[i] = err
		}
		if had[i] {
			b.unsaved.note(doomed[i].user, true)
		}
	}
	err := b.save(ctx, kind, false)
	for i := range errs {
		if had[i] {
			errs[i] = cmpErr(errs[i], err)
		}
	}
}

func (b *Backend) deleteMarkers(ctx context.Context, deletions []backend.StoreDeletion, doomed []doomed, members []*redis.StringSliceCmd, errs []error) {
	b.each(ctx, "DeleteStores", finishScript, errs, func(i int) ([]string, []any) {
		if !doomed[i].marked {
			return nil, nil
		}
		n := deletions[i].Name
		keys := []string{doomed[i].marker, layout.RedisSubscriptions(n)}
		for _, m := range members[i].Val() {
			keys = append(keys, layout.RedisSubscriptionMarker(n, m))
		}
		return keys, deletionArgs(doomed[i].owner, members[i].Val()...)
	})
}

// partitionPrefix is how the keys of all partitions of all stores begin, and some others.
const partitionPrefix = "es:{"

// globEscape makes a name mean itself in a pattern. Names of stores need none of it today.
var globEscape = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`)

// storeOf returns the store that a key of a partition belongs to, "es:{<store>:<partition>}:…"; empty if the key is
// none, as the markers are.
func storeOf(key string) string {
	rest, ok := strings.CutPrefix(key, partitionPrefix)
	if !ok {
		return ""
	}
	tag, _, ok := strings.Cut(rest, "}:")
	if !ok {
		return ""
	}
	store, partition, ok := strings.Cut(tag, ":")
	if !ok || partition == "" || strings.Trim(partition, "0123456789") != "" {
		return ""
	}
	return store
}
