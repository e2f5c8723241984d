package redis

import (
	"context"
	"fmt"
	"slices"
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
// only the user goes: nothing says whose the events are.
//
// The keys of a store's streams have names that only the application knows, so they are looked for: one pass over all
// keys of the server for the whole batch, [scanCount] at a time, each a round trip that keeps others waiting for well
// under a millisecond. With a million keys that is a thousand round trips.
func (b *Backend) DeleteStores(ctx context.Context, deletions []backend.StoreDeletion) []error {
	errs := make([]error, len(deletions))
	doomed, members := make([]doomed, len(deletions)), make([]*redis.StringSliceCmd, len(deletions))
	for i, d := range deletions {
		if layout.ValidateStore(d.Name) == nil { // Nothing exists under a name that none can have.
			doomed[i] = storeToDelete(d)
		}
	}
	for lo, hi := range chunks(len(deletions)) {
		b.doom(ctx, "DeleteStores", doomed[lo:hi], errs[lo:hi], func(p redis.Pipeliner, i int) {
			members[lo+i] = p.SMembers(ctx, layout.RedisSubscriptions(deletions[lo+i].Name))
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
		}
	}
	return errs
}

func storeToDelete(d backend.StoreDeletion) doomed {
	return doomed{marker: layout.RedisMarker(d.Name), user: layout.StorePrincipal(d.Name), owner: d.Owner}
}

// doomed is what is to be deleted. Without a marker's key it is nothing.
type doomed struct {
	marker, user string
	owner        plan.Owner

	marked bool // The marker is there, and says that the deletion has begun.
}

// doom begins deletions, and asks in the same round trip what else there is to know of each.
func (b *Backend) doom(ctx context.Context, kind string, doomed []doomed, errs []error, ask func(p redis.Pipeliner, i int)) {
	begun, begin := make([]*redis.Cmd, len(doomed)), doomScript.batch()
	b.send(ctx, kind, func(p redis.Pipeliner) {
		for i, d := range doomed {
			if d.marker != "" {
				begun[i] = begin.run(ctx, p, []string{d.marker}, deletionArgs(d.owner)...)
				ask(p, i)
			}
		}
	})
	for i, r := range begun {
		if r != nil {
			errs[i] = b.owned(r)
			doomed[i].marked = r.Val() == int64(1)
		}
	}
}

// deleteUsers deletes the user of each resource that has not failed. Redis cuts its connections. If the provider may not
// delete users, that is an error only if the marker says that there was one of ours.
func (b *Backend) deleteUsers(ctx context.Context, kind string, doomed []doomed, errs []error) {
	deleted, rights := make([]*redis.IntCmd, len(errs)), make([]*redis.StringCmd, len(errs))
	b.send(ctx, kind, func(p redis.Pipeliner) {
		for i, d := range doomed {
			if errs[i] == nil && d.user != "" {
				rights[i], deleted[i] = p.HGet(ctx, d.marker, fieldRights), p.ACLDelUser(ctx, d.user)
			}
		}
	})
	for i, d := range deleted {
		switch {
		case d == nil:
			continue
		case isNoPerm(d.Err()) && rights[i].Val() == "":
		case d.Err() != nil:
			errs[i] = d.Err()
		case d.Val() > 0:
			b.unsaved.Store(true)
		}
		b.seen.wrote(doomed[i].user)
	}
	b.save(ctx, kind, func(err error) {
		for i, d := range deleted {
			if errs[i] == nil && d != nil && d.Val() > 0 {
				errs[i] = err
			}
		}
	})
}

// deleteKeys deletes every key of the partitions of the stores that have not failed. A failure to look is everyone's:
// nobody knows whose keys were not found.
func (b *Backend) deleteKeys(ctx context.Context, deletions []backend.StoreDeletion, doomed []doomed, errs []error) {
	at := map[string]int{}
	for i, d := range doomed {
		if errs[i] == nil && d.marked {
			at[deletions[i].Name] = i
		}
	}
	if len(at) == 0 {
		return
	}
	pattern := partitionPrefix + "*"
	if len(at) == 1 {
		for n := range at {
			pattern = partitionPrefix + globEscape.Replace(n) + ":*"
		}
	}
	var cursor uint64
	found := map[int][]string{}
	for waiting := 0; ; {
		var page *redis.ScanCmd
		b.send(ctx, "DeleteStores", func(p redis.Pipeliner) { page = p.Scan(ctx, cursor, pattern, scanCount) })
		keys, next, err := page.Result()
		if err != nil {
			for _, i := range at {
				errs[i] = cmpErr(errs[i], err)
			}
			return
		}
		for _, k := range keys {
			if i, ok := at[storeOf(k)]; ok && errs[i] == nil {
				found[i] = append(found[i], k)
				waiting++
			}
		}
		if waiting >= unlinkKeys || next == 0 {
			b.unlink(ctx, doomed, found, errs)
			waiting = 0
			clear(found)
		}
		if cursor = next; cursor == 0 {
			return
		}
	}
}

// unlink deletes the keys that were found of each store.
func (b *Backend) unlink(ctx context.Context, doomed []doomed, found map[int][]string, errs []error) {
	type reply struct {
		at  int
		cmd *redis.Cmd
	}
	var replies []reply
	destroy := unlinkScript.batch()
	b.send(ctx, "DeleteStores", func(p redis.Pipeliner) {
		for i, keys := range found {
			for some := range slices.Chunk(keys, unlinkKeys) {
				cmd := destroy.run(ctx, p, append([]string{doomed[i].marker}, some...), deletionArgs(doomed[i].owner)...)
				replies = append(replies, reply{i, cmd})
			}
		}
	})
	for _, r := range replies {
		errs[r.at] = cmpErr(errs[r.at], b.owned(r.cmd))
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
