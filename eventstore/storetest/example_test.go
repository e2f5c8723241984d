package storetest_test

import (
	"testing"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/memory"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/storetest"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/storetest/history"
)

// A driver's test. It is told how stores are opened, and what the backend cannot do.
func ExampleRun() {
	_ = func(t *testing.T) { // As TestStore.
		options := []storetest.Option{
			storetest.WithReopen(func(_ *testing.T, store eventstore.Store) eventstore.Store { return store }),
			storetest.WithSubscription(func(t *testing.T, store eventstore.Store, name string) eventstore.Store {
				t.Helper()
				subscription, err := store.(*memory.Store).Subscription(name)
				if err != nil {
					t.Fatal(err)
				}
				return subscription
			}),
			storetest.WithMaxEventBytes(1_000),
			storetest.WithStreaming(func(*testing.T) eventstore.Store { return memory.New(memory.WithStreaming()) }),
			storetest.Lacks(storetest.Processes, "it ends with its process"),
		}
		storetest.Run(t, func(*testing.T) eventstore.Store { return memory.New(memory.WithMaxEventBytes(1_000)) }, options...)
	}
}

// The driver of a broker has other processes open its stores, through a proxy that cuts their connections.
func ExampleWithProcesses() {
	var proxy history.Connections
	_ = func(m *testing.M) { storetest.Main(m) } // As TestMain: the other processes are this program.
	_ = storetest.WithProcesses(func(eventstore.Store) eventstore.Secret {
		return eventstore.Secret{"provider": []byte("redis"), "endpoints": []byte("127.0.0.1:16379")} // The proxy's, and more.
	}, history.ConnectionFaults(proxy)...)
}

// What may be lacking. A feature for which storetest needs an option lacks by itself without it.
func ExampleFeature() {
	for _, f := range []storetest.Feature{
		storetest.Subscriptions, storetest.DeadLetters, storetest.Redriving, storetest.Attempts, storetest.Snapshots, storetest.Fencing,
		storetest.Groups,    // Without WithSubscription.
		storetest.Processes, // Without WithProcesses.
		storetest.Limit,     // Without WithMaxEventBytes.
		storetest.Streaming, // Without WithStreaming.
	} {
		_ = storetest.Lacks(f, "why it cannot be")
	}
}
