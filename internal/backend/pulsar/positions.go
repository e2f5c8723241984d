package pulsar

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// A position is a place in a partition: a ledger, and an entry in it.
type position struct{ ledger, entry int64 }

// earliest and latest stand for the two ends of a partition, whatever they are when Pulsar reads them.
var (
	earliest = position{-1, -1}                       //nolint:gochecknoglobals // Constants, in effect.
	latest   = position{math.MaxInt64, math.MaxInt64} //nolint:gochecknoglobals // Constants, in effect.
)

func (p position) String() string {
	return strconv.FormatInt(p.ledger, 10) + ":" + strconv.FormatInt(p.entry, 10)
}

func (p position) compare(o position) int {
	return cmp.Or(cmp.Compare(p.ledger, o.ledger), cmp.Compare(p.entry, o.entry))
}

// parsePosition reads "<ledger>:<entry>".
func parsePosition(s string) (position, error) {
	ledger, entry, ok := strings.Cut(s, ":")
	var p position
	var err1, err2 error
	p.ledger, err1 = strconv.ParseInt(ledger, 10, 64)
	p.entry, err2 = strconv.ParseInt(entry, 10, 64)
	if !ok || err1 != nil || err2 != nil {
		return position{}, fmt.Errorf("position %q is not one of Pulsar: it must be <ledger>:<entry>", s)
	}
	return p, nil
}

// messageID is a position as the admin API takes it.
type messageID struct {
	LedgerID       int64 `json:"ledgerId"`
	EntryID        int64 `json:"entryId"`
	PartitionIndex int   `json:"partitionIndex"`
	BatchIndex     int   `json:"batchIndex"`
}

func (p position) messageID(partition int) messageID {
	return messageID{LedgerID: p.ledger, EntryID: p.entry, PartitionIndex: partition, BatchIndex: -1}
}

// startAt returns where a subscription begins that starts at s, in one partition.
func (b *Backend) startAt(ctx context.Context, kind, store string, s plan.Start, partition int) (position, error) {
	switch {
	case s.Latest:
		return latest, nil
	case !s.Time.IsZero():
		return b.at(ctx, kind, store, partition, s.Time.UnixMilli())
	case s.Positions[partition] != "":
		return parsePosition(s.Positions[partition])
	default:
		return earliest, nil
	}
}

// at returns the first record of a partition that was published in that millisecond or later. Pulsar is asked for the
// millisecond before: it looks at the very last record first, and would skip others of its millisecond. One record too many
// does no harm.
func (b *Backend) at(ctx context.Context, kind, store string, partition int, millis int64) (position, error) {
	var id messageID
	local := layout.PulsarPartition(layout.PulsarEvents, partition)
	err := b.get(ctx, kind, b.topic(store, local)+"/messageid/"+strconv.FormatInt(max(millis-1, 0), 10), &id)
	return position{id.LedgerID, id.EntryID}, err
}
