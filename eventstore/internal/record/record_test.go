package record

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

var (
	stream = eventstore.StreamID{Type: "order", ID: "42"}
	at     = time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
)

// with returns the fields and one more, which counts if there is another of its name.
func (f Fields) with(name, value string) Fields { return append(slices.Clone(f), Field{name, value}) }

// data turns what was read into what was appended.
func data(events []eventstore.Event) []eventstore.EventData {
	out := make([]eventstore.EventData, len(events))
	for i, e := range events {
		out[i] = eventstore.EventData{
			ID: e.ID, Type: e.Type, Data: e.Data, ContentType: e.ContentType, Time: e.Time,
			CorrelationID: e.CorrelationID, CausationID: e.CausationID, Metadata: e.Metadata,
		}
	}
	return out
}

func TestRoundTrip(t *testing.T) {
	plain := eventstore.EventData{ID: "a", Type: "OrderPlaced", Data: []byte(`{"total":3}`), Time: at}
	spaced := eventstore.EventData{ID: "b", Type: "Spaced", Data: []byte("{ \"a\": \"<b>\" }\n"), Time: at}
	binary := eventstore.EventData{ID: "c", Type: "Blob", Data: []byte{0, 0xff}, ContentType: "image/png", Time: at}
	invalid := eventstore.EventData{ID: "d", Type: "Invalid", Data: []byte(`{`), Time: at}
	empty := eventstore.EventData{ID: "e", Type: "Empty", Time: at}
	full := eventstore.EventData{
		ID: "f", Type: "Full", Data: []byte(`1`), Time: at, CorrelationID: "x", CausationID: "y",
		Metadata: map[string]string{"tenant": "acme", "traceparent": "00-1-2-3"},
	}
	cases := map[string]struct {
		reason string
		events []eventstore.EventData
	}{
		"One":      {reason: "The usual append.", events: []eventstore.EventData{plain}},
		"Full":     {reason: "Every field comes back.", events: []eventstore.EventData{full}},
		"Binary":   {reason: "A payload is stored as it is.", events: []eventstore.EventData{binary}},
		"Empty":    {reason: "No payload is not an empty JSON value.", events: []eventstore.EventData{empty}},
		"Batch":    {reason: "Several events keep their payloads byte for byte.", events: []eventstore.EventData{plain, spaced, binary, invalid, empty, full}},
		"BatchTwo": {reason: "Two suffice for a batch.", events: []eventstore.EventData{empty, plain}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			events, err := eventstore.Prepare(tc.events...)
			if err != nil {
				t.Fatal(err)
			}
			fields, err := Encode(SourceOf("orders"), stream, events)
			if err != nil {
				t.Fatal(err)
			}
			got, err := Decode(fields.with(Version, "7"))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(events, data(got), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s\n-want, +got:\n%s", tc.reason, diff)
			}
			for i, e := range got {
				if e.Version != eventstore.Version(7+i) || e.Stream != stream {
					t.Errorf("%s\nevent %d is version %d of %s", tc.reason, i, e.Version, e.Stream)
				}
			}
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	good := Fields{{SpecVersion, "1.0"}, {ID, "a"}, {Type, "T"}, {Subject, "order/42"}, {Time, "2026-01-02T03:04:05Z"}, {Data, "1"}}
	if _, err := Decode(good); err != nil {
		t.Fatal(err)
	}
	for field, bad := range map[string]string{
		SpecVersion: "0.3", ID: "", Type: "", Subject: "order", Time: "yesterday", Version: "0", ContentType: BatchContentType,
	} {
		if got, err := Decode(good.with(field, bad)); err == nil {
			t.Errorf("Decode with %s=%q: %v, want an error", field, bad, got)
		}
	}
}

// What decodes must encode to something that decodes to the same: else a copied event would change.
func FuzzDecode(f *testing.F) {
	one, _ := Encode(SourceOf("s"), stream, []eventstore.EventData{{ID: "a", Type: "T", Data: []byte("1"), Time: at, ContentType: "application/json"}})
	b, _ := json.Marshal(one)
	f.Add(string(b), "", "")
	two, _ := Encode(SourceOf("s"), stream, []eventstore.EventData{
		{ID: "a", Type: "T", Data: []byte("1"), Time: at, ContentType: "application/json", Metadata: map[string]string{"k": "v"}},
		{ID: "b", Type: "T", Data: []byte("\xff"), Time: at, ContentType: "text/plain"},
	})
	f.Add("", two.Get(Data), two.Get(Count))
	f.Fuzz(func(t *testing.T, envelope, batch, count string) {
		var fields Fields
		if envelope != "" {
			if json.Unmarshal([]byte(envelope), &fields) != nil {
				return
			}
		} else {
			fields = Fields{
				{SpecVersion, "1.0"}, {Subject, stream.String()}, {ID, "a"}, {Count, count}, {ContentType, BatchContentType}, {Data, batch},
			}
		}
		first, err := Decode(fields)
		if err != nil {
			return
		}
		prepared, err := eventstore.Prepare(data(first)...)
		if err != nil || prepared[0].Time.Year() > 9999 || prepared[0].Time.Year() < 0 { // Written by another client, by looser rules.
			return
		}
		again, err := Encode(SourceOf("s"), first[0].Stream, prepared)
		if err != nil {
			t.Fatalf("decoded events do not encode: %v", err)
		}
		second, err := Decode(again)
		if err != nil {
			t.Fatalf("encoded events do not decode: %v", err)
		}
		ignore := cmpopts.IgnoreFields(eventstore.EventData{}, "Time")
		if diff := cmp.Diff(data(first), data(second), cmpopts.EquateEmpty(), ignore); diff != "" {
			t.Errorf("-first, +second:\n%s", diff)
		}
	})
}
