package pulsar

import (
	"bytes"
	"fmt"

	"github.com/apache/pulsar-client-go/pulsar"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/arbiter"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/record"
)

// message is an append as Pulsar takes it: fields are properties, and the payload is the payload.
func message(key string, fields record.Fields) *pulsar.ProducerMessage {
	m := &pulsar.ProducerMessage{Key: key, Payload: []byte{}, Properties: make(map[string]string, len(fields))}
	for _, f := range fields {
		if f.Name == record.Data {
			m.Payload = []byte(f.Value)
			continue
		}
		m.Properties[f.Name] = f.Value
	}
	return m
}

// fieldsOf is the inverse of message.
func fieldsOf(m pulsar.Message) record.Fields {
	all := m.Properties()
	fields := make(record.Fields, 0, len(all)+1)
	for name, value := range all {
		fields = append(fields, record.Field{Name: name, Value: value})
	}
	return append(fields, record.Field{Name: record.Data, Value: string(m.Payload())})
}

// envelopeOf returns that of a record, without its payload.
func envelopeOf(properties map[string]string) (v record.Envelope) {
	for name, value := range properties {
		v.Set(name, value)
	}
	return v
}

// decode returns the events of a record, with their positions.
func decode(partition int, m pulsar.Message) ([]eventstore.Event, error) {
	v := envelopeOf(m.Properties())
	v.Data = bytes.Clone(m.Payload())
	events, err := v.Events()
	if err != nil {
		return nil, fmt.Errorf("record at %s of partition %d: %w", cursor{place: placeOf(m.ID())}, partition, err)
	}
	for i := range events {
		events[i].Recorded = m.PublishTime().UTC()
		events[i].Position = cursor{placeOf(m.ID()), i}.position(partition)
	}
	return events, nil
}

// entryOf is what decides whether a message counts. Messages that a client has batched share their place: they are nothing
// that counts, as no record is one of several.
func entryOf(m pulsar.Message) arbiter.Entry {
	if m.ID().BatchSize() > 1 {
		return arbiter.Entry{Position: placeOf(m.ID())}
	}
	v := envelopeOf(m.Properties())
	return arbiter.NewEntry(placeOf(m.ID()), &v)
}
