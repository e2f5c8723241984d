package record

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

// An Envelope is what the fields of a record say: of its only event, or of its batch.
type Envelope struct {
	Stream      string
	ID          string // of the first event
	Type        string
	ContentType string
	Attempt     string
	Version     int64 // of the stream after the first event; 0: the record has none, -1: it is no positive number
	Count       int64 // how many events the batch has; 0 and -1 as above
	Data        []byte

	specVersion   string
	time          string
	correlationID string
	causationID   string
	metadata      map[string]string
}

// Open returns the envelope of a record.
func Open(fields Fields) (v Envelope) {
	for _, f := range fields {
		v.Set(f.Name, f.Value)
	}
	return v
}

// Set tells it a field, and keeps its value, but not the name. Of two with one name the last counts.
func (v *Envelope) Set(name, value string) {
	switch name {
	case Subject:
		v.Stream = value
	case ID:
		v.ID = value
	case Type:
		v.Type = value
	case ContentType:
		v.ContentType = value
	case Attempt:
		v.Attempt = value
	case Version:
		v.Version = positive(value, 53) // Redis keeps versions as doubles, and a version is the same everywhere.
	case Count:
		v.Count = positive(value, 31)
	case Data:
		v.Data = []byte(value)
	case SpecVersion:
		v.specVersion = value
	case Time:
		v.time = value
	case CorrelationID:
		v.correlationID = value
	case CausationID:
		v.causationID = value
	case Source: // It is the store.
	default:
		attribute, ok := strings.CutPrefix(name, attributePrefix)
		if !ok || slices.Contains(known, attribute) {
			return
		}
		if v.metadata == nil {
			v.metadata = map[string]string{}
		}
		v.metadata[strings.Clone(attribute)] = value
	}
}

// positive is a positive number in decimal, or -1.
func positive(s string, bits int) int64 {
	n, err := strconv.ParseInt(s, 10, bits)
	if err != nil || n < 1 {
		return -1
	}
	return n
}

// Events returns the events of the record, without Position and Recorded. It refuses what it cannot understand whole. One event
// keeps Data.
func (v *Envelope) Events() ([]eventstore.Event, error) { return v.appendTo(nil) }

// appendTo is Events, but appends them to others.
func (v *Envelope) appendTo(events []eventstore.Event) ([]eventstore.Event, error) {
	stream, err := eventstore.ParseStreamID(v.Stream)
	if err != nil {
		return events, fmt.Errorf("cannot decode record: %w", err)
	}
	n := len(events)
	switch {
	case v.Version < 0:
		err = errors.New("its version is not a positive number")
	case v.ContentType == BatchContentType:
		events, err = v.appendBatch(events)
	default:
		events, err = v.appendOne(events)
	}
	if err != nil {
		return events[:n], fmt.Errorf("cannot decode record of %s: %w", stream, err)
	}
	for i := range events[n:] {
		e := &events[n+i]
		if e.Stream = stream; v.Version > 0 {
			e.Version = eventstore.Version(v.Version + int64(i))
		}
	}
	return events, nil
}

func (v *Envelope) appendOne(events []eventstore.Event) ([]eventstore.Event, error) {
	events = append(events, eventstore.Event{})
	e := &events[len(events)-1]
	e.ID, e.Type, e.ContentType = v.ID, v.Type, v.ContentType
	e.CorrelationID, e.CausationID, e.Metadata = v.correlationID, v.causationID, v.metadata
	if len(v.Data) > 0 {
		e.Data = v.Data
	}
	return events, finish(e, v.specVersion, v.time)
}

// A Decoder makes the events of many records. It is for one goroutine.
type Decoder struct{ room []eventstore.Event }

// together is for how many events there is room in one piece of memory: who keeps one keeps so many.
const together = 16

// Events is [Envelope.Events].
func (d *Decoder) Events(v *Envelope) ([]eventstore.Event, error) {
	if len(d.room) == cap(d.room) {
		d.room = make([]eventstore.Event, 0, together)
	}
	n := len(d.room)
	var err error
	d.room, err = v.appendTo(d.room)
	return d.room[n:len(d.room):len(d.room)], err
}
