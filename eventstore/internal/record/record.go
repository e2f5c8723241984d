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
	"strings"
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

	// BatchContentType is the content type of a record of several events.
	BatchContentType = "application/cloudevents-batch+json"

	attributePrefix = "ce_"
	specVersion     = "1.0"
)

// SourceOf is the CloudEvents source of every event of a store.
func SourceOf(store string) string { return "/eventstores/" + store }

// A Field is one name and value of a record. Their order is that of the slice.
type Field struct{ Name, Value string }

// Encode returns the record of an append, without [Version], which the log decides. The events must have been prepared
// by [eventstore.Prepare], and there must be at least one.
func Encode(source string, stream eventstore.StreamID, events []eventstore.EventData) ([]Field, error) {
	if len(events) != 1 {
		return encodeBatch(source, stream, events)
	}
	e := events[0]
	data, _ := e.Data.([]byte)
	fields := []Field{
		{SpecVersion, specVersion},
		{ID, e.ID},
		{Source, source},
		{Type, e.Type},
		{Subject, stream.String()},
		{Time, e.Time.Format(time.RFC3339Nano)},
		{ContentType, e.ContentType},
	}
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
func Size(fields []Field) (bytes int) {
	for _, f := range fields {
		bytes += len(f.Name) + len(f.Value)
	}
	return bytes
}

// Decode returns the events of a record, without Position and Recorded. It refuses what it cannot understand whole.
func Decode(fields map[string]string) ([]eventstore.Event, error) {
	stream, err := eventstore.ParseStreamID(fields[Subject])
	if err != nil {
		return nil, fmt.Errorf("cannot decode record: %w", err)
	}
	version, err := decodeVersion(fields)
	if err != nil {
		return nil, fmt.Errorf("cannot decode record of %s: %w", stream, err)
	}
	var events []eventstore.Event
	if fields[ContentType] == BatchContentType {
		events, err = decodeBatch(fields)
	} else {
		events, err = decodeBinary(fields)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot decode record of %s: %w", stream, err)
	}
	for i := range events {
		events[i].Stream = stream
		if version > 0 {
			events[i].Version = version + eventstore.Version(i)
		}
	}
	return events, nil
}

func decodeVersion(fields map[string]string) (eventstore.Version, error) {
	v, ok := fields[Version]
	if !ok {
		return 0, nil
	}
	n, err := strconv.ParseInt(v, 10, 53) // Redis keeps versions as doubles.
	if err != nil || n < 1 {
		return 0, fmt.Errorf("version %.20q is not a positive number", v)
	}
	return eventstore.Version(n), nil
}

func decodeBinary(fields map[string]string) ([]eventstore.Event, error) {
	e := eventstore.Event{
		ID: fields[ID], Type: fields[Type], ContentType: fields[ContentType],
		CorrelationID: fields[CorrelationID], CausationID: fields[CausationID],
	}
	if data := fields[Data]; data != "" {
		e.Data = []byte(data)
	}
	if err := finish(&e, fields[SpecVersion], fields[Time]); err != nil {
		return nil, err
	}
	for name, value := range fields {
		if attribute, ok := strings.CutPrefix(name, attributePrefix); ok && !slices.Contains(known, attribute) {
			if e.Metadata == nil {
				e.Metadata = map[string]string{}
			}
			e.Metadata[attribute] = value
		}
	}
	return []eventstore.Event{e}, nil
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
func Single(source string, e eventstore.Event) ([]Field, error) {
	fields, err := Encode(source, e.Stream, []eventstore.EventData{{
		ID: e.ID, Type: e.Type, Data: e.Data, ContentType: e.ContentType, Time: e.Time,
		CorrelationID: e.CorrelationID, CausationID: e.CausationID, Metadata: e.Metadata,
	}})
	if e.Version > 0 {
		fields = append(fields, Field{Version, strconv.FormatInt(int64(e.Version), 10)})
	}
	return fields, err
}
