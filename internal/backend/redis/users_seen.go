package redis

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// usersPerRead is how many users one read asks the server to show. Showing one costs Redis 7.0 up to 0.25 ms (it works
// out the shortest spelling of the rights, for each selector), which is more than everything else about a subscription
// together: for 30,000 users it would keep the server busy for most of every drift interval.
//
// So a read of more resources than that looks closely at those users that it saw longest ago, and of the others only
// whether they are there. A user that is gone is found at once, and one that was changed by somebody else after
// users/usersPerRead reads at the latest. What this backend writes is looked at closely with the next read.
const usersPerRead = 1000

// A shownUser is how the servers showed a user: digests, which reveal nothing.
type shownUser struct {
	passwords  string
	renderings string // As in the marker.
	missing    string // A server that does not have it.

	read    uint64 // When, counted in reads.
	written bool   // Written since: nothing that was read until then counts.
}

// seenUsers remembers how users were shown.
type seenUsers struct {
	mu    sync.Mutex
	reads uint64
	users map[string]shownUser
}

// choose begins a read: it returns its number, which of the names to look at closely, and whether that leaves any out.
func (s *seenUsers) choose(names []string) (read uint64, closely map[string]bool, some bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	closely = make(map[string]bool, min(len(names), usersPerRead))
	known := make([]string, 0, len(names))
	for _, n := range names {
		if u, ok := s.users[n]; ok && !u.written && len(names) > usersPerRead {
			known = append(known, n)
		} else {
			closely[n] = true
		}
	}
	slices.SortStableFunc(known, func(a, b string) int { return cmp.Compare(s.users[a].read, s.users[b].read) })
	n := min(len(known), max(0, usersPerRead-len(closely)))
	for _, name := range known[:n] {
		closely[name] = true
	}
	return s.reads, closely, n < len(known)
}

func (s *seenUsers) get(name string) (shownUser, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u, ok := s.users[name]
	return u, ok && !u.written
}

// put remembers how a read showed a user, unless a later one knows better.
func (s *seenUsers) put(name string, u shownUser) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, ok := s.users[name]; ok && (old.read > u.read || old.written && old.read == u.read) {
		return
	}
	if s.users == nil {
		s.users = map[string]shownUser{}
	}
	s.users[name] = u
}

// wrote makes the next read look closely. It is called after the write.
func (s *seenUsers) wrote(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users == nil {
		s.users = map[string]shownUser{}
	}
	s.users[name] = shownUser{read: s.reads, written: true}
}

// gone forgets a user that was not there.
func (s *seenUsers) gone(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.users, name)
}

// userReading is how one read observes users.
type userReading struct {
	b       *Backend
	number  uint64
	closely map[string]bool
	listed  []listing // Nothing if all users are looked at closely.
	err     error
}

// A listing is which users one server has.
type listing struct {
	address string
	users   map[string]bool
}

// lookAt decides how the users are observed. It costs a round trip if not all of them are looked at closely.
func (b *Backend) lookAt(ctx context.Context, kind string, names []string) *userReading {
	number, closely, some := b.seen.choose(names)
	r := &userReading{b: b, number: number, closely: closely}
	if !some {
		return r
	}
	var users replies
	b.send(ctx, kind, func(t *trip) { users = t.all(t.topology.users(), "ACL", "USERS") })
	r.err = users.err()
	answered, _ := users.answered()
	for _, u := range answered {
		l := listing{address: u.from.address, users: map[string]bool{}}
		all, _ := u.StringSlice()
		for _, name := range all {
			l.users[name] = true
		}
		r.listed = append(r.listed, l)
	}
	return r
}

// queue asks for a user, if it is looked at closely.
func (r *userReading) queue(t *trip, name string) replies {
	if !r.closely[name] {
		return nil
	}
	return t.all(t.topology.users(), "ACL", "GETUSER", name)
}

// principal tells what a user may do. Redis shows the rights of a user in another spelling than they were given, and each
// version in its own. So the marker keeps two digests: of the rules that were given, and of how Redis showed the user
// right after. While every server shows the same, the user has the rights of those rules; else it has others.
func (r *userReading) principal(name string, all replies, marker map[string]string) (plan.Principal, error) {
	shown, ok, err := r.shown(name, all)
	if err != nil || !ok {
		return plan.Principal{}, err
	}
	p := plan.Principal{Name: name, Digest: shown.passwords, Rights: marker[fieldRights]}
	switch as := strings.Split(marker[fieldRendering], ","); {
	case p.Rights == rightsUncut: // Whatever else is wrong is repaired with it.
	case shown.missing != "":
		p.Rights = "missing on " + shown.missing
	case slices.ContainsFunc(strings.Split(shown.renderings, ","), func(s string) bool { return s == "" || !slices.Contains(as, s) }):
		p.Rights = "changed " + shown.renderings
	}
	return p, nil
}

// shown returns how the servers show a user; ok is false if none has it.
func (r *userReading) shown(name string, all replies) (u shownUser, ok bool, err error) {
	if all == nil {
		return r.remembered(name)
	}
	some, err := all.answered()
	if err != nil {
		return shownUser{}, false, err
	}
	u.read = r.number
	var having replies
	for _, one := range some {
		switch err := one.Err(); {
		case errors.Is(err, redis.Nil), isForbidden(err):
			// Without the right to see users there are none that we manage: then all principals are provided. If they
			// are not, creating one fails, and says which right is missing.
			u.missing = cmp.Or(u.missing, one.from.address)
		case err != nil:
			return shownUser{}, false, err
		default:
			having = append(having, one)
		}
	}
	if len(having) == 0 {
		r.b.seen.gone(name)
		return shownUser{}, false, nil
	}
	u.passwords, u.renderings = passwordsOf(having), renderings(having)
	r.b.seen.put(name, u)
	return u, true, nil
}

// remembered returns how a user was shown last, if it is still there.
func (r *userReading) remembered(name string) (u shownUser, ok bool, err error) {
	if r.err != nil {
		return u, false, r.err
	}
	u, ok = r.b.seen.get(name)
	for _, l := range r.listed {
		if !l.users[name] {
			u.missing = cmp.Or(u.missing, l.address)
		}
	}
	there := slices.ContainsFunc(r.listed, func(l listing) bool { return l.users[name] })
	return u, ok && there, nil
}

// passwordsOf returns the digest of a user's password, if it is the same everywhere.
func passwordsOf(having replies) string {
	first := passwords(pairs(having[0].Val())["passwords"])
	for _, one := range having[1:] {
		if passwords(pairs(one.Val())["passwords"]) != first {
			return "another on " + one.from.address
		}
	}
	return first
}
