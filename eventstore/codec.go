package eventstore

import (
	"encoding/json"
	"reflect"
)

// A Codec turns values into payloads, and payloads into values. It may be used concurrently. Packages protobuf and avro have
// others than [JSON].
type Codec interface {
	// ContentType is the media type of the payloads. It is stored with each event, so it must stay the same.
	ContentType() string

	// Marshal returns the payload of v.
	Marshal(v any) ([]byte, error)

	// Unmarshal reads a payload into v, a pointer that is not nil.
	Unmarshal(data []byte, v any) error
}

// JSON is the default codec: package encoding/json. No payload at all is read as if nothing were set.
var JSON Codec = jsonCodec{}

type jsonCodec struct{}

func (jsonCodec) ContentType() string           { return "application/json" }
func (jsonCodec) Marshal(v any) ([]byte, error) { return json.Marshal(v) }

func (jsonCodec) Unmarshal(data []byte, v any) error {
	if len(data) == 0 {
		return nil
	}
	return json.Unmarshal(data, v)
}

// unmarshal returns a new value of a type. Of a pointer type it is a new pointer, which codecs get as it is: what implements
// their interfaces, such as a Protobuf message, is the pointer.
func unmarshal(c Codec, data []byte, typ reflect.Type) (any, error) {
	value := reflect.New(typ)
	into := value
	if typ.Kind() == reflect.Pointer {
		into = reflect.New(typ.Elem())
		value.Elem().Set(into)
	}
	if err := c.Unmarshal(data, into.Interface()); err != nil {
		return nil, err
	}
	return value.Elem().Interface(), nil
}
