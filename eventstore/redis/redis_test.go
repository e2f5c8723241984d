package redis

import (
	"context"
	"maps"
	"testing"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/storetest"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/storetest/history"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/redistest"
)

func openSecret(t *testing.T, s eventstore.Secret) eventstore.Store {
	t.Helper()
	store, err := eventstore.OpenSecret(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

func secretOf(s eventstore.Store) eventstore.Secret { return s.(*store).Secret }

func TestMain(m *testing.M) { storetest.Main(m) }

func TestStore(t *testing.T) {
	// With fsync each second, a server that is killed while the disk is busy has not even written what it acknowledged.
	server := redistest.StartWith(t, broker.RedisOptions{AppendOnly: true, ACLFile: true, Config: map[string]string{"appendfsync": "always"}})
	p, err := broker.NewProxy(server.Addr)
	must(t, err)
	t.Cleanup(func() { _ = p.Close() })
	conform(t, server, storetest.WithProcesses(
		func(s eventstore.Store) eventstore.Secret {
			behind := maps.Clone(secretOf(s))
			behind[layout.SecretEndpoints] = []byte(p.Addr)
			return behind
		},
		append(history.ConnectionFaults(p), history.BrokerFaults(withUsers{server, t})...)...,
	))
}

// withUsers is a server whose users are back when it is, as the provider sees to.
type withUsers struct {
	*redistest.Server

	t *testing.T
}

func (s withUsers) Restart(ctx context.Context) error {
	defer s.MakeUsers(s.t)
	return s.Server.Restart(ctx)
}

func TestStoreBehindSentinels(t *testing.T) {
	t.Parallel()
	server, _ := redistest.StartSentinel(t)
	conform(t, server)
}

func TestStoreOnCluster(t *testing.T) {
	t.Parallel()
	server, _ := redistest.StartCluster(t)
	conform(t, server)
}

func conform(t *testing.T, server *redistest.Server, opts ...storetest.Option) {
	t.Helper()
	open := func(t *testing.T) eventstore.Store {
		return openSecret(t, server.Store(t, layout.Sourcing, map[string]string{layout.SecretMaxEventBytes: "10000"}))
	}
	storetest.Run(t, open, append(opts,
		storetest.WithMaxEventBytes(10_000),
		storetest.WithStreaming(func(t *testing.T) eventstore.Store { return openSecret(t, server.Store(t, layout.Streaming, nil)) }),
		storetest.WithReopen(func(t *testing.T, s eventstore.Store) eventstore.Store { return openSecret(t, secretOf(s)) }),
		storetest.WithSubscription(func(t *testing.T, s eventstore.Store, name string) eventstore.Store {
			return openSecret(t, server.Subscription(t, secretOf(s), name))
		}),
	)...)
}
