package redis

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/backend/backendtest"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect/redisclient"
)

func needRedis(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("redis-server is not installed")
	}
}

func startSentinel(t testing.TB, o broker.RedisGroupOptions) (*fixture, *broker.RedisSentinel) {
	t.Helper()
	needRedis(t)
	o.Dir = t.TempDir()
	s, err := broker.StartRedisSentinel(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop() })
	c := redisclient.Config{Mode: redisclient.ModeSentinel, Addresses: s.SentinelAddrs(), Sentinel: redisclient.Sentinel{Master: broker.RedisMasterName}}
	if o.SentinelPassword {
		c.Sentinel.Username, c.Sentinel.Password = s.Nodes[0].AdminUser, s.Nodes[0].AdminPassword
	}
	return fixtureOf(t, withTLS(t, c, o, s.Nodes[0]), s.Nodes...), s
}

func startCluster(t testing.TB, o broker.RedisGroupOptions) (*fixture, *broker.RedisCluster) {
	t.Helper()
	needRedis(t)
	o.Dir = t.TempDir()
	s, err := broker.StartRedisCluster(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop() })
	c := redisclient.Config{Mode: redisclient.ModeCluster, Addresses: s.Addrs()[:2]}
	return fixtureOf(t, withTLS(t, c, o, s.Nodes[0]), s.Nodes...), s
}

func withTLS(t testing.TB, c redisclient.Config, o broker.RedisGroupOptions, r *broker.Redis) redisclient.Config {
	if o.TLS {
		c.TLS = &connect.TLS{CA: file(t, r.CAFile)}
	}
	return c
}

// server returns a client of one server's administrator.
func (f *fixture) server(t testing.TB, r *broker.Redis) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: r.Addr, Username: r.AdminUser, Password: r.AdminPassword, MaxRetries: -1})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// eventually waits until what returns nil.
func eventually(t testing.TB, waitingFor string, what func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	for {
		err := what()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("waited for %s: %v", waitingFor, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// usersOf returns the rules of a server's users, without those of administrators and with commands in order.
func (f *fixture) usersOf(t testing.TB, r *broker.Redis) (users []string) {
	t.Helper()
	list, err := f.server(t, r).ACLList(t.Context()).Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range list {
		if strings.HasPrefix(u, "user es:") {
			words := strings.Fields(strings.NewReplacer("(", " ", ")", " ").Replace(u)) // In Redis 7.0 their order is chance.
			slices.Sort(words[2:])
			users = append(users, strings.Join(words, " "))
		}
	}
	return users
}

// sameUsers reports whether all servers that run have the same users, and how many.
func (f *fixture) sameUsers(t testing.TB, want int, nodes ...*broker.Redis) error {
	t.Helper()
	for _, r := range nodes {
		users := f.usersOf(t, r)
		if len(users) != want || !slices.Equal(users, f.usersOf(t, nodes[0])) {
			return fmt.Errorf("%s has %d users, and %s %d: want %d, and the same", r.Addr, len(users), nodes[0].Addr, len(f.usersOf(t, nodes[0])), want)
		}
	}
	return nil
}

// loginEverywhere connects to each server as a user. All must say the same.
func (f *fixture) loginEverywhere(t testing.TB) func(ctx context.Context, user, password string) error {
	return func(ctx context.Context, user, password string) error {
		var refused []error
		for _, r := range f.nodes {
			c := redis.NewClient(&redis.Options{Addr: r.Addr, Username: user, Password: password, MaxRetries: -1})
			if err := c.Ping(ctx).Err(); err != nil {
				refused = append(refused, err)
			}
			_ = c.Close()
		}
		if n := len(refused); n > 0 && n < len(f.nodes) {
			t.Errorf("%d of %d servers refuse %s", n, len(f.nodes), user)
		}
		return errors.Join(refused...)
	}
}

func TestConformanceOfSentinel(t *testing.T) {
	t.Parallel()
	f, _ := startSentinel(t, broker.RedisGroupOptions{ACLFile: true, TLS: true, SentinelPassword: true})
	h := f.harness()
	h.Login = f.loginEverywhere(t)
	backendtest.Run(t, h)
	if err := f.sameUsers(t, len(f.usersOf(t, f.nodes[0])), f.nodes...); err != nil {
		t.Error(err)
	}
}

func TestConformanceOfCluster(t *testing.T) {
	t.Parallel()
	f, _ := startCluster(t, broker.RedisGroupOptions{ACLFile: true})
	h := f.harness()
	h.Login = f.loginEverywhere(t)
	backendtest.Run(t, h)
	if err := f.sameUsers(t, len(f.usersOf(t, f.nodes[0])), f.nodes...); err != nil {
		t.Error(err)
	}
}

// TestDocumentedRights makes, maintains and deletes stores with the rights that docs/operations.md says the provider needs.
func TestDocumentedRights(t *testing.T) {
	page := string(file(t, "../../../docs/operations.md"))
	rights := regexp.MustCompile(`ACL SETUSER crossplane on >… (.*)`).FindStringSubmatch(page)
	sentinels := regexp.MustCompile("`(&\\* [^`]*sentinel\\|flushconfig)`").FindStringSubmatch(page)
	if rights == nil || sentinels == nil {
		t.Fatal("the page does not say which rights the provider needs")
	}
	for name, start := range map[string]func(t *testing.T) (*fixture, []string){
		"Standalone": func(t *testing.T) (*fixture, []string) {
			return start(t, broker.RedisOptions{ACLFile: true}), nil
		},
		"Sentinel": func(t *testing.T) (*fixture, []string) {
			f, s := startSentinel(t, broker.RedisGroupOptions{ACLFile: true, SentinelPassword: true})
			return f, s.SentinelAddrs()
		},
		"Cluster": func(t *testing.T) (*fixture, []string) {
			f, _ := startCluster(t, broker.RedisGroupOptions{ACLFile: true})
			return f, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, others := start(t)
			grant := func(address, rules string) {
				c := redis.NewClient(&redis.Options{Addr: address, Username: f.AdminUser, Password: f.AdminPassword})
				defer func() { _ = c.Close() }()
				if err := c.ACLSetUser(t.Context(), "crossplane", append([]string{"on", ">secret"}, strings.Fields(rules)...)...).Err(); err != nil {
					t.Fatal(err)
				}
			}
			for _, r := range f.nodes {
				grant(r.Addr, rights[1])
			}
			for _, address := range others {
				grant(address, sentinels[1])
			}
			if f.connection.Mode == redisclient.ModeSentinel {
				f.connection.Sentinel.Username, f.connection.Sentinel.Password = "crossplane", "secret"
			}
			f.backend = f.connect(t, "crossplane", "secret")
			d, c := f.store("orders")
			d.Retention.Duration = time.Hour
			f.applyStore(t, d, c)
			s, sc := f.subscription("orders", "billing")
			f.applySubscription(t, s, sc)
			if err := f.inPlace(t, d, c); err != nil {
				t.Error(err)
			}
			_, err := f.backend.Health(t.Context())
			id := backend.SubscriptionID{Store: "orders", Name: "billing"}
			for what, err := range map[string]error{
				"Health": err, "Maintain": f.backend.Maintain(t.Context(), []string{"orders"}),
				"Fence": f.backend.FenceStores(t.Context(), []string{"orders"})[0], "Unfence": f.backend.UnfenceStores(t.Context(), []string{"orders"})[0],
				"DeleteSubscription": f.backend.DeleteSubscriptions(t.Context(), subscriptions(id))[0], "DeleteStore": f.backend.DeleteStores(t.Context(), stores("orders"))[0],
			} {
				if err != nil {
					t.Errorf("%s: %v", what, err)
				}
			}
		})
	}
}
