package kafka

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/record"
)

// record is an append as Kafka takes it: fields are headers, and the payload is the value. With a payload, even an empty
// one, the value is not nil, which would delete the key.
func (s *store) record(partition int32, stream string, fields []record.Field) *kgo.Record {
	r := message(stream, fields)
	r.Topic, r.Partition = s.events.name, partition
	return r
}

func message(key string, fields []record.Field) *kgo.Record {
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

// fieldsOf is the inverse of message. Of two headers with one name the last counts.
func fieldsOf(r *kgo.Record) map[string]string {
	fields := make(map[string]string, len(r.Headers)+1)
	for _, h := range r.Headers {
		fields[h.Key] = string(h.Value)
	}
	fields[record.Data] = string(r.Value)
	return fields
}

// decode returns the events of a record, with their positions.
func decode(r *kgo.Record) ([]eventstore.Event, error) {
	events, err := record.Decode(fieldsOf(r))
	if err != nil {
		return nil, fmt.Errorf("record at offset %d of partition %d: %w", r.Offset, r.Partition, err)
	}
	for i := range events {
		events[i].Recorded = r.Timestamp.UTC()
		events[i].Position = cursor{offset: r.Offset, event: i}.position(r.Partition)
	}
	return events, nil
}
