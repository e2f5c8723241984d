// Package eventsourcing runs the public suite for event stores of hallgren/eventsourcing on drivers of this project, so
// that somebody else's idea of an event store judges them too. It is a module of its own: no user of the SDK downloads it.
package eventsourcing

import (
	"testing"

	"github.com/hallgren/eventsourcing/core"
	"github.com/hallgren/eventsourcing/core/testsuite"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/memory"
	_ "github.com/crossplane-contrib/provider-eventstore/eventstore/redis"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/redistest"
)

func TestMemory(t *testing.T) {
	conform(t, func(*testing.T) (eventstore.Store, error) { return memory.New(), nil })
}

func TestRedis(t *testing.T) {
	server := redistest.Start(t)
	conform(t, func(t *testing.T) (eventstore.Store, error) {
		t.Helper()
		return eventstore.OpenSecret(t.Context(), server.Store(t, layout.Sourcing, map[string]string{layout.SecretSnapshots: "true"}))
	})
}

// conform runs all that the suite has.
func conform(t *testing.T, open func(*testing.T) (eventstore.Store, error)) {
	t.Helper()
	t.Run("EventStore", func(t *testing.T) {
		testsuite.Test(t, func() (core.EventStore, func(), error) {
			store, err := open(t)
			return adapter{store}, func() { _ = store.Close() }, err
		})
	})
	t.Run("SnapshotStore", func(t *testing.T) {
		testsuite.TestSnapshotStore(t, func() (core.SnapshotStore, func(), error) {
			store, err := open(t)
			return snapshots{store}, func() { _ = store.Close() }, err
		})
	})
	t.Run("Fetcher", func(t *testing.T) {
		store, err := open(t)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = store.Close() }()
		a := adapter{store}
		testsuite.TestFetcher(t, a, a.fetcher())
	})
}
