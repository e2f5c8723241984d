// Package protobuf stores the payloads of events as Protocol Buffers. Register pointers to messages with it:
//
//	var events = eventstore.NewTypes(
//		eventstore.TypeOf[*shop.OrderPlaced]("OrderPlaced", eventstore.WithCodec(protobuf.Codec{})),
//	)
//
// Protocol Buffers evolve by themselves, as long as fields keep their numbers: what an old program does not know, it keeps.
package protobuf

import (
	"fmt"

	"google.golang.org/protobuf/proto"
)

// Codec is the [eventstore.Codec] of Protocol Buffers in their binary form.
type Codec struct{}

// ContentType is application/protobuf.
func (Codec) ContentType() string { return "application/protobuf" }

// Marshal returns the wire form of v, which must be a [proto.Message].
func (Codec) Marshal(v any) ([]byte, error) {
	m, err := message(v)
	if err != nil {
		return nil, err
	}
	return proto.MarshalOptions{Deterministic: true}.Marshal(m)
}

// Unmarshal reads the wire form into v, which must be a [proto.Message].
func (Codec) Unmarshal(data []byte, v any) error {
	m, err := message(v)
	if err != nil {
		return err
	}
	return proto.Unmarshal(data, m)
}

func message(v any) (proto.Message, error) {
	m, ok := v.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("%T is no Protobuf message: register the pointer to the generated type", v)
	}
	return m, nil
}
