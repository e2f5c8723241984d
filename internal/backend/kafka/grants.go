package kafka

import (
	"context"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha512"
	"errors"
	"fmt"
	"runtime"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sync/errgroup"

	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// A grantChange gives a user of one store or subscription its password and its rights, and takes them from whom it had
// before.
type grantChange struct {
	at       int
	managed  string            // The name that the provider gives the user.
	user     string            // Who is to have the rights; empty: nobody.
	previous string            // Who had them, by the marker.
	password string            // Of a managed user.
	renew    bool              // The password is to be set.
	list     []layout.KafkaACL // The rights.
	topic    string            // That may be fenced; empty: none.
	needed   map[acl]struct{}  // What others need of the rights that previous has.
	seen     *access           // What was there when it began.
}

// newGrant completes a change.
func newGrant(c grantChange, desired, observed plan.Principal, password string) (grantChange, error) {
	c.user = desired.Name
	if c.user == c.managed {
		if password == "" {
			return c, fmt.Errorf("cannot set user %q: there is no password for it", c.managed)
		}
		c.password, c.renew = password, desired.Digest != observed.Digest
	}
	return c, nil
}

func (c grantChange) interest() interest {
	of := interest{users: []string{c.managed}}
	for _, u := range []string{c.user, c.previous} {
		if u != "" && !slices.Contains(of.users, u) {
			of.users = append(of.users, u)
		}
	}
	if c.topic != "" {
		of.topics = []string{c.topic}
	}
	return of
}

func interests(changes []grantChange) (of interest) {
	for _, c := range changes {
		i := c.interest()
		of.users, of.topics = append(of.users, i.users...), append(of.topics, i.topics...)
	}
	return of
}

// differs returns which entries are to be added and which to be removed.
func (c grantChange) differs(a *access) (add, remove []acl) {
	var want []acl
	if c.user != "" {
		want = rightsOf(c.user, c.list)
	}
	for _, e := range want {
		if !a.rights.has(e) {
			add = append(add, e)
		}
	}
	for _, u := range c.interest().users {
		for _, e := range c.mayLose(u, a) {
			if _, needed := c.needed[e]; !needed && !slices.Contains(want, e) {
				remove = append(remove, e)
			}
		}
	}
	if c.topic != "" && a.fenced(c.topic) {
		remove = append(remove, fence(c.topic))
	}
	return add, remove
}

// mayLose returns the entries of a user that it is not to have unless it is meant to. Of a user of ours that is everything;
// of one that was provided, only what this resource has given it: the rest is somebody else's.
func (c grantChange) mayLose(user string, a *access) []acl {
	switch {
	case user != c.managed:
		return a.given(user, c.list, c.topic)
	case user != c.user && len(a.of(user)) > 0: // All at once, whatever it is.
		return []acl{{principal: principal(user)}}
	}
	return a.of(user)
}

// share notes what others need of the rights that are to be taken away. One provided user may serve any number of stores and
// subscriptions, as an application has one account.
func (b *Backend) share(ctx context.Context, changes []grantChange) error {
	needed := map[string]map[acl]struct{}{}
	for i, c := range changes {
		if c.previous == "" || c.previous == c.managed || c.previous == c.user {
			continue
		}
		if needed[c.previous] == nil {
			needed[c.previous] = map[acl]struct{}{}
		}
		changes[i].needed = needed[c.previous]
	}
	if len(needed) == 0 {
		return nil
	}
	return b.registry.known(ctx, func(f *fold) {
		f.grants(func(user string, list []layout.KafkaACL) {
			if n := needed[user]; n != nil {
				for _, a := range list {
					n[right(user, a)] = struct{}{}
				}
			}
		})
	})
}

// denied says why the cluster does not let the change be made. Who makes no user of its own needs no SCRAM.
func (c grantChange) denied(a *access) error {
	if c.managed == c.user || c.managed == c.previous {
		return first(a.noRights, a.noUsers)
	}
	return a.noRights
}

// done reports whether the cluster shows what was changed.
func (c grantChange) done(a *access) bool {
	add, remove := c.differs(a)
	if len(add)+len(remove) > 0 {
		return false
	}
	credentials := a.users[c.managed]
	if c.user != c.managed {
		return len(credentials) == 0
	}
	n, ok := credentials[scramSHA512]
	return ok && len(credentials) == 1 && n == iterations(c.managed, c.password)
}

// applyUsers gives users their passwords, or takes them. It returns what is left to do: the rights, without which nobody can
// do anything. See applyRights.
func (b *Backend) applyUsers(ctx context.Context, changes []grantChange, errs []error) []grantChange {
	if len(changes) == 0 {
		return nil
	}
	a, err := b.access(ctx, interests(changes))
	if err = first(err, b.share(ctx, changes)); err != nil {
		for _, c := range changes {
			errs[c.at] = first(errs[c.at], fmt.Errorf("cannot see users and rights: %w", b.explain(err)))
		}
		return nil
	}
	var possible []grantChange
	for _, c := range changes {
		denied := c.denied(a)
		if c.user == c.managed && b.withoutSASL() {
			denied = errNoSASL
		}
		if denied != nil {
			if c.user != "" { // Where nothing can be managed, nothing is to be taken either.
				errs[c.at] = first(errs[c.at], explainAccess(denied))
			}
			continue
		}
		c.seen = a
		possible = append(possible, c)
	}
	b.setPasswords(ctx, possible, a, errs)
	b.dropPasswords(ctx, possible, a, errs)
	return possible
}

// setPasswords gives managed users their passwords.
func (b *Backend) setPasswords(ctx context.Context, changes []grantChange, a *access, errs []error) {
	var set []grantChange
	for _, c := range changes {
		n, ok := a.users[c.managed][scramSHA512]
		if c.user == c.managed && (c.renew || !ok || n != iterations(c.managed, c.password)) {
			set = append(set, c)
		}
	}
	if len(set) == 0 {
		return
	}
	if err := b.keep(ctx, a, scramSHA512); err != nil {
		b.failUsers(set, errs, err)
		return
	}
	req := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
	req.Upsertions = make([]kmsg.AlterUserSCRAMCredentialsRequestUpsertion, len(set))
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, c := range set {
		g.Go(func() error {
			salt := make([]byte, 24)
			_, _ = rand.Read(salt) // Never fails, as documented.
			n := iterations(c.managed, c.password)
			salted, err := pbkdf2.Key(sha512.New, c.password, salt, int(n), sha512.Size)
			u := kmsg.NewAlterUserSCRAMCredentialsRequestUpsertion()
			u.Name, u.Mechanism, u.Iterations, u.Salt, u.SaltedPassword = c.managed, scramSHA512, n, salt, salted
			req.Upsertions[i] = u
			return err
		})
	}
	if err := g.Wait(); err != nil {
		b.failUsers(set, errs, err)
		return
	}
	b.alterUsers(ctx, req, set, errs)
}

// dropPasswords deletes credentials that managed users are not to have: all of those that are gone, and those by another
// mechanism, which somebody else has added. Kafka refuses to set one and to delete another of the same user at once.
func (b *Backend) dropPasswords(ctx context.Context, changes []grantChange, a *access, errs []error) {
	req := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
	for _, mechanism := range []int8{scramSHA256, scramSHA512} {
		req.Deletions, req.Upsertions = nil, nil
		var drop []grantChange
		for _, c := range changes {
			_, there := a.users[c.managed][mechanism]
			if there && (c.user != c.managed || mechanism != scramSHA512) {
				d := kmsg.NewAlterUserSCRAMCredentialsRequestDeletion()
				d.Name, d.Mechanism = c.managed, mechanism
				req.Deletions, drop = append(req.Deletions, d), append(drop, c)
			}
		}
		if len(drop) == 0 {
			continue
		}
		if err := b.keep(ctx, a, mechanism); err != nil {
			b.failUsers(drop, errs, err)
			return
		}
		b.alterUsers(ctx, req, drop, errs)
	}
}

func (b *Backend) failUsers(changes []grantChange, errs []error, err error) {
	for _, c := range changes {
		errs[c.at] = first(errs[c.at], fmt.Errorf("cannot set user %q: %w", c.managed, b.explain(explainAccess(err))))
	}
}

func (b *Backend) alterUsers(ctx context.Context, req *kmsg.AlterUserSCRAMCredentialsRequest, changes []grantChange, errs []error) {
	resp, err := req.RequestWith(ctx, b.cluster.controller())
	outcome := map[string]error{}
	if err == nil {
		for _, r := range resp.Results {
			if e := answer(r.ErrorCode, r.ErrorMessage); !errors.Is(e, kerr.ResourceNotFound) {
				outcome[r.User] = e
			}
		}
	}
	for _, c := range changes {
		if e := first(err, outcome[c.managed]); e != nil {
			errs[c.at] = first(errs[c.at], fmt.Errorf("cannot set user %q: %w", c.managed, b.explain(explainAccess(e))))
		}
	}
}

// An aclChange is one entry of a batch.
type aclChange struct {
	acl

	at int
}

// applyRights adds and removes entries. Those that are too many go first: they may be more than the user is to have.
func (b *Backend) applyRights(ctx context.Context, changes []grantChange, errs []error) {
	var add, remove []aclChange
	for _, c := range changes {
		if errs[c.at] != nil {
			continue
		}
		more, less := c.differs(c.seen)
		for _, e := range more {
			add = append(add, aclChange{e, c.at})
		}
		for _, e := range less {
			remove = append(remove, aclChange{e, c.at})
		}
	}
	b.removeRights(ctx, remove, errs)
	b.addRights(ctx, add, errs)
}

const (
	// entriesPerRequest is how many entries one request adds at most, so that it is answered in time.
	entriesPerRequest = 2000

	// filtersPerRequest is how many filters one request to remove entries has at most. The controllers hold every filter
	// against every entry of the cluster.
	filtersPerRequest = 200
)

// filter matches an entry; or, if it has nothing but a principal, all of that.
func (a acl) filter() kmsg.DeleteACLsRequestFilter {
	f := kmsg.NewDeleteACLsRequestFilter()
	f.Principal = &a.principal
	f.ResourceType, f.ResourcePatternType = kmsg.ACLResourceTypeAny, kmsg.ACLResourcePatternTypeAny
	f.Operation, f.PermissionType = kmsg.ACLOperationAny, kmsg.ACLPermissionTypeAny
	if a.name != "" {
		f.ResourceType, f.ResourceName, f.ResourcePatternType = resourceType(a.typ), &a.name, patternType(a.pattern)
		f.Host, f.Operation, f.PermissionType = &a.host, operation(a.operation), permission(a.permission)
	}
	return f
}

func (b *Backend) addRights(ctx context.Context, add []aclChange, errs []error) {
	for some := range slices.Chunk(add, entriesPerRequest) {
		req := kmsg.NewPtrCreateACLsRequest()
		for _, e := range some {
			c := kmsg.NewCreateACLsRequestCreation()
			c.ResourceType, c.ResourceName, c.ResourcePatternType = resourceType(e.typ), e.name, patternType(e.pattern)
			c.Principal, c.Host, c.Operation, c.PermissionType = e.principal, e.host, operation(e.operation), permission(e.permission)
			req.Creations = append(req.Creations, c)
		}
		resp, err := req.RequestWith(ctx, b.cluster.controller())
		for i, e := range some {
			failed := err
			if err == nil && i < len(resp.Results) {
				failed = answer(resp.Results[i].ErrorCode, resp.Results[i].ErrorMessage)
			}
			if failed != nil {
				errs[e.at] = first(errs[e.at], fmt.Errorf("cannot give %s a right to %q: %w", e.principal, e.name, b.explain(explainAccess(failed))))
			}
		}
	}
}

func (b *Backend) removeRights(ctx context.Context, remove []aclChange, errs []error) {
	for some := range slices.Chunk(remove, filtersPerRequest) {
		req := kmsg.NewPtrDeleteACLsRequest()
		for _, e := range some {
			req.Filters = append(req.Filters, e.filter())
		}
		resp, err := req.RequestWith(ctx, b.cluster.controller())
		for i, e := range some {
			failed := err
			if err == nil && i < len(resp.Results) {
				failed = answer(resp.Results[i].ErrorCode, resp.Results[i].ErrorMessage)
			}
			if failed != nil {
				errs[e.at] = first(errs[e.at], fmt.Errorf("cannot take rights from %s: %w", e.principal, b.explain(explainAccess(failed))))
			}
		}
	}
}

// awaitGrants waits until the home shows what applyUsers and applyRights have changed. The controllers' log is in order, and rights were
// changed last: whoever sees them sees everything that was changed before.
func (b *Backend) awaitGrants(ctx context.Context, changes []grantChange, errs []error) {
	v := newVigil(ctx, len(changes))
	for turn := 0; ; turn++ {
		changes = slices.DeleteFunc(changes, func(c grantChange) bool { return errs[c.at] != nil })
		if len(changes) == 0 {
			return
		}
		a, err := b.access(ctx, interests(changes))
		if err == nil {
			if changes = slices.DeleteFunc(changes, func(c grantChange) bool { return c.done(a) }); len(changes) == 0 {
				return
			}
			err = v.pause(ctx, turn, len(changes))
		}
		if err != nil {
			for _, c := range changes {
				errs[c.at] = first(errs[c.at], fmt.Errorf("cannot see that user %q was set: %w", c.managed, b.explain(err)))
			}
			return
		}
	}
}

func patternType(s string) kmsg.ACLResourcePatternType {
	t, _ := kmsg.ParseACLResourcePatternType(s)
	return t
}

func operation(s string) kmsg.ACLOperation {
	o, _ := kmsg.ParseACLOperation(s)
	return o
}

func permission(s string) kmsg.ACLPermissionType {
	p, _ := kmsg.ParseACLPermissionType(s)
	return p
}
