package redis

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// FenceStores switches the stores' users off and cuts their connections, on every server: a connection outlives the user's
// right to open another. It fails if a server cannot be reached, unless the other servers take it to be down too: nobody
// writes to one that is. Who is there is asked for now, and who is the master is remembered: see [reign].
func (b *Backend) FenceStores(ctx context.Context, names []string) []error {
	b.fleet.distrust()
	return b.switchUsers(ctx, "FenceStores", "cannot fence store %q: %w", names, fence)
}

// UnfenceStores switches the stores' users on again. FenceStores changed nothing else of them, so that the servers then
// show them as the markers remember. Where one cannot be reached, that is drift when it is back.
func (b *Backend) UnfenceStores(ctx context.Context, names []string) []error {
	return b.switchUsers(ctx, "UnfenceStores", "cannot unfence store %q: %w", names, unfence)
}

// A switching does something to a user on one server.
type switching struct {
	do func(user string) [][]any

	// everywhere means that it counts only if all servers did it that may be there.
	everywhere bool
}

//nolint:gochecknoglobals // They never change.
var (
	fence = switching{everywhere: true, do: func(user string) [][]any {
		return [][]any{{"ACL", "SETUSER", user, "off"}, {"CLIENT", "KILL", "USER", user}}
	}}
	unfence = switching{do: func(user string) [][]any { return [][]any{{"ACL", "SETUSER", user, "on"}} }}
)

// switchUsers does something to those users of stores that are there: SETUSER would make one that is not.
func (b *Backend) switchUsers(ctx context.Context, kind, failed string, names []string, s switching) []error {
	errs := make([]error, len(names))
	for lo, hi := range chunks(len(names)) {
		b.switchSome(ctx, kind, names[lo:hi], errs[lo:hi], s)
	}
	for i, err := range errs {
		if err != nil {
			errs[i] = fmt.Errorf(failed, names[i], b.explain(err))
		}
	}
	return errs
}

func (b *Backend) switchSome(ctx context.Context, kind string, names []string, errs []error, s switching) {
	known, done := make([]replies, len(names)), make([]replies, len(names))
	var top *topology
	var role *redis.Cmd
	b.send(ctx, kind, func(t *trip) {
		top = t.topology
		for i, n := range names {
			known[i] = t.all(t.topology.servers, "ACL", "GETUSER", layout.StorePrincipal(n))
		}
	})
	if s.everywhere && top.failover {
		for i := range names {
			errs[i] = errFailover
		}
		return
	}
	b.send(ctx, kind, func(t *trip) {
		for i, n := range names {
			errs[i] = s.missed(top, known[i])
			for _, r := range known[i] {
				if r.Err() != nil {
					continue
				}
				for _, args := range s.do(layout.StorePrincipal(n)) {
					done[i] = append(done[i], reply{r.from, t.one(r.from, args...)})
				}
			}
		}
		if s.everywhere {
			role = t.ruling()
		}
	})
	for i, all := range done {
		if len(all) > 0 {
			errs[i] = cmpErr(errs[i], all.err(), s.missed(top, all))
			b.unsaved.note(layout.StorePrincipal(names[i]), false) // Maintain saves it; neither is worth a round trip of its own.
			b.seen.wrote(layout.StorePrincipal(names[i]))
		}
	}
	b.noteFences(top, role, names, errs)
}

// noteFences notes in whose reign the stores were fenced; in none if they were not.
func (b *Backend) noteFences(top *topology, role *redis.Cmd, names []string, errs []error) {
	var now reign
	var err error
	if role != nil {
		now, err = b.reignOf(top.servers[0], role)
	}
	for i, n := range names {
		b.fences.drop(n)
		if errs[i] = cmpErr(errs[i], err); errs[i] == nil && role != nil {
			b.fences.put(n, now)
		}
	}
}

// missed returns why it does not count, if servers could not be reached, or did not say whether there is a user.
func (s switching) missed(t *topology, all replies) error {
	_, err := all.answered()
	for _, r := range all {
		switch e := r.Err(); {
		case e == nil, errors.Is(e, redis.Nil), isForbidden(e):
		case outOfReach(e) && (!s.everywhere || t.down[r.from.address]):
		default:
			err = cmpErr(err, e)
		}
	}
	return err
}
