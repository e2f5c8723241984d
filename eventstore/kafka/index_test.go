package kafka

import (
	"testing"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/internal/indextest"
	"github.com/crossplane-contrib/provider-eventstore/internal/kafkatest"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

func TestIndexOnDisk(t *testing.T) {
	server := kafkatest.Start(t)
	indextest.Run(t, indextest.Driver{
		Store: func(t *testing.T) eventstore.Secret { return server.Store(t, layout.Sourcing, nil) },
		Folded: func(t *testing.T, s eventstore.Store) bool {
			at, _, err := s.(*store).arbiter.Unread(t.Context(), int(partition42))
			must(t, err)
			return at.Offset > 0
		},
	})
}
