package kafka

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/arbiter"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/record"
)

// record is an append as Kafka takes it: fields are headers, and the payload is the value. With a payload, even an empty
// one, the value is not nil, which would delete the key.
func (s *store) record(partition int32, stream string, fields record.Fields) *kgo.Record {
	r := message(stream, fields)
	r.Topic, r.Partition = s.events.name, partition
	return r
}

func message(key string, fields record.Fields) *kgo.Record {
	size := len(key)
	for _, f := range fields {
		size += len(f.Value)
	}
	buffer := make([]byte, 0, size) // One for all values.
	add := func(s string) []byte {
		n := len(buffer)
		buffer = append(buffer, s...)
		return buffer[n:len(buffer):len(buffer)]
	}
	r := &kgo.Record{Key: add(key), Headers: make([]kgo.RecordHeader, 0, len(fields))}
	for _, f := range fields {
		if f.Name == record.Data {
			r.Value = add(f.Value)
			continue
		}
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: f.Name, Value: add(f.Value)})
	}
	return r
}

// fieldsOf is the inverse of message, but for the fields that [appendHeaders] leaves out.
func fieldsOf(r *kgo.Record) record.Fields {
	return append(appendHeaders(nil, r), record.Field{Name: record.Data, Value: string(r.Value)})
}

// appendHeaders appends the fields that are headers, without those that say nothing about an event. All values share one
// piece of memory: there are many, and short.
func appendHeaders(fields record.Fields, r *kgo.Record) record.Fields {
	size := 0
	for i := range r.Headers {
		size += len(r.Headers[i].Value)
	}
	var all strings.Builder
	all.Grow(size)
	fields = slices.Grow(fields, len(r.Headers)+1)
	for i := range r.Headers {
		h := &r.Headers[i]
		if h.Key == arbiter.Attempt || h.Key == record.Source {
			continue
		}
		from := all.Len()
		all.Write(h.Value)
		fields = append(fields, record.Field{Name: h.Key, Value: all.String()[from:]})
	}
	return fields
}

// decode returns the events of a record, with their positions.
func decode(r *kgo.Record) ([]eventstore.Event, error) {
	return appendEvents(nil, r, appendHeaders(nil, r))
}

// appendEvents is decode, but appends the events to others. The record's headers were read already.
func appendEvents(events []eventstore.Event, r *kgo.Record, headers record.Fields) ([]eventstore.Event, error) {
	n := len(events)
	events, err := record.Append(events, headers, bytes.Clone(r.Value)) // What was received is one piece, and had stayed whole.
	if err != nil {
		return events, fmt.Errorf("record at offset %d of partition %d: %w", r.Offset, r.Partition, err)
	}
	for i := range events[n:] {
		events[n+i].Recorded = r.Timestamp.UTC()
		events[n+i].Position = cursor{offset: r.Offset, event: i}.position(r.Partition)
	}
	return events, nil
}
