package eventstore_test

import (
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

// Three generations of one event: the total became an amount, which got a currency.
type (
	placed1 struct{ Total int }
	placed2 struct{ Amount int }
	placed3 struct {
		Amount   int
		Currency string
	}
	paid struct{ Amount int }
)

func rename(old placed1) (placed2, error) {
	if old.Total < 0 {
		return placed2{}, errors.New("total is negative")
	}
	return placed2{Amount: old.Total}, nil
}

func addCurrency(old placed2) (placed3, error) {
	return placed3{Amount: old.Amount, Currency: "EUR"}, nil
}

// shout is a codec that refuses what is not in capitals.
type shout struct{ eventstore.Codec }

func (shout) ContentType() string { return "text/shouting" }

func (s shout) Unmarshal(data []byte, v any) error {
	if strings.ToUpper(string(data)) != string(data) {
		return errors.New("speak up")
	}
	return s.Codec.Unmarshal(data, v)
}

var orderEvents = eventstore.NewTypes(
	eventstore.TypeOf[placed3]("OrderPlaced", eventstore.Upcast(rename), eventstore.Upcast(addCurrency)),
	eventstore.TypeOf[*paid]("OrderPaid", eventstore.WithCodec(shout{eventstore.JSON}, eventstore.JSON)),
)

func TestTypesDecode(t *testing.T) {
	cases := map[string]struct {
		reason      string
		typ         string
		version     string
		data        string
		contentType string
		want        any
		wantErr     string
	}{
		"First":       {reason: "What was written before versions were thought of is version 1.", data: `{"Total":5}`, want: placed3{5, "EUR"}},
		"Second":      {reason: "The chain is entered where the event is.", version: "2", data: `{"Amount":5}`, want: placed3{5, "EUR"}},
		"Current":     {reason: "The current version needs no upcast.", version: "3", data: `{"Amount":5,"Currency":"CHF"}`, want: placed3{5, "CHF"}},
		"Later":       {reason: "What a newer program wrote is not guessed at.", version: "4", data: `{}`, wantErr: "it has version 4, and this program knows up to 3: a newer program wrote it, so update this one"},
		"NoVersion":   {reason: "A version is a number.", version: "two", data: `{}`, wantErr: `its metadata schemaversion is "two", which is no version`},
		"Zero":        {reason: "Versions begin with 1.", version: "0", data: `{}`, wantErr: "which is no version"},
		"Upcast":      {reason: "It says which step failed.", data: `{"Total":-5}`, wantErr: "the upcast from version 1 failed: total is negative"},
		"Codec":       {reason: "It says what could not be read, and as what.", data: `{"Total":"5"}`, wantErr: `cannot decode event e1 of type "OrderPlaced": its payload is no eventstore_test.placed1 as application/json: json: cannot unmarshal string`},
		"Pointer":     {reason: "A registered pointer is what comes out.", typ: "OrderPaid", contentType: "text/shouting", data: `{"AMOUNT":5}`, want: &paid{5}},
		"OtherCodec":  {reason: "The event says how it was encoded.", typ: "OrderPaid", contentType: "application/json; charset=utf-8", data: `{"Amount":5}`, want: &paid{5}},
		"CodecFails":  {reason: "The codec's own words are kept.", typ: "OrderPaid", contentType: "text/shouting", data: `{"amount":5}`, wantErr: "speak up"},
		"NoCodec":     {reason: "A content type without a codec is named.", typ: "OrderPlaced", contentType: "application/avro", wantErr: `its content type is "application/avro", and there are codecs for application/json only: name another with eventstore.WithCodec`},
		"BadMedia":    {reason: "A content type that is none is named too.", typ: "OrderPlaced", contentType: "a;b;", wantErr: `its content type is "a;b;"`},
		"NoPayload":   {reason: "Where nothing was said, nothing is set.", typ: "OrderPaid", want: &paid{}},
		"UnknownType": {reason: "It says what to add.", typ: "OrderLost", wantErr: `cannot decode event e1 of type "OrderLost": add eventstore.TypeOf for it to the types: unknown event type`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			e := eventstore.Event{ID: "e1", Type: "OrderPlaced", Data: []byte(tc.data), ContentType: "application/json"}
			if tc.typ != "" {
				e.Type = tc.typ
			}
			if tc.contentType != "" {
				e.ContentType = tc.contentType
			}
			if tc.version != "" {
				e.Metadata = map[string]string{eventstore.SchemaVersion: tc.version}
			}
			got, err := orderEvents.Decode(e)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s\n-want, +got:\n%s", tc.reason, diff)
			}
			if (err == nil) != (tc.wantErr == "") || err != nil && !strings.Contains(err.Error(), tc.wantErr) {
				t.Errorf("%s\nDecode: %v, want an error that says %q", tc.reason, err, tc.wantErr)
			}
			if errors.Is(err, eventstore.ErrUnknownType) != (tc.typ == "OrderLost") {
				t.Errorf("%s\nDecode: %v; only an unknown type is ErrUnknownType", tc.reason, err)
			}
		})
	}
}

func TestTypesEncode(t *testing.T) {
	got, err := orderEvents.Encode(placed3{5, "CHF"}, &paid{5})
	want := []eventstore.EventData{
		{Type: "OrderPlaced", Data: []byte(`{"Amount":5,"Currency":"CHF"}`), ContentType: "application/json", Metadata: map[string]string{"schemaversion": "3"}},
		{Type: "OrderPaid", Data: []byte(`{"Amount":5}`), ContentType: "text/shouting"},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v; -want, +got:\n%s", err, diff)
	}
	for name, tc := range map[string]struct {
		value any
		want  string
	}{
		"Unknown": {value: paid{}, want: "cannot encode eventstore_test.paid: add eventstore.TypeOf[eventstore_test.paid] to the types: unknown event type"},
		"Nil":     {value: nil, want: "unknown event type"},
	} {
		if _, err := orderEvents.Encode(tc.value); !errors.Is(err, eventstore.ErrUnknownType) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: Encode: %v, want %q", name, err, tc.want)
		}
	}
	type unspeakable struct{ F func() }
	types := eventstore.NewTypes(eventstore.TypeOf[unspeakable]("Unspeakable"))
	if _, err := types.Encode(unspeakable{}); err == nil || !strings.Contains(err.Error(), `cannot encode an event of type "Unspeakable" as application/json: json: unsupported type`) {
		t.Errorf("Encode of what the codec refuses: %v", err)
	}
}

func TestNewTypesRefuses(t *testing.T) {
	cases := map[string]struct {
		types []eventstore.EventType
		want  string
	}{
		"NoName":    {types: []eventstore.EventType{eventstore.TypeOf[paid]("")}, want: "it has no name"},
		"SameName":  {types: []eventstore.EventType{eventstore.TypeOf[paid]("A"), eventstore.TypeOf[placed1]("A")}, want: `type "A": it is registered twice`},
		"SameType":  {types: []eventstore.EventType{eventstore.TypeOf[paid]("A"), eventstore.TypeOf[paid]("B")}, want: `type "B": eventstore_test.paid is already the type of "A"`},
		"Gap":       {types: []eventstore.EventType{eventstore.TypeOf[placed3]("A", eventstore.Upcast(rename))}, want: "the upcast from version 1 leads to eventstore_test.placed2, but version 2 is eventstore_test.placed3"},
		"Backwards": {types: []eventstore.EventType{eventstore.TypeOf[placed3]("A", eventstore.Upcast(addCurrency), eventstore.Upcast(rename))}, want: "the upcast from version 1 leads to"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if got, _ := recover().(string); !strings.Contains(got, tc.want) {
					t.Errorf("NewTypes panicked with %q, want %q", got, tc.want)
				}
			}()
			eventstore.NewTypes(tc.types...)
		})
	}
}

// What an application does not import is not in its program.
func TestFewDependencies(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for dep := range strings.FieldsSeq(string(out)) {
		domain, _, _ := strings.Cut(dep, "/")
		if strings.Contains(domain, ".") && !strings.HasPrefix(dep, "github.com/crossplane-contrib/provider-eventstore/") {
			t.Errorf("package eventstore depends on %s, want only the standard library", dep)
		}
	}
}
