package provider_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	xpv2 "github.com/crossplane/crossplane/apis/v2/core/v2"
	"github.com/redis/go-redis/v9"
	corev1 "k8s.io/api/core/v1"

	"github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
	namespacedv1alpha1 "github.com/crossplane-contrib/provider-eventstore/apis/namespaced/v1alpha1"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	_ "github.com/crossplane-contrib/provider-eventstore/eventstore/redis"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

func TestSentinel(t *testing.T) {
	t.Parallel()
	s, err := broker.StartRedisSentinel(t.Context(), broker.RedisGroupOptions{Dir: filepath.Join(t.TempDir(), "redis"), AppendOnly: true, SentinelPassword: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop() })
	ns := namespace(t)
	pc := sharedConfig(ns, s.Nodes[0].Addr, ns, "redis")
	pc.Spec.Redis.Mode, pc.Spec.Redis.Addresses = v1alpha1.RedisSentinel, s.SentinelAddrs()
	pc.Spec.Redis.Sentinel = &v1alpha1.RedisSentinelSettings{MasterName: broker.RedisMasterName, Username: broker.RedisAdminUser}
	pc.Spec.SentinelCredentials = credentials(ns, "redis")
	survive(t, ns, pc, s.Nodes, func(*testing.T, string) *broker.Redis { return s.Nodes[0] })
}

func TestCluster(t *testing.T) {
	t.Parallel()
	c, err := broker.StartRedisCluster(t.Context(), broker.RedisGroupOptions{Dir: filepath.Join(t.TempDir(), "redis"), AppendOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Stop() })
	ns := namespace(t)
	pc := sharedConfig(ns, c.Nodes[0].Addr, ns, "redis")
	pc.Spec.Redis.Mode, pc.Spec.Redis.Addresses = v1alpha1.RedisCluster, c.Addrs()
	survive(t, ns, pc, c.Nodes, func(t *testing.T, key string) *broker.Redis {
		for _, r := range c.Nodes[:3] {
			// A master says MOVED of a key that is not its own.
			if err := admin(t, r).Exists(t.Context(), key).Err(); err == nil {
				return r
			}
		}
		t.Fatalf("no master has %s", key)
		return nil
	})
}

// survive kills the master under a store: the application and the provider go on with the next one, and when the old one
// comes back without users, it gets them again. Nobody restarts anything.
func survive(t *testing.T, ns string, pc *namespacedv1alpha1.ClusterProviderConfig, nodes []*broker.Redis, masterOf func(*testing.T, string) *broker.Redis) {
	t.Helper()
	audit.secret(nodes[0].AdminPassword)
	s, sub := use(store(ns, "orders"), "ClusterProviderConfig", ns), use(subscription(ns, "orders", "billing"), "ClusterProviderConfig", ns)
	s.Spec.ForProvider.DeletionProtection = v1alpha1.DeletionProtectionNever
	create(t, passwordSecret(ns, "redis", nodes[0].AdminPassword), pc, s, sub)
	ready(t, s)
	ready(t, sub)
	condition(t, pc, v1alpha1.TypeHealthy, corev1.ConditionTrue, v1alpha1.ReasonHealthy)
	data := connection(t, ns, "orders")
	app, err := eventstore.OpenSecret(t.Context(), data)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = app.Close() })
	stream := eventstore.StreamID{Type: "order", ID: "1"}
	appends := func(version int) {
		t.Helper()
		eventually(t, "an event can be appended", func() (bool, string) {
			v, err := app.Append(t.Context(), stream, eventstore.Version(version), eventstore.EventData{ID: fmt.Sprint("e", version), Type: "Tested"})
			return err == nil && v == eventstore.Version(version)+1, fmt.Sprint(err)
		})
	}
	appends(0)

	old := masterOf(t, layout.RedisEvents(ns+".orders", 0))
	if err := old.Kill(); err != nil {
		t.Fatal(err)
	}
	condition(t, pc, v1alpha1.TypeHealthy, corev1.ConditionTrue, "", old.Addr)
	appends(1)
	condition(t, s, xpv2.TypeSynced, corev1.ConditionTrue, "")
	ready(t, s)
	if err := old.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, secret := range map[string]map[string][]byte{"orders": data, "billing": connection(t, ns, "billing")} {
		eventually(t, "the user of "+name+" is on every server", func() (bool, string) {
			return everywhere(t, nodes, string(secret[layout.SecretUsername]), string(secret[layout.SecretPassword]))
		})
	}
	condition(t, pc, v1alpha1.TypeHealthy, corev1.ConditionTrue, v1alpha1.ReasonHealthy)

	remove(t, sub)
	remove(t, s)
	gone(t, sub)
	gone(t, s)
	eventually(t, "nothing is left on any server", func() (bool, string) {
		var all []string
		for _, r := range nodes {
			all = append(all, left(t, admin(t, r), ns)...)
		}
		return len(all) == 0, strings.Join(all, " ")
	})
}

// everywhere reports whether a user can log in to every server.
func everywhere(t *testing.T, nodes []*broker.Redis, user, password string) (bool, string) {
	t.Helper()
	for _, r := range nodes {
		c := redis.NewClient(&redis.Options{Addr: r.Addr, Username: user, Password: password, MaxRetries: -1})
		err := c.Ping(t.Context()).Err()
		_ = c.Close()
		if err != nil {
			return false, r.Addr + ": " + err.Error()
		}
	}
	return true, ""
}
