package arbiter

import (
	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/record"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// An Entry is of a record what decides whether it counts. A log makes one for each. Without an envelope it counts for nobody.
type Entry struct {
	Position Position

	stream  string
	id      string // of its first event
	attempt string
	base    int64 // version of the stream before it; negative: it has none
	events  int64 // how many there are; less than 1: it does not say so in a way that can be understood
	other   bool  // its content is something else than events
}

// NewEntry returns the entry of a record.
func NewEntry(at Position, v *record.Envelope) Entry {
	e := Entry{
		Position: at, stream: v.Stream, id: v.ID, attempt: v.Attempt, base: v.Version - 1, events: 1, other: v.ContentType == layout.GenesisType,
	}
	if v.ContentType == record.BatchContentType {
		e.events = v.Count
	}
	return e
}

// Valid reports whether the record is an append at all: its envelope can be understood. Whoever reads passes over all
// others, such as genesis.
func (e *Entry) Valid() bool { return e.Readable() && e.base >= 0 && e.events > 0 }

// Readable is Valid for a streaming store, whose records have no version.
func (e *Entry) Readable() bool { return !e.other && e.stream != "" && e.id != "" }

// lives reports whether a record may begin a stream in a partition: the name is one, and hashes to it. Streams that have
// begun need not be asked again.
func lives(stream string, partition, partitions int) bool {
	_, err := eventstore.ParseStreamID(stream)
	return err == nil && layout.Partition(stream, partitions) == partition
}
