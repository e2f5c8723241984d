package redis

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/process"
	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/redistest"
)

// TestFailover kills the master under an open store: appends, reads and a subscription go on with the next one, without
// anybody opening the store again.
func TestFailover(t *testing.T) {
	t.Run("Sentinel", func(t *testing.T) {
		t.Parallel()
		server, s := redistest.StartSentinel(t)
		failOver(t, server, func(string) *broker.Redis { return s.Nodes[0] })
	})
	t.Run("Cluster", func(t *testing.T) {
		t.Parallel()
		server, c := redistest.StartCluster(t)
		failOver(t, server, func(key string) *broker.Redis {
			master, err := server.Admin.(*redis.ClusterClient).MasterForKey(t.Context(), key)
			must(t, err)
			for _, r := range c.Nodes {
				if r.Addr == master.Options().Addr {
					return r
				}
			}
			t.Fatalf("nobody has %s", key)
			return nil
		})
	})
}

func failOver(t *testing.T, server *redistest.Server, masterOf func(key string) *broker.Redis) {
	t.Helper()
	secret := server.Store(t, layout.Sourcing, nil)
	s, sub := openSecret(t, secret), openSecret(t, server.Subscription(t, secret, "billing"))
	delivered := make(chan string, 100)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- sub.Subscribe(ctx, func(_ context.Context, e eventstore.Event) error {
			delivered <- e.ID
			return nil
		})
	}()
	defer func() {
		stop()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("Subscribe: %v", err)
		}
	}()

	appendUntil(t, s, 0, "a")
	awaitEvent(t, delivered, "a")
	victim := masterOf(eventsOf(secret.Get(layout.SecretStore)))
	replicated(t, victim, eventsOf(secret.Get(layout.SecretStore)))
	must(t, victim.Kill())
	appendUntil(t, s, 1, "b")
	awaitEvent(t, delivered, "b")
	n := 0
	for e, err := range s.Read(t.Context(), order42, 0) {
		must(t, err)
		if n++; e.Version != eventstore.Version(n) {
			t.Errorf("event %d has version %d", n, e.Version)
		}
	}
	if n != 2 {
		t.Errorf("%d events after the failover, want 2", n)
	}
}

// replicated waits until a replica has what the master has, which Redis does not do before it acknowledges.
func replicated(t *testing.T, master *broker.Redis, key string) {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: master.Addr, Username: master.AdminUser, Password: master.AdminPassword})
	defer func() { _ = c.Close() }()
	conn := c.Conn() // WAIT is for what this connection wrote.
	defer func() { _ = conn.Close() }()
	must(t, conn.HSet(t.Context(), key+"-replicated", "f", "v").Err())
	if n, err := conn.Wait(t.Context(), 1, time.Minute).Result(); err != nil || n < 1 {
		t.Fatalf("WAIT: %d replicas, %v", n, err)
	}
}

// appendUntil appends until that succeeds: repeating it is safe, because the event has an id.
func appendUntil(t *testing.T, s eventstore.Store, expected eventstore.Version, id string) {
	t.Helper()
	deadline := time.After(5 * time.Minute)
	for {
		v, err := s.Append(t.Context(), order42, expected, placed(id))
		if err == nil {
			if v != expected+1 {
				t.Fatalf("Append: version %d, want %d", v, expected+1)
			}
			return
		}
		select {
		case <-deadline:
			t.Fatalf("waited for an append to succeed: %v", err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func awaitEvent(t *testing.T, delivered <-chan string, want string) {
	t.Helper()
	deadline := time.After(5 * time.Minute)
	for {
		select {
		case got := <-delivered:
			if got == want {
				return
			}
		case <-deadline:
			t.Fatalf("waited for event %q to be delivered", want)
		}
	}
}

// TestLostReplyOnCluster loses the reply to an append without a version, of which nobody could tell copies apart. The
// cluster is one server, which names the proxy as its address.
func TestLostReplyOnCluster(t *testing.T) {
	ports, err := process.FreePorts(2)
	must(t, err)
	p := newProxy(t, process.Loopback(ports[0]))
	_, announced, _ := strings.Cut(p.addr, ":")
	server := redistest.StartWith(t, broker.RedisOptions{Port: ports[0], Config: map[string]string{
		"cluster-enabled": "yes", "cluster-port": strconv.Itoa(ports[1]), "cluster-announce-ip": "127.0.0.1", "cluster-announce-port": announced,
	}})
	must(t, server.Admin.ClusterAddSlotsRange(t.Context(), 0, 16383).Err())
	await(t, "the cluster to be up", func() bool {
		return strings.Contains(server.Admin.ClusterInfo(t.Context()).Val(), "cluster_state:ok")
	})
	secret := server.Store(t, layout.Streaming, map[string]string{layout.SecretRedisMode: "cluster", layout.SecretEndpoints: p.addr})
	s := openSecret(t, secret)
	p.mu.Lock()
	p.cut, p.lost = 1, func(request, _ []byte) bool { return bytes.Contains(request, []byte("xadd")) }
	p.mu.Unlock()
	if _, err := s.Append(t.Context(), order42, eventstore.Any, placed("a")); !errors.Is(err, eventstore.ErrUnknownOutcome) {
		t.Errorf("Append: %v, want ErrUnknownOutcome", err)
	}
	if n := server.Admin.XLen(t.Context(), eventsOf(secret.Get(layout.SecretStore))).Val(); n != 1 || p.toLose() != 0 {
		t.Errorf("%d entries, and %d replies to lose, want 1 and 0", n, p.toLose())
	}
}
