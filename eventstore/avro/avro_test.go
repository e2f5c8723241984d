package avro_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/avro"
)

const (
	first = `{"type": "record", "name": "OrderPlaced", "fields": [
		{"name": "total", "type": "int"}]}`
	second = `{"type": "record", "name": "OrderPlaced", "fields": [
		{"name": "total", "type": "long"},
		{"name": "currency", "type": "string", "default": "EUR"}]}`
	incompatible = `{"type": "record", "name": "OrderPlaced", "fields": [
		{"name": "amount", "type": "string"}]}`
)

type (
	placed1 struct {
		Total int32 `avro:"total"`
	}
	placed2 struct {
		Total    int64  `avro:"total"`
		Currency string `avro:"currency"`
	}
	renamed struct {
		Amount string `avro:"amount"`
	}
)

func marshal(t *testing.T, schema string, v any) []byte {
	t.Helper()
	data, err := avro.MustNew(schema).Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestCodec(t *testing.T) {
	codec := avro.MustNew(second, first)
	whole := marshal(t, second, placed2{5, "CHF"})
	cases := map[string]struct {
		reason  string
		data    []byte
		want    placed2
		wantErr string
	}{
		"Current":  {reason: "What was written is read.", data: whole, want: placed2{5, "CHF"}},
		"Former":   {reason: "Avro's own evolution fills in the default, and widens the number.", data: marshal(t, first, placed1{5}), want: placed2{5, "EUR"}},
		"Unknown":  {reason: "Another schema is not guessed at.", data: marshal(t, incompatible, map[string]any{"amount": "5"}), wantErr: "add that schema to avro.New"},
		"NoHeader": {reason: "Plain Avro does not say which schema it has.", data: []byte{10, 0}, wantErr: "avro"},
		"Cut":      {reason: "Half an event is none.", data: whole[:len(whole)-1], wantErr: "avro"},
		"Longer":   {reason: "Neither are one and a half.", data: append(whole[:len(whole):len(whole)], 1), wantErr: "1 bytes are left"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var got placed2
			err := codec.Unmarshal(tc.data, &got)
			if (err == nil) != (tc.wantErr == "") || err != nil && !strings.Contains(err.Error(), tc.wantErr) {
				t.Fatalf("%s\nUnmarshal: %v, want %q", tc.reason, err, tc.wantErr)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" && err == nil {
				t.Errorf("%s\n-want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestNewRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		schema string
		former []string
		want   string
	}{
		"NoSchema":     {schema: "{", want: "cannot parse Avro schema"},
		"NoFormer":     {schema: first, former: []string{first, "{"}, want: "cannot parse former Avro schema 2"},
		"Incompatible": {schema: second, former: []string{first, incompatible}, want: "what former schema 2 wrote; give new fields a default, or use eventstore.Upcast"},
	} {
		if _, err := avro.New(tc.schema, tc.former...); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: New: %v, want %q", name, err, tc.want)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("MustNew does not panic")
		}
	}()
	avro.MustNew("{")
}

// Old versions may have codecs of their own: here JSON, then an Avro schema that evolution cannot bridge.
func TestUpcast(t *testing.T) {
	types := eventstore.NewTypes(eventstore.TypeOf[placed2]("OrderPlaced",
		eventstore.WithCodec(avro.MustNew(second)),
		eventstore.Upcast(func(old placed1) (renamed, error) { return renamed{strings.Repeat("x", int(old.Total))}, nil }, eventstore.JSON),
		eventstore.Upcast(func(old renamed) (placed2, error) {
			return placed2{Total: int64(len(old.Amount)), Currency: "EUR"}, nil
		}, avro.MustNew(incompatible)),
	))
	for version, e := range map[string]eventstore.Event{
		"1": {Data: []byte(`{"Total":5}`), ContentType: "application/json"},
		"2": {Data: marshal(t, incompatible, map[string]any{"amount": "xxxxx"}), ContentType: "application/avro"},
		"3": {Data: marshal(t, second, placed2{5, "EUR"}), ContentType: "application/avro"},
	} {
		e.Type, e.Metadata = "OrderPlaced", map[string]string{eventstore.SchemaVersion: version}
		if got, err := types.Decode(e); err != nil || got != (placed2{5, "EUR"}) {
			t.Errorf("Decode of version %s: %v, %v", version, got, err)
		}
	}
}

func FuzzUnmarshal(f *testing.F) {
	codec := avro.MustNew(second, first)
	for _, v := range []placed2{{}, {5, "CHF"}, {-1 << 40, strings.Repeat("x", 100)}} {
		data, err := codec.Marshal(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var v, again placed2
		if codec.Unmarshal(data, &v) != nil {
			return
		}
		out, err := codec.Marshal(v)
		if err == nil {
			err = codec.Unmarshal(out, &again)
		}
		if err != nil || v != again {
			t.Errorf("%x is %+v, and comes back as %+v, %v", data, v, again, err)
		}
	})
}
