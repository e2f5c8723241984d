// Package redistest makes stores on a real Redis for tests, in the way of the provider: with the marker, and a user for
// each principal that can do what package layout says and nothing else.
package redistest

import (
	"crypto/rand"
	"fmt"
	"maps"
	"os/exec"
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

// Server is a redis-server that ends with the test.
type Server struct {
	*broker.Redis
	Admin  *redis.Client
	stores atomic.Int64

	mu    sync.Mutex
	users [][]any // The commands that made them.
}

// Start starts a server that persists what it has.
func Start(t *testing.T) *Server {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("redis-server is not installed")
	}
	r, err := broker.StartRedis(t.Context(), broker.RedisOptions{Dir: t.TempDir(), AppendOnly: true, ACLFile: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Stop() })
	admin := redis.NewClient(&redis.Options{Addr: r.Addr, Username: r.AdminUser, Password: r.AdminPassword})
	t.Cleanup(func() { _ = admin.Close() })
	return &Server{Redis: r, Admin: admin}
}

// Store makes a store with a new name, and returns its Secret. Extra overrides keys of the Secret.
func (s *Server) Store(t *testing.T, kind layout.Kind, extra map[string]string) eventstore.Secret {
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
func (s *Server) Subscription(t *testing.T, store eventstore.Secret, name string) eventstore.Secret {
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

func (s *Server) user(t *testing.T, name string, rules []string) (password string) {
	t.Helper()
	password = rand.Text()
	args := []any{"ACL", "SETUSER", name, "on", ">" + password}
	for _, r := range rules {
		args = append(args, r)
	}
	s.mu.Lock()
	s.users = append(s.users, args)
	s.mu.Unlock()
	s.MakeUsers(t)
	return password
}

// MakeUsers makes all users again, as the provider does on a server that restarted without them.
func (s *Server) MakeUsers(t *testing.T) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, args := range s.users {
		if err := s.Admin.Do(t.Context(), args...).Err(); err != nil {
			t.Fatal(err)
		}
	}
}

func (s *Server) secret(store string, kind layout.Kind, user, password string) eventstore.Secret {
	host, port, _ := strings.Cut(s.Addr, ":")
	out := eventstore.Secret{}
	for k, v := range map[string]string{
		layout.SecretType: layout.SecretTypeEventStore, layout.SecretProvider: "redis",
		layout.SecretHost: host, layout.SecretPort: port, layout.SecretEndpoints: s.Addr, layout.SecretTLS: "false",
		layout.SecretUsername: user, layout.SecretPassword: password, layout.SecretStore: store,
		layout.SecretPartitions: strconv.Itoa(Partitions), layout.SecretLayout: strconv.Itoa(layout.Version),
		layout.SecretKind: string(kind), layout.SecretExpectedVersions: strconv.FormatBool(kind == layout.Sourcing),
	} {
		out[k] = []byte(v)
	}
	return out
}
