package pulsar

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/apache/pulsar-client-go/pulsar"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/arbiter"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/record"
)

// place is where a record is: its ledger, and its entry in it.
type place = arbiter.Position

// nowhere is before the first record.
var nowhere = place{Segment: -1, Offset: -1}

func placeOf(id pulsar.MessageID) place { return place{Segment: id.LedgerID(), Offset: id.EntryID()} }

// before is the place before a record, or after the ledger that came before.
func before(p place) place { return place{Segment: p.Segment, Offset: p.Offset - 1} }

func after(p place) place { return place{Segment: p.Segment, Offset: p.Offset + 1} }

// cursor is an event of a record. As an offset it is the record's, and for the second event on "." and its number.
type cursor struct {
	place

	event int
}

func parseCursor(s string) (c cursor, err error) {
	var at string
	at, c.event = record.ParseOffset(s)
	ledger, entry, _ := strings.Cut(at, ":")
	if c.Segment, err = strconv.ParseInt(ledger, 10, 64); err == nil {
		c.Offset, err = strconv.ParseInt(entry, 10, 64)
	}
	if err != nil || c.String() != s || c.Segment < 0 || c.Offset < 0 {
		return cursor{}, fmt.Errorf("cannot read offset %.60q: it must look like 12:345, or 12:345.1 within a batch", s)
	}
	return c, nil
}

func (c cursor) String() string {
	return record.Offset(strconv.FormatInt(c.Segment, 10)+":"+strconv.FormatInt(c.Offset, 10), c.event)
}

func (c cursor) position(partition int) eventstore.Position {
	return eventstore.Position{Partition: partition, Offset: c.String()}
}
