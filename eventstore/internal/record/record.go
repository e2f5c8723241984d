// Package record is the form of an append in a log: one record, as docs/layout.md specifies it. An append of one event is
// a CloudEvent in binary mode: attributes are fields, the payload is as it was. An append of several is a CloudEvents
// batch in JSON, with an envelope of fields that say what is inside without decoding it.
package record

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

// Names of fields. Those with the prefix ce_ are CloudEvents attributes, as in its protocol bindings.
const (
	ContentType   = "content-type"
	SpecVersion   = "ce_specversion"
	ID            = "ce_id" // In a batch, that of its first event.
	Source        = "ce_source"
	Type          = "ce_type"
	Subject       = "ce_subject" // The stream.
	Time          = "ce_time"
	Version       = "ce_version" // Of the stream after the record's first event. Absent in streaming stores.
	Count         = "ce_count"   // How many events a batch has. Absent otherwise.
	CorrelationID = "ce_correlationid"
	CausationID   = "ce_causationid"
	Data          = "data"

	// Attempt names, in a log, the attempt which published the record: whoever waits for it knows it by that. It says nothing to
	// anybody else.
	Attempt = "attempt"

	// BatchContentType is the content type of a record of several events.
	BatchContentType = "application/cloudevents-batch+json"

	attributePrefix = "ce_"
	specVersion     = "1.0"
)

// SourceOf is the CloudEvents source of every event of a store.
func SourceOf(store string) string { return "/eventstores/" + store }

// A Field is one name and value of a record.
type Field struct{ Name, Value string }

// Fields are those of a record, in some order. Of two with one name the last counts.
type Fields []Field

// Get returns the value of a field; empty if there is none.
func (f Fields) Get(name string) string {
	for i := len(f) - 1; i >= 0; i-- {
		if f[i].Name == name {
			return f[i].Value
		}
	}
	return ""
}

// usualFields is how many fields the record of one event has at most, beside metadata, with two that a log adds.
const usualFields = 12

// Encode returns the record of an append, without [Version], which the log decides. The events must have been prepared
// by [eventstore.Prepare], and there must be at least one.
func Encode(source string, stream eventstore.StreamID, events []eventstore.EventData) (Fields, error) {
	if len(events) != 1 {
		return encodeBatch(source, stream, events)
	}
	e := events[0]
	data, _ := e.Data.([]byte)
	fields := append(make(Fields, 0, usualFields+len(e.Metadata)),
		Field{SpecVersion, specVersion},
		Field{ID, e.ID},
		Field{Source, source},
		Field{Type, e.Type},
		Field{Subject, stream.String()},
		Field{Time, e.Time.Format(time.RFC3339Nano)},
		Field{ContentType, e.ContentType},
	)
	if e.CorrelationID != "" {
		fields = append(fields, Field{CorrelationID, e.CorrelationID})
	}
	if e.CausationID != "" {
		fields = append(fields, Field{CausationID, e.CausationID})
	}
	for _, name := range slices.Sorted(maps.Keys(e.Metadata)) {
		fields = append(fields, Field{attributePrefix + name, e.Metadata[name]})
	}
	return append(fields, Field{Data, string(data)}), nil
}

// Size is how many bytes a record has: names and values of all fields.
func Size(fields Fields) (bytes int) {
	for _, f := range fields {
		bytes += len(f.Name) + len(f.Value)
	}
	return bytes
}

// Decode returns the events of a record, as [Envelope.Events] does.
func Decode(fields Fields) ([]eventstore.Event, error) {
	v := Open(fields)
	return v.Events()
}

// known are the attributes that have a place of their own in an event, or in the record.
var known = []string{
	"specversion", "id", "source", "type", "subject", "time", "version", "count", "correlationid", "causationid",
	"datacontenttype", "dataschema",
}

// finish checks what every event must have, in either mode.
func finish(e *eventstore.Event, spec, at string) error {
	switch {
	case spec != specVersion:
		return fmt.Errorf("it is no CloudEvent of version %s but %.20q", specVersion, spec)
	case e.ID == "":
		return errors.New("an event has no id")
	case e.Type == "":
		return fmt.Errorf("event %.60q has no type", e.ID)
	}
	e.ContentType = cmp.Or(e.ContentType, "application/json")
	if at == "" {
		return nil
	}
	t, err := time.Parse(time.RFC3339Nano, at)
	if err != nil {
		return fmt.Errorf("event %.60q has no valid time: %.40q", e.ID, at)
	}
	e.Time = t.UTC()
	return nil
}

// Single returns a record of one event that was read, as if it had been appended alone.
func Single(source string, e eventstore.Event) (Fields, error) {
	fields, err := Encode(source, e.Stream, []eventstore.EventData{{
		ID: e.ID, Type: e.Type, Data: e.Data, ContentType: e.ContentType, Time: e.Time,
		CorrelationID: e.CorrelationID, CausationID: e.CausationID, Metadata: e.Metadata,
	}})
	if e.Version > 0 {
		fields = append(fields, Field{Version, strconv.FormatInt(int64(e.Version), 10)})
	}
	return fields, err
}
