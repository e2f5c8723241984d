package kafka

import (
	"bytes"
	"fmt"
	"strconv"
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

// fieldsOf is the inverse of message.
func fieldsOf(r *kgo.Record) record.Fields {
	fields := make(record.Fields, 0, len(r.Headers)+1)
	for _, h := range r.Headers {
		fields = append(fields, record.Field{Name: h.Key, Value: string(h.Value)})
	}
	return append(fields, record.Field{Name: record.Data, Value: string(r.Value)})
}

// decoder makes events of records. It is for one goroutine. What it makes has nothing of what was received, which is one large
// piece of memory and had stayed whole: it copies, and lets copies of a few records share a piece.
type decoder struct {
	record.Decoder

	packed bool // Records are of a client with [packing].
	texts  strings.Builder
	values []byte
}

// pieceBytes is how large such a piece is. Whoever keeps an event keeps its pieces.
const pieceBytes = 4 << 10

// envelope returns that of a record, with the payload that was received, which is not a copy. A control record has none.
func (d *decoder) envelope(r *kgo.Record) (v record.Envelope) {
	switch {
	case r.Attrs.IsControl():
		return v
	case d.packed && isPacked(r):
		return d.unpack(r.Value)
	}
	for i := range r.Headers {
		if h := &r.Headers[i]; h.Key != record.Source { // It is the same in all.
			v.Set(h.Key, d.text(h.Value))
		}
	}
	v.Data = r.Value // Whatever a header says.
	return v
}

func (d *decoder) entry(r *kgo.Record) arbiter.Entry {
	v := d.envelope(r)
	return arbiter.NewEntry(at(r.Offset), &v)
}

// decode returns the events of a record, with their positions.
func (d *decoder) decode(r *kgo.Record) ([]eventstore.Event, error) {
	v := d.envelope(r)
	return d.events(r, &v)
}

// events is decode for who has the envelope already, whose payload becomes a copy.
func (d *decoder) events(r *kgo.Record, v *record.Envelope) ([]eventstore.Event, error) {
	v.Data = d.value(v.Data)
	events, err := d.Events(v)
	if err != nil {
		return nil, fmt.Errorf("record at offset %d of partition %d: %w", r.Offset, r.Partition, err)
	}
	var digits [20]byte
	place := d.text(strconv.AppendInt(digits[:0], r.Offset, 10))
	for i := range events {
		events[i].Recorded = r.Timestamp.UTC()
		events[i].Position = eventstore.Position{Partition: int(r.Partition), Offset: record.Offset(place, i)}
	}
	return events, nil
}

func (d *decoder) text(b []byte) string {
	if d.texts.Cap()-d.texts.Len() < len(b) {
		d.texts = strings.Builder{}
		d.texts.Grow(max(pieceBytes, len(b)))
	}
	from := d.texts.Len()
	d.texts.Write(b)
	return d.texts.String()[from:]
}

func (d *decoder) value(b []byte) []byte {
	if cap(d.values)-len(d.values) < len(b) {
		if len(b) > pieceBytes/4 {
			return bytes.Clone(b)
		}
		d.values = make([]byte, 0, pieceBytes)
	}
	from := len(d.values)
	d.values = append(d.values, b...)
	return d.values[from:len(d.values):len(d.values)]
}
