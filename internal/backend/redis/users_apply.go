package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// A userChange gives or takes a user.
type userChange struct {
	at       int // Which of the batch's resources it belongs to.
	name     string
	password string   // Empty: the user goes.
	rules    []string // Without password.
	renewed  bool     // The password is another: whoever came in by the old one must go.
	marker   string   // Key that remembers the rights.
	owner    plan.Owner
	claimed  bool // The same call has claimed the marker.
}

// setUser is the command that makes the user of a change what it should be, on one server or Sentinel.
func (c userChange) setUser(n *node) []any {
	if c.password == "" {
		return []any{"ACL", "DELUSER", c.name}
	}
	rules := c.rules
	if n.sentinel {
		rules = layout.RedisSentinelACL()
	}
	return add([]any{"ACL", "SETUSER", c.name}, []string{"reset", "on", "sanitize-payload", "#" + hash(c.password)}, rules)
}

// applyUsers applies the users' changes on every server, and notes failures in errs. What a server that cannot be reached
// has missed is drift when it is back.
func (b *Backend) applyUsers(ctx context.Context, kind string, changes []userChange, errs []error) {
	if changes = b.stillOwned(ctx, kind, changes, errs); len(changes) == 0 {
		return
	}
	set, cut, shown := make([]replies, len(changes)), make([]replies, len(changes)), make([]replies, len(changes))
	b.unsaved.making.RLock()
	for _, c := range changes {
		b.unsaved.note(c.name, c.password == "")
	}
	b.send(ctx, kind, func(t *trip) {
		for i, c := range changes {
			for _, n := range t.topology.users() {
				set[i] = append(set[i], reply{n, t.one(n, c.setUser(n)...)})
				if c.password == "" {
					continue
				}
				if c.renewed {
					cut[i] = append(cut[i], reply{n, t.one(n, "CLIENT", "KILL", "USER", c.name)})
				}
				shown[i] = append(shown[i], reply{n, t.one(n, "ACL", "GETUSER", c.name)})
			}
		}
	})
	b.unsaved.making.RUnlock()
	for _, c := range changes {
		b.seen.wrote(c.name)
	}
	b.remember(ctx, kind, changes, set, shown, uncut(cut), errs)
	if err := b.save(ctx, kind, false); err != nil {
		for _, c := range changes {
			errs[c.at] = errors.Join(errs[c.at], err)
		}
	}
}

// stillOwned returns those changes whose resource still has the marker. A plan that is late must not reset the user of the
// owner that came after it, and ACL commands have no conditions. What was claimed a moment ago needs no second look. If
// the owner changes in the very moment between the look and the change, then the new one finds its user changed, and
// repairs it; remember reports the conflict to the old one.
func (b *Backend) stillOwned(ctx context.Context, kind string, changes []userChange, errs []error) []userChange {
	owned := make([]*redis.Cmd, len(changes))
	b.send(ctx, kind, func(t *trip) {
		for i, c := range changes {
			if !c.claimed {
				owned[i] = t.run(setScript, []string{c.marker}, ownedArgs(c.owner)...)
			}
		}
	})
	still := make([]userChange, 0, len(changes))
	for i, c := range changes {
		if owned[i] != nil {
			errs[c.at] = b.owned(owned[i])
		}
		if errs[c.at] == nil {
			still = append(still, c)
		}
	}
	return still
}

// rightsUncut are those of a user that has another password, while connections that came in by the old one could not be
// cut. They are drift, so that it is tried again.
const rightsUncut = "not cut"

// uncut says of which users the connections could not be cut.
func uncut(cut []replies) []error {
	errs := make([]error, len(cut))
	for i, all := range cut {
		if len(all) > 0 {
			errs[i] = all.err()
		}
	}
	return errs
}

// remember notes in the markers how Redis shows the users that were just set.
func (b *Backend) remember(ctx context.Context, kind string, changes []userChange, set, shown []replies, uncut, errs []error) {
	noted := make([]*redis.Cmd, len(changes))
	b.send(ctx, kind, func(t *trip) {
		for i, c := range changes {
			err := set[i].err()
			if err == nil && shown[i] != nil {
				err = shown[i].err()
			}
			if err != nil {
				errs[c.at] = fmt.Errorf("cannot set user %q: %w", c.name, b.explain(err))
				continue
			}
			rights, as := "", ""
			if shown[i] != nil {
				rights, as = rulesDigest(c.rules), renderings(shown[i])
			}
			if uncut[i] != nil {
				rights = rightsUncut
			}
			noted[i] = t.run(setScript, []string{c.marker}, ownedArgs(c.owner, fieldRights, rights, fieldRendering, as)...)
		}
	})
	for i, c := range changes {
		if noted[i] != nil {
			errs[c.at] = b.owned(noted[i])
		}
		if uncut[i] != nil && errs[c.at] == nil {
			errs[c.at] = fmt.Errorf("cannot cut the connections that user %q has by its old password: %w", c.name, b.explain(uncut[i]))
		}
	}
}

// renderings are the digests of how the servers show a user, which are several if these are of several versions.
func renderings(shown replies) string {
	var all []string
	some, _ := shown.answered()
	for _, r := range some {
		all = append(all, rendering(pairs(r.Val())))
	}
	slices.Sort(all)
	return strings.Join(slices.Compact(all), ",")
}

// owned reads the answer of a script that writes only while the marker has the right owner.
func (b *Backend) owned(reply *redis.Cmd) error {
	v, err := reply.Result()
	if err != nil {
		return b.explain(err)
	}
	switch v {
	case int64(0):
		return backend.ErrConflict
	case int64(-1):
		return deletionError{"the deletion of it has begun, and only the resource that it belongs to can call that off"}
	case int64(-2):
		return deletionError{"a part of it was deleted already: delete this resource to finish that, and create it anew"}
	case int64(-3):
		b.fleet.distrust()
		return errReign
	}
	return nil
}
