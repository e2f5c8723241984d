package e2e_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// redisBroker is the class "fast".
type redisBroker struct{}

// client returns a client with all rights. The caller closes it.
func (redisBroker) client() *redis.Client {
	return redis.NewClient(&redis.Options{Addr: world.Redis.Addr, Username: world.Redis.AdminUser, Password: world.Redis.AdminPassword})
}

func (r redisBroker) write(t *testing.T, store string) {
	t.Helper()
	c := r.client()
	defer c.Close()
	if err := c.XAdd(t.Context(), &redis.XAddArgs{Stream: layout.RedisEvents(store, 0), Values: map[string]any{"data": "x"}}).Err(); err != nil {
		t.Fatal(err)
	}
}

func (r redisBroker) position(ctx context.Context, store, subscription string) string {
	c := r.client()
	defer c.Close()
	var positions []string
	for p := range layout.DefaultPartitions {
		groups, err := c.XInfoGroups(ctx, layout.RedisEvents(store, p)).Result()
		if err != nil || len(groups) != 1 || groups[0].Name != subscription {
			return fmt.Sprintf("%d groups in partition %d, %v", len(groups), p, err)
		}
		positions = append(positions, groups[0].LastDeliveredID)
	}
	return strings.Join(positions, " ")
}

func (r redisBroker) lose(t *testing.T, store, subscription string) {
	t.Helper()
	c := r.client()
	defer c.Close()
	for p := range layout.DefaultPartitions {
		if err := c.XGroupDestroy(t.Context(), layout.RedisEvents(store, p), subscription).Err(); err != nil {
			t.Fatal(err)
		}
	}
}

func (r redisBroker) traces(ctx context.Context, store string) ([]string, error) {
	c := r.client()
	defer c.Close()
	var found []string
	keys := c.Scan(ctx, 0, "*"+store+"*", 1000).Iterator()
	for keys.Next(ctx) {
		found = append(found, keys.Val())
	}
	if err := keys.Err(); err != nil {
		return nil, err
	}
	users, err := c.Do(ctx, "ACL", "USERS").StringSlice()
	for _, u := range users {
		if strings.Contains(u, store) {
			found = append(found, "user "+u)
		}
	}
	return found, err
}
