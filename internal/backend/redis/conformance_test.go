package redis

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/backend/backendtest"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

func TestConformance(t *testing.T) {
	f := start(t, broker.RedisOptions{ACLFile: true, TLS: true, RequireClientCert: true})
	open := start(t, broker.RedisOptions{TLS: true})
	h := f.harness()
	h.Others = map[string]backend.Backend{
		"MutualTLS": f.tls(t, true),
		"TLS":       open.tls(t, false),
	}
	backendtest.Run(t, h)
}

func (f *fixture) harness() backendtest.Harness {
	return backendtest.Harness{
		Backend: f.backend,
		Append:  f.append, Read: f.read, Occupy: f.occupy, DeadLetter: f.deadLetter,
		LoseLog:                func(t *testing.T, s string, p int) { f.do(t, "DEL", layout.RedisEvents(s, p)) },
		LoseMarker:             func(t *testing.T, s string) { f.do(t, "DEL", layout.RedisMarker(s)) },
		LoseSubscriptionMarker: func(t *testing.T, id backend.SubscriptionID) { f.do(t, "DEL", marker(id)) },
		LosePosition: func(t *testing.T, id backend.SubscriptionID, p int) {
			f.do(t, "XGROUP", "DESTROY", layout.RedisEvents(id.Store, p), id.Name)
		},
		StoreDrifts:          f.storeDrifts(),
		SubscriptionDrifts:   f.subscriptionDrifts(),
		Login:                f.login,
		StoreAttempts:        f.storeAttempts,
		SubscriptionAttempts: f.subscriptionAttempts,
	}
}

// tls returns a backend that connects to the TLS port, with a certificate of its own if it is to have one.
func (f *fixture) tls(t *testing.T, mutual bool) *Backend {
	t.Helper()
	c := f.config(f.AdminUser, f.AdminPassword)
	c.Addresses, c.TLS = []string{f.TLSAddr}, &connect.TLS{CA: file(t, f.CAFile)}
	if mutual {
		c.TLS.Certificate, c.TLS.PrivateKey = file(t, f.ClientCertFile), file(t, f.ClientKeyFile)
	}
	b, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func file(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func marker(id backend.SubscriptionID) string {
	return layout.RedisSubscriptionMarker(id.Store, id.Name)
}

// do runs a command as administrator.
func (f *fixture) do(t testing.TB, args ...any) any {
	t.Helper()
	v, err := f.admin.Do(t.Context(), args...).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		t.Fatalf("%v: %v", args[0], err)
	}
	return v
}

func (f *fixture) append(t *testing.T, store string, partition, records int) {
	t.Helper()
	for range records {
		f.do(t, "XADD", layout.RedisEvents(store, partition), "*", "s", "order/1", "d", strings.Repeat("x", 100))
	}
}

func (f *fixture) deadLetter(t *testing.T, id backend.SubscriptionID, partition, records int) {
	t.Helper()
	for range records {
		f.do(t, "XADD", layout.RedisDeadLetters(id.Store, partition, id.Name), "*", "s", "order/1")
	}
}

func (f *fixture) read(t *testing.T, id backend.SubscriptionID, partition, records int, ack bool) (positions []string) {
	t.Helper()
	key := layout.RedisEvents(id.Store, partition)
	streams, err := f.admin.XReadGroup(t.Context(), &redis.XReadGroupArgs{
		Group: id.Name, Consumer: layout.RedisConsumer, Streams: []string{key, ">"}, Count: int64(records), Block: -1,
	}).Result()
	if errors.Is(err, redis.Nil) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range streams[0].Messages {
		positions = append(positions, m.ID)
		if ack {
			f.do(t, "XACK", key, id.Name, m.ID)
		}
	}
	return positions
}

func (f *fixture) occupy(t *testing.T, id backend.SubscriptionID, partition int, name string) func() {
	t.Helper()
	key := layout.RedisLease(id.Store, partition, id.Name)
	f.do(t, "HSET", key, layout.RedisLeaseConsumer, name, layout.RedisLeaseToken, 7,
		layout.RedisLeaseUntil, time.Now().Add(time.Hour).UnixMilli())
	return func() { f.do(t, "HSET", key, layout.RedisLeaseUntil, time.Now().Add(-time.Millisecond).UnixMilli()) }
}

func (f *fixture) login(ctx context.Context, user, password string) error {
	c, err := f.config(user, password).Client()
	if err != nil {
		return err
	}
	defer c.Close()
	return c.Ping(ctx).Err()
}

func (f *fixture) storeDrifts() []backendtest.Drift[string] {
	var drifts []backendtest.Drift[string]
	add := func(name string, want plan.Field, command func(store string) []any) {
		drifts = append(drifts, backendtest.Drift[string]{Name: name, Want: want, Make: func(t *testing.T, s string) {
			t.Helper()
			f.do(t, command(s)...)
		}})
	}
	set := func(name string, want plan.Field, field, value string) {
		add(name, want, func(s string) []any { return []any{"HSET", layout.RedisMarker(s), field, value} })
	}
	set("RetentionShrunk", plan.FieldRetentionDuration, fieldRetention, "1m0s")
	set("RetentionGrown", plan.FieldRetentionDuration, fieldRetention, "0s")
	set("BytesAdded", plan.FieldRetentionBytes, fieldBytes, "5")
	set("SnapshotsOff", plan.FieldSnapshots, fieldSnapshots, "false")
	set("OwnerChanged", plan.FieldOwner, "owner-uid", "another")
	add("RetentionRemoved", plan.FieldRetentionDuration, func(s string) []any { return []any{"HDEL", layout.RedisMarker(s), fieldRetention} })
	add("MaxEventBytesRemoved", plan.FieldMaxEventBytes, func(s string) []any { return []any{"HDEL", layout.RedisMarker(s), fieldMaxEventBytes} })
	add("LogRemoved", plan.FieldEvents, func(s string) []any { return []any{"DEL", layout.RedisEvents(s, 1)} })
	add("RightsForgotten", plan.FieldPrincipal, func(s string) []any { return []any{"HDEL", layout.RedisMarker(s), fieldRendering} })
	for name, rules := range userDrifts() {
		add(name, plan.FieldPrincipal, func(s string) []any {
			return append([]any{"ACL", "SETUSER", layout.StorePrincipal(s)}, rules...)
		})
	}
	add("UserDeleted", plan.FieldPrincipal, func(s string) []any { return []any{"ACL", "DELUSER", layout.StorePrincipal(s)} })
	return drifts
}

// userDrifts are rules that somebody adds to a user.
func userDrifts() map[string][]any {
	return map[string][]any{
		"UserOff":              {"off"},
		"UserPasswordAdded":    {">another"},
		"UserPasswordReplaced": {"resetpass", ">another"},
		"UserPasswordRemoved":  {"resetpass"},
		"UserWithoutPassword":  {"nopass"},
		"UserCommandAdded":     {"+flushall"},
		"UserCommandRemoved":   {"-xrange"},
		"UserCategoryAdded":    {"+@all"},
		"UserKeysAdded":        {"~*"},
		"UserKeysRemoved":      {"resetkeys"},
		"UserChannelsAdded":    {"&*"},
		"UserSelectorAdded":    {"(~* +get)"},
		"UserUnsanitized":      {"skip-sanitize-payload"},
	}
}

func (f *fixture) subscriptionDrifts() []backendtest.Drift[backend.SubscriptionID] {
	var drifts []backendtest.Drift[backend.SubscriptionID]
	add := func(name string, want plan.Field, command func(id backend.SubscriptionID) []any) {
		drifts = append(drifts, backendtest.Drift[backend.SubscriptionID]{Name: name, Want: want, Make: func(t *testing.T, id backend.SubscriptionID) {
			t.Helper()
			f.do(t, command(id)...)
		}})
	}
	add("DeadLetterRetentionShrunk", plan.FieldDeadLetterRetention, func(id backend.SubscriptionID) []any {
		return []any{"HSET", marker(id), fieldDeadLetterRetention, "1s"}
	})
	add("DeadLetterRetentionRemoved", plan.FieldDeadLetterRetention, func(id backend.SubscriptionID) []any {
		return []any{"HDEL", marker(id), fieldDeadLetterRetention}
	})
	add("OwnerChanged", plan.FieldOwner, func(id backend.SubscriptionID) []any { return []any{"HSET", marker(id), "owner-uid", "another"} })
	add("PositionedForgotten", plan.FieldPositioned, func(id backend.SubscriptionID) []any { return []any{"HDEL", marker(id), fieldPositioned} })
	for name, rules := range userDrifts() {
		if name == "UserSelectorAdded" {
			name, rules = "UserSelectorsRemoved", []any{"clearselectors"}
		}
		add(name, plan.FieldPrincipal, func(id backend.SubscriptionID) []any {
			return append([]any{"ACL", "SETUSER", layout.SubscriptionPrincipal(id.Store, id.Name)}, rules...)
		})
	}
	add("UserDeleted", plan.FieldPrincipal, func(id backend.SubscriptionID) []any {
		return []any{"ACL", "DELUSER", layout.SubscriptionPrincipal(id.Store, id.Name)}
	})
	return drifts
}

// denied matches what the server says of a command that a user may not run, directly or in a script, and of those that
// no user may run from anywhere.
var denied = regexp.MustCompile(`NOPERM|The user executing the script can't|(MODULE|DEBUG) command not allowed`)

// as returns functions that make an attempt of one command as a user: where its key is, and on every server.
func (f *fixture) as(t *testing.T, user, password string) (try, everywhere func(name string, allowed bool, args ...any) backendtest.Attempt) {
	t.Helper()
	c, err := f.config(user, password).Client()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	clients := make([]redis.UniversalClient, len(f.nodes))
	for i, r := range f.nodes {
		clients[i] = redis.NewClient(&redis.Options{Addr: r.Addr, Username: user, Password: password, MaxRetries: -1})
		t.Cleanup(func() { _ = clients[i].Close() })
	}
	attempt := func(clients ...redis.UniversalClient) func(string, bool, ...any) backendtest.Attempt {
		return func(name string, allowed bool, args ...any) backendtest.Attempt {
			return backendtest.Attempt{Name: name, Allowed: allowed, Try: func(ctx context.Context) (err error) {
				for _, c := range clients {
					if err = c.Do(ctx, args...).Err(); err == nil || errors.Is(err, redis.Nil) {
						return nil
					}
					if !denied.MatchString(err.Error()) {
						// Not a matter of rights: the attempt itself is wrong, or the command got further than it should.
						t.Errorf("%v: %v", args, err)
					}
				}
				return err
			}}
		}
	}
	return attempt(c), attempt(clients...)
}

func (f *fixture) storeAttempts(t *testing.T, store, user, password string) []backendtest.Attempt {
	t.Helper()
	other := store + "0"
	f.do(t, "XADD", layout.RedisEvents(other, 0), "*", "d", "secret")
	f.do(t, "HSET", layout.RedisMarker(other), "d", "secret")
	events, index := layout.RedisEvents(store, 0), layout.RedisIndex(store, 0, "order/1")
	snapshot, dlq := layout.RedisSnapshot(store, 0, "order/1"), layout.RedisDeadLetters(store, 0, "reader")
	try, everywhere := f.as(t, user, password)
	attempts := []backendtest.Attempt{
		try("ReadMarker", true, "HMGET", layout.RedisMarker(store), "layout", "partitions", "hash", "kind"),
		try("Append", true, "XADD", events, "*", "d", "x"),
		try("AppendInScript", true, "EVAL", "redis.call('XADD', KEYS[1], '*', 'd', 'x') return redis.call('ZADD', KEYS[2], 1, '1-1')", 2, events, index),
		try("Read", true, "XRANGE", events, "-", "+"),
		try("ReadVersion", true, "ZRANGE", index, 0, 0, "REV", "WITHSCORES"),
		try("SaveSnapshot", true, "HSET", snapshot, "version", 1),
		try("LoadSnapshot", true, "HGETALL", snapshot),
		try("Clock", true, "TIME"),

		try("WriteMarker", false, "HSET", layout.RedisMarker(store), "kind", "streaming"),
		try("DeleteEvents", false, "DEL", events),
		try("UnlinkEvents", false, "UNLINK", events),
		try("DeleteOne", false, "XDEL", events, "1-1"),
		try("Trim", false, "XTRIM", events, "MAXLEN", 0),
		try("Expire", false, "EXPIRE", events, 1),
		try("RenameEvents", false, "RENAME", events, index),
		try("CreateGroup", false, "XGROUP", "CREATE", events, "mine", "0"),
		try("ReadAsGroup", false, "XREADGROUP", "GROUP", "reader", "me", "STREAMS", events, ">"),
		try("ReadOtherStore", false, "XRANGE", layout.RedisEvents(other, 0), "-", "+"),
		try("ReadOtherMarker", false, "HGETALL", layout.RedisMarker(other)),
		try("AppendToOtherStore", false, "XADD", layout.RedisEvents(other, 0), "*", "d", "x"),
		try("ReadDeadLetters", false, "XRANGE", dlq, "-", "+"),
		try("DeleteInScript", false, "EVAL", "return redis.call('DEL', KEYS[1])", 1, events),
		try("OtherKeyInScript", false, "EVAL", fmt.Sprintf("return redis.call('XRANGE', %q, '-', '+')", layout.RedisEvents(other, 0)), 1, events),
		try("Publish", false, "PUBLISH", "channel", "x"),
	}
	return append(attempts, f.forbidden(t, everywhere, events, layout.RedisStoreACL(store))...)
}

func (f *fixture) subscriptionAttempts(t *testing.T, id backend.SubscriptionID, user, password string) []backendtest.Attempt {
	t.Helper()
	other := id.Store + "0"
	f.do(t, "XADD", layout.RedisEvents(other, 0), "*", "d", "secret")
	f.do(t, "XGROUP", "CREATE", layout.RedisEvents(other, 0), id.Name, "0")
	f.do(t, "XADD", layout.RedisDeadLetters(id.Store, 1, "sibling"), "*", "d", "secret")
	events := layout.RedisEvents(id.Store, 1)
	dlq, lease, retries := layout.RedisDeadLetters(id.Store, 1, id.Name), layout.RedisLease(id.Store, 1, id.Name), layout.RedisRetries(id.Store, 1, id.Name)
	try, everywhere := f.as(t, user, password)
	attempts := []backendtest.Attempt{
		try("ReadMarker", true, "HMGET", layout.RedisMarker(id.Store), "layout", "partitions", "hash", "kind"),
		try("ReadAsGroup", true, "XREADGROUP", "GROUP", id.Name, layout.RedisConsumer, "COUNT", 1, "STREAMS", events, ">"),
		try("SeePending", true, "XPENDING", events, id.Name),
		try("Acknowledge", true, "XACK", events, id.Name, "1-1"),
		try("Read", true, "XRANGE", events, "-", "+"),
		try("ReadVersion", true, "ZRANGE", layout.RedisIndex(id.Store, 1, "order/1"), 0, 0),
		try("LoadSnapshot", true, "HGETALL", layout.RedisSnapshot(id.Store, 1, "order/1")),
		try("WriteDeadLetter", true, "XADD", dlq, "*", "d", "x"),
		try("ReadDeadLetters", true, "XRANGE", dlq, "-", "+"),
		try("TakeLease", true, "HSET", lease, "consumer", "me"),
		try("CountRetries", true, "HINCRBY", retries, "1-1", 1),
		try("Script", true, "EVAL", "redis.call('HGET', KEYS[3], 'token') redis.call('XADD', KEYS[2], '*', 'd', 'x') redis.call('HDEL', KEYS[4], '1-1') return redis.call('XACK', KEYS[1], ARGV[1], '1-1')",
			4, events, dlq, lease, retries, id.Name),

		try("Append", false, "XADD", events, "*", "d", "x"),
		try("AppendInScript", false, "EVAL", "return redis.call('XADD', KEYS[1], '*', 'd', 'x')", 1, events),
		try("MovePosition", false, "XGROUP", "SETID", events, id.Name, "0"),
		try("DestroyGroup", false, "XGROUP", "DESTROY", events, id.Name),
		try("WriteMarker", false, "HSET", layout.RedisMarker(id.Store), "kind", "streaming"),
		try("WriteOwnMarker", false, "HSET", marker(id), "replay", "x"),
		try("WriteSnapshot", false, "HSET", layout.RedisSnapshot(id.Store, 1, "order/1"), "version", 1),
		try("WriteVersion", false, "ZADD", layout.RedisIndex(id.Store, 1, "order/1"), 1, "1-1"),
		try("ReadSiblingsDeadLetters", false, "XRANGE", layout.RedisDeadLetters(id.Store, 1, "sibling"), "-", "+"),
		try("TakeSiblingsLease", false, "HSET", layout.RedisLease(id.Store, 1, "sibling"), "consumer", "me"),
		try("ReadOtherStore", false, "XREADGROUP", "GROUP", id.Name, "me", "STREAMS", layout.RedisEvents(other, 0), ">"),
		try("DeleteDeadLetters", false, "DEL", dlq),
		try("TrimDeadLetters", false, "XTRIM", dlq, "MAXLEN", 0),
	}
	return append(attempts, f.forbidden(t, everywhere, events, layout.RedisSubscriptionACL(id.Store, id.Name))...)
}

// forbidden attempts every command of the server that the rules do not name, with the principal's own key.
func (f *fixture) forbidden(t *testing.T, try func(string, bool, ...any) backendtest.Attempt, key string, rules []string) []backendtest.Attempt {
	t.Helper()
	// QUIT and RESET concern the connection only, and cannot be forbidden.
	allowed := map[string]bool{"quit": true, "reset": true}
	for _, r := range strings.Fields(strings.Join(rules, " ")) {
		if c, ok := strings.CutPrefix(strings.TrimRight(r, ")"), "+"); ok {
			allowed[c] = true
		}
	}
	var attempts []backendtest.Attempt
	add := func(spec []any) {
		name, arity := spec[0].(string), spec[1].(int64)
		if allowed[name] {
			return
		}
		args := []any{}
		for _, part := range strings.Split(name, "|") {
			args = append(args, part)
		}
		for int64(len(args)) < max(arity, -arity) {
			args = append(args, key)
		}
		attempts = append(attempts, try("Command/"+name, false, args...))
	}
	for _, v := range f.do(t, "COMMAND").([]any) {
		spec := v.([]any)
		if subs, ok := spec[9].([]any); ok && len(subs) > 0 {
			for _, s := range subs {
				add(s.([]any))
			}
			continue
		}
		add(spec)
	}
	if len(attempts) < 200 {
		t.Fatalf("only %d commands to try", len(attempts))
	}
	return attempts
}
