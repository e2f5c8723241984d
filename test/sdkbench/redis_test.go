package sdkbench

import (
	"context"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	_ "github.com/crossplane-contrib/provider-eventstore/eventstore/redis"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/redistest"
)

// script is what the driver appends with.
const script = "../../eventstore/redis/lua/append.lua"

func redisSubjects(t *testing.T) []subject {
	t.Helper()
	server := redistest.Start(t)
	return []subject{{
		name: "redis",
		goals: goals{
			"append, 1 in flight, p50 above raw": "<= 0.1", "append, 128 in flight, of raw": ">= 90", "append, 1024 in flight, of raw": ">= 90",
			"subscribe, of raw": ">= 70",
		},
		store: func(t *testing.T) eventstore.Secret { return server.Store(t, layout.Sourcing, nil) },
		subscription: func(t *testing.T, s eventstore.Secret, name string) eventstore.Secret {
			return server.Subscription(t, s, name)
		},
		appends: func(t *testing.T, s eventstore.Secret) func(context.Context, eventstore.StreamID, eventstore.Version) error {
			return redisAppends(t, s)
		},
		consumes: func(t *testing.T, s eventstore.Secret, n int) error { return redisConsumes(t, s, n) },
	}}
}

func redisClient(t *testing.T, secret eventstore.Secret) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: secret.Get(layout.SecretEndpoints), Username: secret.Get(layout.SecretUsername), Password: secret.Get(layout.SecretPassword)})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func redisAppends(t *testing.T, secret eventstore.Secret) appender {
	t.Helper()
	source, err := os.ReadFile(script)
	if err != nil {
		t.Fatal(err)
	}
	c, s, store := redisClient(t, secret), redis.NewScript(string(source)), secret.Get(layout.SecretStore)
	return func(ctx context.Context, id eventstore.StreamID, version eventstore.Version) error {
		stream := id.String()
		p := layout.Partition(stream, redistest.Partitions)
		args := []any{int64(version), 1, layout.AnyWindow, "01890a5d-ac96-774b-bcce-b302099a8057"}
		for _, h := range headers(stream, version) {
			if h[0] != "ce_version" && h[0] != "attempt" { // The script adds the version, and there are no attempts.
				args = append(args, h[0], h[1])
			}
		}
		args = append(args, "data", payload)
		return s.Run(ctx, c, []string{layout.RedisEvents(store, p), layout.RedisIndex(store, p, stream)}, args...).Err()
	}
}

// redisConsumes reads all partitions side by side, and acknowledges what it has read at once.
func redisConsumes(t *testing.T, secret eventstore.Secret, n int) error {
	t.Helper()
	c, store, group := redisClient(t, secret), secret.Get(layout.SecretStore), secret.Get(layout.SecretSubscription)
	ctx, stop := context.WithCancelCause(t.Context())
	defer stop(nil)
	var read atomic.Int64
	var wg sync.WaitGroup
	for p := range redistest.Partitions {
		wg.Go(func() {
			key := layout.RedisEvents(store, p)
			for read.Load() < int64(n) && ctx.Err() == nil {
				streams, err := c.XReadGroup(ctx, &redis.XReadGroupArgs{Group: group, Consumer: "raw", Streams: []string{key, ">"}, Count: 100, Block: -1}).Result()
				if err == redis.Nil { //nolint:errorlint // go-redis returns it as is.
					return // All of this partition.
				}
				if err != nil {
					stop(err)
					return
				}
				var ids []string
				for _, m := range streams[0].Messages {
					ids = append(ids, m.ID)
				}
				if err := c.XAck(ctx, key, group, ids...).Err(); err != nil {
					stop(err)
				}
				read.Add(int64(len(ids)))
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}
