package arbiter

import (
	"strconv"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/record"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// Attempt is the field that names the attempt which published a record: whoever waits for it knows it by that. It says
// nothing to anybody else.
const Attempt = "attempt"

// An Entry is of a record what decides whether it counts. A log makes one for each record, and tells it its fields.
type Entry struct {
	Position Position

	stream  []byte
	id      []byte // of its first event
	attempt []byte
	base    int64 // version of the stream before it; negative: it has none
	count   int64 // how many events there are; negative: it does not say so in a way that can be understood
	batch   bool
	other   bool // its content is something else than events
}

// NewEntry returns the entry of a record that has no fields yet.
func NewEntry(at Position) Entry { return Entry{Position: at, base: -1, count: -1} }

// Field tells a field of the record. Of two with the same name the last one counts, as it does for who reads the record.
func (e *Entry) Field(name string, value []byte) {
	switch name {
	case record.Subject:
		e.stream = value
	case record.ID:
		e.id = value
	case record.Version:
		e.base = number(value, 53) - 1 // Redis keeps versions as doubles, and a version is the same everywhere.
	case record.Count:
		e.count = number(value, 31)
	case record.ContentType:
		e.batch, e.other = string(value) == record.BatchContentType, string(value) == layout.GenesisType
	case Attempt:
		e.attempt = value
	}
}

// number is a positive number in decimal, or -1.
func number(b []byte, bits int) int64 {
	n, err := strconv.ParseInt(string(b), 10, bits)
	if err != nil || n < 1 {
		return -1
	}
	return n
}

// Valid reports whether the record is an append at all: its envelope can be understood. Whoever reads passes over all
// others, such as genesis.
func (e *Entry) Valid() bool {
	return !e.other && e.base >= 0 && len(e.stream) > 0 && len(e.id) > 0 && (!e.batch || e.count > 0)
}

// Readable is Valid for a streaming store, whose records have no version.
func (e *Entry) Readable() bool { return !e.other && len(e.stream) > 0 && len(e.id) > 0 }

// events is how many there are.
func (e *Entry) events() int64 {
	if !e.batch {
		return 1
	}
	return e.count
}

// lives reports whether a record may begin a stream in a partition: the name is one, and hashes to it. Streams that have
// begun need not be asked again.
func lives(stream string, partition, partitions int) bool {
	_, err := eventstore.ParseStreamID(stream)
	return err == nil && layout.Partition(stream, partitions) == partition
}
