package redis

import (
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/redistest"
)

// Principals may do what the driver does, which the other tests show, and nothing of the following.
func TestPrincipalsMayNot(t *testing.T) {
	server := redistest.Start(t)
	secret, other := server.Store(t, layout.Sourcing, nil), server.Store(t, layout.Sourcing, nil)
	store, neighbour := secret.Get(layout.SecretStore), other.Get(layout.SecretStore)
	sub := server.Subscription(t, secret, "billing")
	server.Subscription(t, secret, "audit")
	_, err := openSecret(t, secret).Append(t.Context(), order42, 0, placed("a"))
	must(t, err)
	p := layout.Partition(order42.String(), redistest.Partitions)
	events, index := layout.RedisEvents(store, p), layout.RedisIndex(store, p, order42.String())
	snapshot := layout.RedisSnapshot(store, p, order42.String())

	anybody := [][]any{
		{"XADD", layout.RedisEvents(neighbour, p), "*", "a", "b"},
		{"XRANGE", layout.RedisEvents(neighbour, p), "-", "+"},
		{"HGETALL", layout.RedisMarker(neighbour)},
		{"HSET", layout.RedisMarker(store), "layout", "9"},
		{"XTRIM", events, "MAXLEN", "0"},
		{"XDEL", events, "1-1"},
		{"XSETID", events, "9-9"},
		{"DEL", events},
		{"UNLINK", events},
		{"EXPIRE", events, "1"},
		{"RENAME", events, index},
		{"SET", events, "x"},
		{"XGROUP", "DESTROY", events, "billing"},
		{"XGROUP", "SETID", events, "billing", "0"},
		{"XGROUP", "CREATE", events, "new", "0"},
		{"KEYS", "*"},
		{"SCAN", "0"},
		{"CONFIG", "GET", "*"},
		{"ACL", "LIST"},
		{"ACL", "WHOAMI"},
		{"FLUSHALL"},
		{"INFO"},
		{"CLIENT", "LIST"},
		{"PUBLISH", "c", "m"},
		{"SUBSCRIBE", "c"},
		{"SCRIPT", "FLUSH"},
		{"FUNCTION", "LIST"},
		{"ZREM", index, "x"},
		{"HDEL", snapshot, "x"},
		{"EVAL", "return redis.call('DEL', KEYS[1])", "1", events},
		{"EVAL", "return redis.call('XADD', ARGV[1], '*', 'a', 'b')", "0", layout.RedisEvents(neighbour, p)},
	}
	subscriber := [][]any{
		{"XADD", events, "*", "a", "b"},
		{"ZADD", index, "1", "x"},
		{"HSET", snapshot, "version", "9"},
		{"EVAL", "return redis.call('XADD', KEYS[1], '*', 'a', 'b')", "1", events},
		{"EVAL", "return redis.call('ZADD', ARGV[1], 9, 'x')", "0", index},
		{"XADD", layout.RedisDeadLetters(store, p, "audit"), "*", "a", "b"},
		{"XRANGE", layout.RedisDeadLetters(store, p, "audit"), "-", "+"},
		{"HSET", layout.RedisLease(store, p, "audit"), "token", "9"},
		{"HGETALL", layout.RedisRetries(store, p, "audit")},
		{"HGETALL", layout.RedisSubscriptionMarker(store, "billing")},
	}
	writer := [][]any{
		{"XREADGROUP", "GROUP", "billing", "x", "STREAMS", events, ">"},
		{"XACK", events, "billing", "1-1"},
		{"XRANGE", layout.RedisDeadLetters(store, p, "billing"), "-", "+"},
		{"HGETALL", layout.RedisLease(store, p, "billing")},
	}
	for name, tc := range map[string]struct {
		secret   eventstore.Secret
		commands [][]any
	}{
		"Store":        {secret: secret, commands: append(writer, anybody...)},
		"Subscription": {secret: sub, commands: append(subscriber, anybody...)},
	} {
		t.Run(name, func(t *testing.T) {
			client := redis.NewClient(&redis.Options{
				Addr: server.Addr, Username: tc.secret.Get(layout.SecretUsername), Password: tc.secret.Get(layout.SecretPassword),
			})
			defer client.Close()
			for _, command := range tc.commands {
				err := client.Do(t.Context(), command...).Err()
				if err == nil || !strings.Contains(err.Error(), "NOPERM") && !strings.Contains(err.Error(), "The user executing the script can't") {
					t.Errorf("%s: %v, want NOPERM", fmt.Sprint(command...), err)
				}
			}
		})
	}
}
