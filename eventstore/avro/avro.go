// Package avro stores the payloads of events as Apache Avro, in its single-object encoding: each begins with the fingerprint
// of the schema that it was written with. So a program reads what was written with a former schema, by Avro's own rules of
// schema evolution:
//
//	var placed = avro.MustNew(placedSchema2, placedSchema1)
//
//	var events = eventstore.NewTypes(
//		eventstore.TypeOf[OrderPlaced]("OrderPlaced", eventstore.WithCodec(placed)),
//	)
//
// What these rules cannot express is for [eventstore.Upcast].
package avro

import (
	"fmt"
	"slices"

	"github.com/twmb/avro"
)

// A Codec is the [eventstore.Codec] of the events of one type. Go fields have the name of the schema's field, or name it as
// in `avro:"total"`.
type Codec struct {
	schema  *avro.Schema
	readers map[[8]byte]*avro.Schema // By the fingerprint of what a payload was written with.
}

// New returns a codec that writes with a schema, in JSON, and reads what was written with that or one of its former ones. The
// error says which of them cannot be parsed, or not be read as schema.
func New(schema string, former ...string) (*Codec, error) {
	current, err := avro.Parse(schema)
	if err != nil {
		return nil, fmt.Errorf("cannot parse Avro schema: %w", err)
	}
	c := &Codec{schema: current, readers: map[[8]byte]*avro.Schema{fingerprint(current): current}}
	for i, f := range former {
		writer, err := avro.Parse(f)
		if err != nil {
			return nil, fmt.Errorf("cannot parse former Avro schema %d: %w", i+1, err)
		}
		reader, err := avro.Resolve(writer, current)
		if err != nil {
			return nil, fmt.Errorf("cannot read with this Avro schema what former schema %d wrote; give new fields a default, or use eventstore.Upcast: %w", i+1, err)
		}
		if _, ok := c.readers[fingerprint(writer)]; !ok {
			c.readers[fingerprint(writer)] = reader
		}
	}
	return c, nil
}

// MustNew is [New] for variables of a package: it panics instead of returning an error.
func MustNew(schema string, former ...string) *Codec {
	c, err := New(schema, former...)
	if err != nil {
		panic("avro: " + err.Error())
	}
	return c
}

// ContentType is application/avro.
func (*Codec) ContentType() string { return "application/avro" }

// Marshal returns v in single-object encoding.
func (c *Codec) Marshal(v any) ([]byte, error) { return c.schema.AppendSingleObject(nil, v) }

// Unmarshal reads what was written with one of the codec's schemas.
func (c *Codec) Unmarshal(data []byte, v any) error {
	written, _, err := avro.SingleObjectFingerprint(data)
	if err != nil {
		return err
	}
	reader, ok := c.readers[written]
	if !ok {
		return fmt.Errorf("it was written with a schema of fingerprint %x, which the codec does not know: add that schema to avro.New", written)
	}
	rest, err := reader.DecodeSingleObject(data, v)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%d bytes are left after the value", len(rest))
	}
	return err
}

// fingerprint is the CRC-64-AVRO of a schema as single objects have it: little-endian. Source: Avro 1.12, "Single-object encoding".
func fingerprint(s *avro.Schema) [8]byte {
	sum := s.Fingerprint(avro.NewRabin())
	slices.Reverse(sum)
	return [8]byte(sum)
}
