package memory_test

import (
	"testing"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/memory"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/storetest"
)

func TestStore(t *testing.T) {
	open := func(*testing.T) eventstore.Store { return memory.New(memory.WithMaxEventBytes(10_000)) }
	subscription := func(t *testing.T, s eventstore.Store, name string) eventstore.Store {
		sub, err := s.(*memory.Store).Subscription(name)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = sub.Close() })
		return sub
	}
	streaming := func(*testing.T) eventstore.Store { return memory.New(memory.WithStreaming()) }
	storetest.Run(t, open, storetest.WithMaxEventBytes(10_000), storetest.WithSubscription(subscription), storetest.WithStreaming(streaming))
}
