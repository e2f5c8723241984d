package eventstore

import (
	"cmp"
	"errors"
	"fmt"
	"mime"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// ErrUnknownType says that an event has a type that is not registered. A consumer that means to skip such events can.
var ErrUnknownType = errors.New("unknown event type")

// SchemaVersion is the metadata name, and so the CloudEvents extension attribute, that says which version of its type an
// event has. Absent: 1.
const SchemaVersion = "schemaversion"

// Types knows the Go types of events, so that a program sees values instead of payloads, and every event as if it had been
// written today. It is constant, and may be used concurrently:
//
//	var events = eventstore.NewTypes(
//		eventstore.TypeOf[OrderPlaced]("OrderPlaced", eventstore.Upcast(addCurrency)),
//		eventstore.TypeOf[OrderPaid]("OrderPaid"),
//	)
type Types struct {
	byName map[string]*EventType
	byType map[reflect.Type]*EventType
}

// An EventType is the Go type of the events of one type, made by [TypeOf].
type EventType struct {
	name     string
	versions []version // From the first one on. The last is the current one.
}

// version is how payloads of one version are read, and brought to the next.
type version struct {
	typ    reflect.Type
	codecs []Codec
	upcast func(any) (any, error) // nil in the current version
	to     reflect.Type
}

// A TypeOption says more about an event's type.
type TypeOption func(*EventType)

// TypeOf says that T is the payload of events with that type. T is a struct, or a pointer to a Protobuf message.
func TypeOf[T any](name string, opts ...TypeOption) EventType {
	t := EventType{name: name, versions: []version{{typ: reflect.TypeFor[T](), codecs: []Codec{JSON}}}}
	for _, o := range opts {
		o(&t)
	}
	return t
}

// WithCodec says how payloads of the type are encoded. Events that were written with one of the others are read with that.
// Default: [JSON].
func WithCodec(c Codec, others ...Codec) TypeOption {
	return func(t *EventType) { t.current().codecs = append([]Codec{c}, others...) }
}

// Upcast says how an event of an old version becomes one of the next. The first Upcast of a type leads from version 1 to
// version 2, the next to version 3, and the last one to the type itself. Old versions are read with codecs; if there are
// none, with those of the type.
func Upcast[Old, New any](f func(Old) (New, error), codecs ...Codec) TypeOption {
	old := version{
		typ: reflect.TypeFor[Old](), to: reflect.TypeFor[New](), codecs: codecs,
		upcast: func(v any) (any, error) { return f(v.(Old)) }, //nolint:forcetypeassert // NewTypes has checked the chain.
	}
	return func(t *EventType) { t.versions = slices.Insert(t.versions, len(t.versions)-1, old) }
}

func (t *EventType) current() *version { return &t.versions[len(t.versions)-1] }

// NewTypes returns the registry of some types. It panics if two of them are the same, or if upcasts do not lead from one
// version to the next.
func NewTypes(types ...EventType) *Types {
	r := &Types{byName: map[string]*EventType{}, byType: map[reflect.Type]*EventType{}}
	for _, t := range types {
		if err := r.add(t); err != nil {
			panic(fmt.Sprintf("eventstore: cannot register type %q: %v", t.name, err))
		}
	}
	return r
}

func (r *Types) add(t EventType) error {
	typ := t.current().typ
	switch {
	case t.name == "":
		return errors.New("it has no name")
	case r.byName[t.name] != nil:
		return errors.New("it is registered twice")
	case r.byType[typ] != nil:
		return fmt.Errorf("%s is already the type of %q", typ, r.byType[typ].name)
	}
	for i, v := range t.versions[:len(t.versions)-1] {
		if next := t.versions[i+1].typ; v.to != next {
			return fmt.Errorf("the upcast from version %d leads to %s, but version %d is %s", i+1, v.to, i+2, next)
		}
		if len(v.codecs) == 0 {
			t.versions[i].codecs = t.current().codecs
		}
	}
	r.byName[t.name], r.byType[typ] = &t, &t
	return nil
}

// Encode returns events of the values' types, to be appended. Set further fields as you like; Metadata is nil, or has the
// version.
func (r *Types) Encode(values ...any) ([]EventData, error) {
	events := make([]EventData, len(values))
	for i, v := range values {
		t := r.byType[reflect.TypeOf(v)]
		if t == nil {
			return nil, fmt.Errorf("cannot encode %T: add eventstore.TypeOf[%[1]T] to the types: %w", v, ErrUnknownType)
		}
		codec := t.current().codecs[0]
		data, err := codec.Marshal(v)
		if err != nil {
			return nil, fmt.Errorf("cannot encode an event of type %q as %s: %w", t.name, codec.ContentType(), err)
		}
		events[i] = EventData{Type: t.name, Data: data, ContentType: codec.ContentType()}
		if n := len(t.versions); n > 1 {
			events[i].Metadata = map[string]string{SchemaVersion: strconv.Itoa(n)}
		}
	}
	return events, nil
}

// Decode returns the payload of an event as a value of its type, brought to the current version. The error matches
// [ErrUnknownType] if the type is not registered.
func (r *Types) Decode(e Event) (any, error) {
	t := r.byName[e.Type]
	if t == nil {
		return nil, fmt.Errorf("cannot decode event %s of type %q: add eventstore.TypeOf for it to the types: %w", e.ID, e.Type, ErrUnknownType)
	}
	value, err := t.decode(e)
	if err != nil {
		return nil, fmt.Errorf("cannot decode event %s of type %q: %w", e.ID, e.Type, err)
	}
	return value, nil
}

func (t *EventType) decode(e Event) (any, error) {
	n, err := strconv.Atoi(cmp.Or(e.Metadata[SchemaVersion], "1"))
	switch {
	case err != nil || n < 1:
		return nil, fmt.Errorf("its metadata %s is %.20q, which is no version", SchemaVersion, e.Metadata[SchemaVersion])
	case n > len(t.versions):
		return nil, fmt.Errorf("it has version %d, and this program knows up to %d: a newer program wrote it, so update this one", n, len(t.versions))
	}
	value, err := t.versions[n-1].decode(e)
	if err != nil {
		return nil, err
	}
	for ; n < len(t.versions); n++ {
		if value, err = t.versions[n-1].upcast(value); err != nil {
			return nil, fmt.Errorf("the upcast from version %d failed: %w", n, err)
		}
	}
	return value, nil
}

func (v version) decode(e Event) (any, error) {
	codec, err := v.codec(e.ContentType)
	if err != nil {
		return nil, err
	}
	value, err := unmarshal(codec, e.Data, v.typ)
	if err != nil {
		return nil, fmt.Errorf("its payload is no %s as %s: %w", v.typ, codec.ContentType(), err)
	}
	return value, nil
}

// codec is the one of a media type, whose parameters do not matter.
func (v version) codec(contentType string) (Codec, error) {
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		media = contentType
	}
	known := make([]string, len(v.codecs))
	for i, c := range v.codecs {
		if known[i] = c.ContentType(); known[i] == media {
			return c, nil
		}
	}
	return nil, fmt.Errorf("its content type is %q, and there are codecs for %s only: name another with eventstore.WithCodec", contentType, strings.Join(known, ", "))
}
