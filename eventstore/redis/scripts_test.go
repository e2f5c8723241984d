package redis

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/redistest"
)

// What a script does may be asked for again after a lost reply, and the first copy may arrive even later. These tests send
// such copies, on one partition.
type copies struct {
	t      *testing.T
	server *redistest.Server
	client redis.UniversalClient // As the subscription.
	store  eventstore.Store
	n      eventstore.Version

	events, lease, retries, dead string
}

func newCopies(t *testing.T, server *redistest.Server) *copies {
	t.Helper()
	secret := server.Store(t, layout.Sourcing, nil)
	sub := openSecret(t, server.Subscription(t, secret, "billing")).(*store)
	name, p := secret.Get(layout.SecretStore), layout.Partition(order42.String(), redistest.Partitions)
	return &copies{
		t: t, server: server, client: sub.client, store: openSecret(t, secret), events: eventsOf(name),
		lease: layout.RedisLease(name, p, "billing"), retries: layout.RedisRetries(name, p, "billing"),
		dead: layout.RedisDeadLetters(name, p, "billing"),
	}
}

// append adds events, and returns the ids of their entries.
func (c *copies) append(ids ...string) {
	c.t.Helper()
	for _, id := range ids {
		v, err := c.store.Append(c.t.Context(), order42, c.n, placed(id))
		must(c.t, err)
		c.n = v
	}
}

func (c *copies) run(s *redis.Script, keys []string, args ...any) any {
	c.t.Helper()
	v, err := s.Run(c.t.Context(), c.client, keys, args...).Result()
	must(c.t, err)
	return v
}

func (c *copies) take(consumer string, seen int64) int64 {
	c.t.Helper()
	return c.run(takeScript, []string{c.lease}, consumer, 60_000, seen).([]any)[0].(int64)
}

// fetch reads what is new, and returns the ids of events, and whether the number is used up.
func (c *copies) fetch(number int) (events string, used bool) {
	c.t.Helper()
	reply := c.run(fetchScript, []string{c.events, c.lease}, 1, "billing", layout.RedisConsumer, 10, ">", number).([]any)
	entries, err := decodeEntries(reply[1].([]any))
	must(c.t, err)
	ids := make([]string, len(entries))
	for i, m := range entries {
		ids[i], _ = m.Values["ce_id"].(string)
	}
	return strings.Join(ids, " "), reply[0] == int64(1)
}

func TestFetchCopies(t *testing.T) {
	c := newCopies(t, redistest.Start(t))
	c.take("me", 0)
	want := func(what string, number int, events string, used bool) {
		t.Helper()
		if got, u := c.fetch(number); got != events || u != used {
			t.Errorf("%s: fetch %d got %q, used %t; want %q, %t", what, number, got, u, events, used)
		}
	}
	entry := func(i int) string { return c.server.Admin.XRange(t.Context(), c.events, "-", "+").Val()[i].ID }

	want("nothing yet", 1, "", false)
	c.append("a", "b")
	want("the late copy of it", 1, "a b", true)
	want("who sent it uses that number still", 1, "a b", true)
	must(t, c.server.Admin.XAck(t.Context(), c.events, "billing", entry(0)).Err())
	want("what is acknowledged does not come again", 1, "b", true)
	c.append("c")
	want("what is in flight does not come again", 2, "c", true)
	want("again", 2, "c", true)
	c.append("d")
	want("a late copy takes nothing", 1, "", true)
	want("what is new", 3, "d", true)

	// A replay moves the group back, as the provider does.
	must(t, c.server.Admin.XGroupSetID(t.Context(), c.events, "billing", "0").Err())
	must(t, c.server.Admin.XAck(t.Context(), c.events, "billing", entry(1), entry(2), entry(3)).Err())
	want("what was taken before is to be read anew", 3, "", true)
	want("that reply is lost", 4, "a b c d", true)
	want("and repeated", 4, "a b c d", true)
	want("no more", 5, "", false)
}

func TestLeaseCopies(t *testing.T) {
	c := newCopies(t, redistest.Start(t))
	keep := func(token int64) int64 {
		return c.run(keepScript, []string{c.lease}, token, 60_000).([]any)[0].(int64)
	}
	type step struct {
		what string
		got  int64
		want int64
	}
	for _, s := range []step{
		{"a free lease", c.take("me", 0), 1},
		{"the reply was lost", c.take("me", 0), 1},
		{"a late copy, when the token is known", c.take("me", 1), 0},
		{"another consumer", c.take("you", 0), 0},
		{"kept", keep(1), 1},
		{"given back", c.run(releaseScript, []string{c.lease}, 1).(int64), 1},
		{"a late copy does not hold what was given back", keep(1), 0},
		{"another consumer takes it", c.take("you", 0), 2},
		{"a late copy changes nothing", c.run(releaseScript, []string{c.lease}, 1).(int64), 1},
		{"it is kept", keep(2), 1},
		{"it is held", c.take("me", 1), 0},
	} {
		if s.got != s.want {
			t.Errorf("%s: %d, want %d", s.what, s.got, s.want)
		}
	}
}

func TestFailureCopies(t *testing.T) {
	c := newCopies(t, redistest.Start(t))
	c.take("me", 0)
	c.append("a")
	c.fetch(1)
	entry := c.server.Admin.XRange(t.Context(), c.events, "-", "+").Val()[0].ID
	fail := func(n int) {
		c.run(failScript, []string{c.events, c.lease, c.retries}, 1, "billing", entry, entry, n)
	}
	bury := func() {
		c.run(deadScript, []string{c.dead, c.lease, c.retries, c.events}, 1, "billing", entry, entry, "name", "value")
	}
	want := func(what string, retries map[string]string, letters int64) {
		t.Helper()
		if diff := cmp.Diff(retries, c.server.Admin.HGetAll(t.Context(), c.retries).Val()); diff != "" {
			t.Errorf("%s: retries -want, +got:\n%s", what, diff)
		}
		if n := c.server.Admin.XLen(t.Context(), c.dead).Val(); n != letters {
			t.Errorf("%s: %d dead letters, want %d", what, n, letters)
		}
	}
	fail(1)
	fail(2)
	fail(1)
	want("a late copy does not count down", map[string]string{entry: "2"}, 0)
	bury()
	bury()
	fail(2)
	want("it is dead once, and stays so", map[string]string{entry: "-1"}, 1)
	ack := func() {
		c.run(ackScript, []string{c.events, c.lease, c.retries}, 1, "billing", 1, entry, entry)
	}
	ack()
	fail(2)
	bury()
	ack()
	want("a late copy does not come back to what is acknowledged", map[string]string{}, 1)
}

// A snapshot whose reply was lost may be saved again.
func TestSnapshotMissesReply(t *testing.T) {
	server := redistest.Start(t)
	p := newProxy(t, server.Addr)
	s := openConsumer(t, server.Store(t, layout.Sourcing, nil), p.addr)
	p.loseReplies(1, saveScript, "")
	snapshot := eventstore.Snapshot{Stream: order42, Version: 3, Data: []byte("x")}
	if err := s.SaveSnapshot(t.Context(), snapshot); err == nil {
		t.Error("SaveSnapshot without a reply: no error")
	}
	must(t, s.SaveSnapshot(t.Context(), snapshot))
	if got, err := s.LoadSnapshot(t.Context(), order42); err != nil || got.Version != 3 || string(got.Data) != "x" {
		t.Errorf("LoadSnapshot: %+v, %v", got, err)
	}
}
