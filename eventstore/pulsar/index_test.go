package pulsar

import (
	"testing"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/internal/indextest"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/pulsartest"
)

func TestIndexOnDisk(t *testing.T) {
	server := pulsartest.Start(t, broker.PulsarOptions{})
	indextest.Run(t, indextest.Driver{
		Store: func(t *testing.T) eventstore.Secret { return server.Store(t, layout.Sourcing, nil) },
		Folded: func(t *testing.T, s eventstore.Store) bool {
			at, _, err := s.(*store).arbiter.Unread(t.Context(), layout.Partition(order42.String(), pulsartest.Partitions))
			if err != nil {
				t.Fatal(err)
			}
			return at.Offset > 1 // Opening tells where the second record is.
		},
	})
}
