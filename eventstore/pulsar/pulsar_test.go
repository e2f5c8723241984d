package pulsar

import (
	"testing"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/storetest"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/storetest/history"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/pulsartest"
)

func TestMain(m *testing.M) {
	history.Work()
	pulsartest.Main(m)
}

func openSecret(t testing.TB, s eventstore.Secret) eventstore.Store {
	t.Helper()
	store, err := eventstore.OpenSecret(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

func secretOf(s eventstore.Store) eventstore.Secret { return s.(*store).Secret }

func TestStore(t *testing.T) {
	server, p := behindProxy(t)
	storetest.Run(t,
		func(t *testing.T) eventstore.Store {
			return openSecret(t, server.Store(t, layout.Sourcing, map[string]string{layout.SecretMaxEventBytes: "10000"}))
		},
		storetest.WithMaxEventBytes(10_000),
		storetest.WithStreaming(func(t *testing.T) eventstore.Store { return openSecret(t, server.Store(t, layout.Streaming, nil)) }),
		storetest.Lacks(storetest.Redriving, "Pulsar has nothing that removes a record of a topic without a subscription of it"),
		storetest.Lacks(storetest.Attempts, "Pulsar keeps nothing for a consumer with a record that is not acknowledged"),
		storetest.Lacks(storetest.Fencing, "Pulsar hands out at once what a consumer of KeyShared held whose connection is lost, and nothing tells that consumer"),
		storetest.WithReopen(func(t *testing.T, s eventstore.Store) eventstore.Store { return openSecret(t, secretOf(s)) }),
		storetest.WithSubscription(func(t *testing.T, s eventstore.Store, name string) eventstore.Store {
			return openSecret(t, server.Subscription(t, secretOf(s), name))
		}),
		storetest.WithProcesses(secretOf,
			append(history.ConnectionFaults(p), history.BrokerFaults(server)...)...,
		),
	)
}
