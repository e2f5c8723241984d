package pulsar

import (
	"context"
	"testing"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/backend/backendtest"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

func TestConformance(t *testing.T) {
	f := start(t, broker.PulsarOptions{})
	backendtest.Run(t, backendtest.Harness{
		Backend: f.backend,
		Append:  f.append, Read: f.read, Occupy: f.occupy, DeadLetter: f.deadLetter,
		LoseLog:    f.loseLog,
		LoseMarker: func(t *testing.T, s string) { f.loseProperties(t, s, storePrefix) },
		LoseSubscriptionMarker: func(t *testing.T, id backend.SubscriptionID) {
			f.loseProperties(t, id.Store, subscriptionKeys(id.Name))
		},
		LosePosition:         f.losePosition,
		Login:                func(ctx context.Context, user, password string) error { return f.login(ctx, t, user, password) },
		StoreDrifts:          f.storeDrifts(),
		SubscriptionDrifts:   f.subscriptionDrifts(),
		StoreAttempts:        f.storeAttempts,
		SubscriptionAttempts: f.subscriptionAttempts,

		SubscriptionsGoWithStore: true,
		Others: map[string]backend.Backend{
			"TLS":       f.connect(t, f.tls(t, false)),
			"MutualTLS": f.connect(t, f.tls(t, true)),
		},
	})
}

func (f *fixture) must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) loseLog(t *testing.T, store string, partition int) {
	t.Helper()
	f.must(t, f.backend.deleteTopic(t.Context(), "test", store, layout.PulsarPartition(layout.PulsarEvents, partition)))
}

func (f *fixture) losePosition(t *testing.T, id backend.SubscriptionID, partition int) {
	t.Helper()
	topic := f.backend.topic(id.Store, layout.PulsarPartition(layout.PulsarEvents, partition))
	f.must(t, f.backend.delete(t.Context(), "test", topic+"/subscription/"+id.Name, "force", "true"))
}

// loseProperties deletes the properties of a namespace that begin with prefix.
func (f *fixture) loseProperties(t *testing.T, store, prefix string) {
	t.Helper()
	n, err := f.backend.readNamespace(t.Context(), "test", store)
	f.must(t, err)
	for key := range n.Properties {
		if len(key) > len(prefix) && key[:len(prefix)] == prefix {
			f.must(t, f.backend.delete(t.Context(), "test", f.backend.namespace(store)+"/property/"+key))
		}
	}
}
