package arbiter

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// ErrAnother is matched by errors that say that what is there was not made for this Secret.
var ErrAnother = errors.New("the Secret is of another store, or stale")

// CheckGenesis looks whether the first record of a partition is the one that the store was begun with.
func CheckGenesis(b eventstore.Binding, partition int, contentType string, value []byte) error {
	var genesis layout.Genesis
	if contentType != layout.GenesisType || json.Unmarshal(value, &genesis) != nil {
		return fmt.Errorf("partition %d does not begin with its genesis: records were deleted: %w", partition, eventstore.ErrHistoryLost)
	}
	want := layout.Genesis{Layout: b.Layout, Partitions: b.Partitions, Hash: layout.Hash}
	if genesis != want {
		return fmt.Errorf("partition %d was begun with layout %d, %d partitions and hash %q, the Secret says %d, %d and %q: %w",
			partition, genesis.Layout, genesis.Partitions, genesis.Hash, want.Layout, want.Partitions, want.Hash, ErrAnother)
	}
	return nil
}
