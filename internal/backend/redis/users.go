package redis

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// StoreSettings returns nothing: what a store has on Redis is all in fields that plan knows.
func (b *Backend) StoreSettings(plan.DesiredStore) (plan.Settings, []plan.Refusal) { return nil, nil }

// SubscriptionSettings returns nothing, as StoreSettings does.
func (b *Backend) SubscriptionSettings(plan.DesiredSubscription) plan.Settings { return nil }

// StorePrincipal describes the user of a store. One that was provided is not touched.
func (b *Backend) StorePrincipal(name, user, password string) plan.Principal {
	if user != "" {
		return plan.Principal{}
	}
	return plan.Principal{
		Name: layout.StorePrincipal(name), Digest: hash(password), Rights: rulesDigest(layout.RedisStoreACL(name)),
	}
}

// SubscriptionPrincipal describes the user of a subscription, in the way of StorePrincipal.
func (b *Backend) SubscriptionPrincipal(id backend.SubscriptionID, user, password string) plan.Principal {
	if user != "" {
		return plan.Principal{}
	}
	return plan.Principal{
		Name:   layout.SubscriptionPrincipal(id.Store, id.Name),
		Digest: hash(password),
		Rights: rulesDigest(layout.RedisSubscriptionACL(id.Store, id.Name)),
	}
}

// hash returns the SHA-256 of a password in the spelling of ACL rules. Redis knows a password by nothing else.
func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func rulesDigest(rules []string) string { return hash(strings.Join(rules, "\x00"))[:32] }

// passwords returns the hash of a user's only password. A user with several has been changed by somebody else.
func passwords(v any) string {
	list, _ := v.([]any)
	if len(list) == 1 {
		return strings.TrimPrefix(fmt.Sprint(list[0]), "#")
	}
	return fmt.Sprintf("%d passwords", len(list))
}

// rendering is a digest of everything but the passwords that Redis shows of a user: flags, commands, keys, channels and
// selectors.
func rendering(user map[string]any) string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(user)) {
		if k != "passwords" {
			fmt.Fprintf(&b, "%s=%s\n", k, render(k, user[k]))
		}
	}
	return hash(b.String())[:32]
}

func render(field string, v any) string {
	switch v := v.(type) {
	case map[any]any:
		m := pairs(v)
		var b strings.Builder
		for _, k := range slices.Sorted(maps.Keys(m)) {
			fmt.Fprintf(&b, "{%s %s}", k, render(k, m[k]))
		}
		return b.String()
	case []any:
		parts := make([]string, len(v))
		for i, e := range v {
			parts[i] = render(field, e)
		}
		return "[" + strings.Join(parts, " ") + "]"
	case string:
		if field == "commands" {
			return sortCommands(v)
		}
		return v
	default:
		return fmt.Sprint(v)
	}
}

// sortCommands puts the commands that are added to nothing in order: Redis 7.0 shows them in the order of a hash table,
// which is another in each process. Any other rules are left as they are, because their order means something.
func sortCommands(rules string) string {
	words := strings.Fields(rules)
	if len(words) == 0 || words[0] != "-@all" || slices.ContainsFunc(words[1:], func(w string) bool {
		return !strings.HasPrefix(w, "+") || strings.HasPrefix(w, "+@")
	}) {
		return rules
	}
	slices.Sort(words[1:])
	return strings.Join(words, " ")
}

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

// applyUsers applies the users' changes, and notes failures in errs.
func (b *Backend) applyUsers(ctx context.Context, kind string, changes []userChange, errs []error) {
	if changes = b.stillOwned(ctx, kind, changes, errs); len(changes) == 0 {
		return
	}
	set, shown := make([]redis.Cmder, len(changes)), make([]*redis.Cmd, len(changes))
	b.unsaved.Store(true)
	b.send(ctx, kind, func(p redis.Pipeliner) {
		for i, c := range changes {
			if c.password == "" {
				set[i] = p.ACLDelUser(ctx, c.name)
				continue
			}
			set[i] = p.ACLSetUser(ctx, c.name, slices.Concat([]string{"reset", "on", "sanitize-payload", "#" + hash(c.password)}, c.rules)...)
			if c.renewed {
				p.ClientKillByFilter(ctx, "USER", c.name)
			}
			shown[i] = p.Do(ctx, "ACL", "GETUSER", c.name)
		}
	})
	for _, c := range changes {
		b.seen.wrote(c.name)
	}
	b.remember(ctx, kind, changes, set, shown, errs)
	b.save(ctx, kind, func(err error) {
		for _, c := range changes {
			errs[c.at] = errors.Join(errs[c.at], err)
		}
	})
}

// stillOwned returns those changes whose resource still has the marker. A plan that is late must not reset the user of the
// owner that came after it, and ACL commands have no conditions. What was claimed a moment ago needs no second look. If
// the owner changes in the very moment between the look and the change, then the new one finds its user changed, and
// repairs it; remember reports the conflict to the old one.
func (b *Backend) stillOwned(ctx context.Context, kind string, changes []userChange, errs []error) []userChange {
	owned, check := make([]*redis.Cmd, len(changes)), setScript.batch()
	b.send(ctx, kind, func(p redis.Pipeliner) {
		for i, c := range changes {
			if !c.claimed {
				owned[i] = check.run(ctx, p, []string{c.marker}, ownedArgs(c.owner)...)
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

// remember notes in the markers how Redis shows the users that were just set.
func (b *Backend) remember(ctx context.Context, kind string, changes []userChange, set []redis.Cmder, shown []*redis.Cmd, errs []error) {
	noted, mark := make([]*redis.Cmd, len(changes)), setScript.batch()
	b.send(ctx, kind, func(p redis.Pipeliner) {
		for i, c := range changes {
			err := set[i].Err()
			if err == nil && shown[i] != nil {
				err = shown[i].Err()
			}
			if err != nil {
				errs[c.at] = fmt.Errorf("cannot set user %q: %w", c.name, b.explain(err))
				continue
			}
			rights, as := "", ""
			if shown[i] != nil {
				rights, as = rulesDigest(c.rules), rendering(pairs(shown[i].Val()))
			}
			noted[i] = mark.run(ctx, p, []string{c.marker}, ownedArgs(c.owner, fieldRights, rights, fieldRendering, as)...)
		}
	})
	for i, c := range changes {
		if noted[i] != nil {
			errs[c.at] = b.owned(noted[i])
		}
	}
}

// save writes the users to the server's ACL file, if it has one and some have changed: else a restart forgets them. What
// cannot be saved now is saved with the next change, or by Maintain.
func (b *Backend) save(ctx context.Context, kind string, failed func(error)) {
	if !b.unsaved.Swap(false) {
		return
	}
	var saved *redis.Cmd
	b.send(ctx, kind, func(p redis.Pipeliner) { saved = p.Do(ctx, "ACL", "SAVE") })
	err := saved.Err()
	if err == nil || strings.Contains(err.Error(), "not configured to use an ACL file") {
		return
	}
	b.unsaved.Store(true)
	failed(fmt.Errorf("cannot save the users to the server's ACL file: %w", b.explain(err)))
}

// FenceStores switches the stores' users off and cuts their connections: a connection outlives the user's right to open
// another.
func (b *Backend) FenceStores(ctx context.Context, names []string) []error {
	return b.switchUsers(ctx, "FenceStores", "cannot fence store %q: %w", names, func(p redis.Pipeliner, user string) []redis.Cmder {
		return []redis.Cmder{p.ACLSetUser(ctx, user, "off"), p.ClientKillByFilter(ctx, "USER", user)}
	})
}

// UnfenceStores switches the stores' users on again. FenceStores changed nothing else of them, so that the server then
// shows them as the markers remember.
func (b *Backend) UnfenceStores(ctx context.Context, names []string) []error {
	return b.switchUsers(ctx, "UnfenceStores", "cannot unfence store %q: %w", names, func(p redis.Pipeliner, user string) []redis.Cmder {
		return []redis.Cmder{p.ACLSetUser(ctx, user, "on")}
	})
}

// switchUsers does something to those users of stores that are there: SETUSER would make one that is not.
func (b *Backend) switchUsers(ctx context.Context, kind, failed string, names []string, do func(p redis.Pipeliner, user string) []redis.Cmder) []error {
	errs := make([]error, len(names))
	for lo, hi := range chunks(len(names)) {
		b.switchSome(ctx, kind, names[lo:hi], errs[lo:hi], do)
	}
	for i, err := range errs {
		if err != nil {
			errs[i] = fmt.Errorf(failed, names[i], b.explain(err))
		}
	}
	return errs
}

func (b *Backend) switchSome(ctx context.Context, kind string, names []string, errs []error, do func(p redis.Pipeliner, user string) []redis.Cmder) {
	known, done := make([]*redis.Cmd, len(names)), make([][]redis.Cmder, len(names))
	b.send(ctx, kind, func(p redis.Pipeliner) {
		for i, n := range names {
			known[i] = p.Do(ctx, "ACL", "GETUSER", layout.StorePrincipal(n))
		}
	})
	b.send(ctx, kind, func(p redis.Pipeliner) {
		for i, n := range names {
			switch err := known[i].Err(); {
			case err == nil:
				done[i] = do(p, layout.StorePrincipal(n))
			case errors.Is(err, redis.Nil), isNoPerm(err):
			default:
				errs[i] = err
			}
		}
	})
	for i, cmds := range done {
		for _, c := range cmds {
			errs[i] = cmpErr(errs[i], c.Err())
		}
		if len(cmds) > 0 {
			b.unsaved.Store(true) // Maintain saves it; neither is worth a round trip of its own.
			b.seen.wrote(layout.StorePrincipal(names[i]))
		}
	}
}

// cmpErr returns the first error that is not nil.
func cmpErr(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// isNoPerm reports whether the server refused a command because the user may not run it.
func isNoPerm(err error) bool {
	return err != nil && redis.HasErrorPrefix(err, "NOPERM")
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
	}
	return nil
}
