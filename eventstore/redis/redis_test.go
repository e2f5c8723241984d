package redis

import (
	"testing"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/storetest"
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

func TestStore(t *testing.T) { conform(t, redistest.Start(t)) }

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

func conform(t *testing.T, server *redistest.Server) {
	t.Helper()
	storetest.Run(t,
		func(t *testing.T) eventstore.Store {
			return openSecret(t, server.Store(t, layout.Sourcing, map[string]string{layout.SecretMaxEventBytes: "10000"}))
		},
		storetest.WithMaxEventBytes(10_000),
		storetest.WithReopen(func(t *testing.T, s eventstore.Store) eventstore.Store { return openSecret(t, secretOf(s)) }),
		storetest.WithSubscription(func(t *testing.T, s eventstore.Store, name string) eventstore.Store {
			return openSecret(t, server.Subscription(t, secretOf(s), name))
		}),
	)
}
