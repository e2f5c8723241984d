// Package redistest makes stores on a real Redis for tests, in the way of the provider: with the marker, and a user for
// each principal that can do what package layout says and nothing else.
package redistest

import (
	"crypto/rand"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// Partitions is how many partitions the stores have.
const Partitions = 4

// Server is a redis-server that ends with the test, or several that belong together.
type Server struct {
	*broker.Redis // One of them, if there are several.
	Admin         redis.UniversalClient

	nodes      []*broker.Redis
	connection map[string]string // Of the Secrets.
	sentinels  []string
	stores     atomic.Int64

	mu    sync.Mutex
	users []principal
}

// Start starts a server that persists what it has.
func Start(t *testing.T) *Server {
	t.Helper()
	return StartWith(t, broker.RedisOptions{AppendOnly: true, ACLFile: true})
}

// StartWith starts a server with other options.
func StartWith(t *testing.T, o broker.RedisOptions) *Server {
	t.Helper()
	need(t)
	o.Dir = t.TempDir()
	r, err := broker.StartRedis(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Stop() })
	admin := redis.NewClient(&redis.Options{Addr: r.Addr, Username: r.AdminUser, Password: r.AdminPassword})
	return serve(t, admin, map[string]string{layout.SecretEndpoints: r.Addr}, r)
}

// StartSentinel starts a master with replicas and Sentinels, which know the users too.
func StartSentinel(t *testing.T) (*Server, *broker.RedisSentinel) {
	t.Helper()
	need(t)
	s, err := broker.StartRedisSentinel(t.Context(), broker.RedisGroupOptions{Dir: t.TempDir(), AppendOnly: true, SentinelPassword: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop() })
	r := s.Nodes[0]
	admin := redis.NewFailoverClient(&redis.FailoverOptions{
		MasterName: broker.RedisMasterName, SentinelAddrs: s.SentinelAddrs(), Username: r.AdminUser, Password: r.AdminPassword,
		SentinelUsername: r.AdminUser, SentinelPassword: r.AdminPassword,
	})
	server := serve(t, admin, map[string]string{
		layout.SecretEndpoints: strings.Join(s.SentinelAddrs(), ","), layout.SecretRedisMode: "sentinel",
		layout.SecretSentinelMaster: broker.RedisMasterName, layout.SecretSentinelAuth: "true",
	}, s.Nodes...)
	server.sentinels = s.SentinelAddrs()
	return server, s
}

// StartCluster starts a Redis Cluster.
func StartCluster(t *testing.T) (*Server, *broker.RedisCluster) {
	t.Helper()
	need(t)
	c, err := broker.StartRedisCluster(t.Context(), broker.RedisGroupOptions{Dir: t.TempDir(), AppendOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Stop() })
	r := c.Nodes[0]
	admin := redis.NewClusterClient(&redis.ClusterOptions{Addrs: c.Addrs(), Username: r.AdminUser, Password: r.AdminPassword})
	return serve(t, admin, map[string]string{
		layout.SecretEndpoints: strings.Join(c.Addrs()[:2], ","), layout.SecretRedisMode: "cluster",
	}, c.Nodes...), c
}

func need(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("redis-server is not installed")
	}
}

func serve(t *testing.T, admin redis.UniversalClient, connection map[string]string, nodes ...*broker.Redis) *Server {
	t.Helper()
	t.Cleanup(func() { _ = admin.Close() })
	return &Server{Redis: nodes[0], Admin: admin, nodes: nodes, connection: connection}
}

// Store makes a store with a new name, and returns its Secret. Extra overrides keys of the Secret.
func (s *Server) Store(t testing.TB, kind layout.Kind, extra map[string]string) eventstore.Secret {
	t.Helper()
	name := fmt.Sprintf("shop.orders-%d", s.stores.Add(1))
	err := s.Admin.HSet(t.Context(), layout.RedisMarker(name), layout.RedisMarkerLayout, layout.Version,
		layout.RedisMarkerPartitions, Partitions, layout.RedisMarkerHash, layout.Hash, layout.RedisMarkerKind, string(kind)).Err()
	if err != nil {
		t.Fatal(err)
	}
	user := layout.StorePrincipal(name)
	secret := s.secret(name, kind, user, s.user(t, user, layout.RedisStoreACL(name)))
	for k, v := range extra {
		secret[k] = []byte(v)
	}
	return secret
}

// Subscription makes a subscription that begins with the first event, and returns its Secret.
func (s *Server) Subscription(t testing.TB, store eventstore.Secret, name string) eventstore.Secret {
	t.Helper()
	of := store.Get(layout.SecretStore)
	for p := range Partitions {
		if err := s.Admin.XGroupCreateMkStream(t.Context(), layout.RedisEvents(of, p), name, "0").Err(); err != nil {
			t.Fatal(err)
		}
	}
	user := layout.SubscriptionPrincipal(of, name)
	secret := maps.Clone(store)
	secret[layout.SecretUsername] = []byte(user)
	secret[layout.SecretPassword] = []byte(s.user(t, user, layout.RedisSubscriptionACL(of, name)))
	secret[layout.SecretSubscription] = []byte(name)
	return secret
}

// A principal is a user with the rules that it has on servers.
type principal struct {
	name, password string
	rules          []string
}

func (s *Server) user(t testing.TB, name string, rules []string) (password string) {
	t.Helper()
	password = rand.Text()
	s.mu.Lock()
	s.users = append(s.users, principal{name, password, rules})
	s.mu.Unlock()
	s.MakeUsers(t)
	return password
}

// Rotate gives the user of a Secret another password, and returns the Secret with it. As the provider does, it cuts the
// connections of the user.
func (s *Server) Rotate(t *testing.T, secret eventstore.Secret) eventstore.Secret {
	t.Helper()
	name, password := secret.Get(layout.SecretUsername), rand.Text()
	s.mu.Lock()
	for i := range s.users {
		if s.users[i].name == name {
			s.users[i].password = password
		}
	}
	s.mu.Unlock()
	s.MakeUsers(t)
	addrs := slices.Clone(s.sentinels)
	for _, r := range s.nodes {
		addrs = append(addrs, r.Addr)
	}
	for _, addr := range addrs {
		c := redis.NewClient(&redis.Options{Addr: addr, Username: s.AdminUser, Password: s.AdminPassword})
		if err := c.Do(t.Context(), "CLIENT", "KILL", "USER", name).Err(); err != nil {
			t.Error(err)
		}
		_ = c.Close()
	}
	secret = maps.Clone(secret)
	secret[layout.SecretPassword] = []byte(password)
	return secret
}

// MakeUsers makes all users again on every server that runs, as the provider does on one that restarted without them.
func (s *Server) MakeUsers(t testing.TB) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.nodes {
		if r.Process().Running() {
			s.make(t, r.Addr, func(u principal) []string { return u.rules })
		}
	}
	for _, addr := range s.sentinels {
		s.make(t, addr, func(principal) []string { return layout.RedisSentinelACL() })
	}
}

func (s *Server) make(t testing.TB, addr string, rules func(principal) []string) {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: addr, Username: s.AdminUser, Password: s.AdminPassword})
	defer func() { _ = c.Close() }()
	for _, u := range s.users {
		if err := c.ACLSetUser(t.Context(), u.name, append([]string{"on", "resetpass", ">" + u.password}, rules(u)...)...).Err(); err != nil {
			t.Fatal(err)
		}
	}
}

func (s *Server) secret(store string, kind layout.Kind, user, password string) eventstore.Secret {
	host, port, _ := strings.Cut(s.Addr, ":")
	out := eventstore.Secret{}
	for k, v := range map[string]string{
		layout.SecretType: layout.SecretTypeEventStore, layout.SecretProvider: "redis",
		layout.SecretHost: host, layout.SecretPort: port, layout.SecretTLS: "false",
		layout.SecretUsername: user, layout.SecretPassword: password, layout.SecretStore: store,
		layout.SecretPartitions: strconv.Itoa(Partitions), layout.SecretLayout: strconv.Itoa(layout.Version),
		layout.SecretKind: string(kind), layout.SecretExpectedVersions: strconv.FormatBool(kind == layout.Sourcing),
	} {
		out[k] = []byte(v)
	}
	for k, v := range s.connection {
		out[k] = []byte(v)
	}
	return out
}
