package provider_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	namespacedv1alpha1 "github.com/crossplane-contrib/provider-eventstore/apis/namespaced/v1alpha1"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// ownBroker starts a Redis of a test's own, which may be stopped.
func ownBroker(t *testing.T, o broker.RedisOptions) *broker.Redis {
	t.Helper()
	o.Dir = filepath.Join(t.TempDir(), "redis")
	r, err := broker.StartRedis(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Stop() })
	audit.secret(r.AdminPassword)
	return r
}

// configFor creates a ClusterProviderConfig and its Secret for a server, both named after the namespace.
func configFor(t *testing.T, namespace string, r *broker.Redis) *namespacedv1alpha1.ClusterProviderConfig {
	t.Helper()
	pc := sharedConfig(namespace, r.Addr, namespace, "redis")
	create(t, passwordSecret(namespace, "redis", r.AdminPassword), pc)
	return pc
}

// admin returns a client with all rights on a server.
func admin(t *testing.T, r *broker.Redis) *redis.Client {
	t.Helper()
	return login(t, r, r.AdminUser, r.AdminPassword)
}

func login(t *testing.T, r *broker.Redis, user, password string) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: r.Addr, Username: user, Password: password, DisableIdentity: true, MaxRetries: -1})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// asApplication returns a client with the user in a connection Secret, which must be there.
func asApplication(t *testing.T, r *broker.Redis, namespace, secret string) *redis.Client {
	t.Helper()
	data := connection(t, namespace, secret)
	return login(t, r, string(data[layout.SecretUsername]), string(data[layout.SecretPassword]))
}

// connection waits for a connection Secret that has a password, and returns it.
func connection(t *testing.T, namespace, name string) map[string][]byte {
	t.Helper()
	s := &corev1.Secret{}
	eventually(t, "Secret "+namespace+"/"+name+" has a password", func() (bool, string) {
		if err := world.kube.Get(t.Context(), types.NamespacedName{Namespace: namespace, Name: name}, s); err != nil {
			return false, err.Error()
		}
		return len(s.Data[layout.SecretPassword]) > 0, "it has none"
	})
	return s.Data
}

// appendEvents appends n records to partition 0 of a store.
func appendEvents(t *testing.T, c *redis.Client, store string, n int) (ids []string) {
	t.Helper()
	for range n {
		id, err := c.XAdd(t.Context(), &redis.XAddArgs{Stream: layout.RedisEvents(store, 0), Values: []string{"ce_type", "Tested"}}).Result()
		if err != nil {
			t.Fatalf("cannot append to %s: %v", store, err)
		}
		ids = append(ids, id)
	}
	return ids
}

// events returns how many records partition 0 of a store has.
func events(t *testing.T, c *redis.Client, store string) int64 {
	t.Helper()
	n, err := c.XLen(t.Context(), layout.RedisEvents(store, 0)).Result()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// readGroup reads and acknowledges n records as a consumer of a subscription, and returns their ids.
func readGroup(t *testing.T, c *redis.Client, store, sub string, n int64) (ids []string) {
	t.Helper()
	key := layout.RedisEvents(store, 0)
	res, err := c.XReadGroup(t.Context(), &redis.XReadGroupArgs{Group: sub, Consumer: layout.RedisConsumer, Streams: []string{key, ">"}, Count: n, Block: -1}).Result()
	if err == redis.Nil { //nolint:errorlint // go-redis returns it as is.
		return nil
	}
	if err != nil {
		t.Fatalf("cannot read %s/%s: %v", store, sub, err)
	}
	for _, m := range res[0].Messages {
		ids = append(ids, m.ID)
	}
	if err := c.XAck(t.Context(), key, sub, ids...).Err(); err != nil {
		t.Fatal(err)
	}
	return ids
}

// position returns the last delivered id of a group in partition 0; empty if there is no such group.
func position(t *testing.T, c *redis.Client, store, sub string) string {
	t.Helper()
	groups, err := c.XInfoGroups(t.Context(), layout.RedisEvents(store, 0)).Result()
	if err != nil {
		return ""
	}
	for _, g := range groups {
		if g.Name == sub {
			return g.LastDeliveredID
		}
	}
	return ""
}

// left lists the users and keys that a server has of names that contain part.
func left(t *testing.T, c *redis.Client, part string) []string {
	t.Helper()
	users, err := c.Do(t.Context(), "ACL", "USERS").StringSlice()
	if err != nil {
		t.Fatal(err)
	}
	keys, err := c.Keys(t.Context(), "es:*").Result()
	if err != nil {
		t.Fatal(err)
	}
	all := slices.Concat(users, keys)
	all = slices.DeleteFunc(all, func(s string) bool { return !strings.Contains(s, part) || !strings.HasPrefix(s, "es:") })
	slices.Sort(all)
	return all
}

// nothingLeft waits until a server has neither users nor keys of a namespace.
func nothingLeft(t *testing.T, c *redis.Client, namespace string) {
	t.Helper()
	eventually(t, "Redis has nothing of "+namespace, func() (bool, string) {
		l := left(t, c, namespace+".")
		return len(l) == 0, strings.Join(l, " ")
	})
}
