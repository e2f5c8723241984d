// Package cloudevents checks with the official SDK of CloudEvents that events lie on the broker as CloudEvents, and that
// those of others are read.
package cloudevents_test

import (
	"strings"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/redis/go-redis/v9"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	_ "github.com/crossplane-contrib/provider-eventstore/eventstore/redis"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/redistest"
)

var (
	order42 = eventstore.StreamID{Type: "order", ID: "42/ä"}
	at      = time.Date(2026, 1, 2, 3, 4, 5, 678, time.UTC)
	placed  = eventstore.EventData{
		ID: "a ä", Type: "OrderPlaced", Data: map[string]string{"item": "tea <&> ☕"}, Time: at, CorrelationID: "c", CausationID: "d",
		Metadata: map[string]string{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "schemaversion": "2"},
	}
	picture = eventstore.EventData{ID: "b", Type: "com.example.Pictured", Data: []byte{0, 0xff, '\n'}, ContentType: "image/png", Time: at}
	paid    = eventstore.EventData{ID: "c", Type: "OrderPaid", Time: at}
	note    = eventstore.EventData{ID: "d", Type: "Noted", Data: []byte("{ \"spaced\" : 1 }"), Time: at}
)

// store is an open store, with a way behind its back.
type store struct {
	eventstore.Store
	name   string
	server *redistest.Server
}

func open(t *testing.T, kind layout.Kind) store {
	t.Helper()
	server := redistest.Start(t)
	secret := server.Store(t, kind, nil)
	s, err := eventstore.OpenSecret(t.Context(), secret)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return store{Store: s, name: secret.Get(layout.SecretStore), server: server}
}

// records returns what lies in the partition of a stream.
func (s store) records(t *testing.T, id eventstore.StreamID) []fields {
	t.Helper()
	key := layout.RedisEvents(s.name, layout.Partition(id.String(), redistest.Partitions))
	entries, err := s.server.Admin.XRange(t.Context(), key, "-", "+").Result()
	if err != nil {
		t.Fatal(err)
	}
	out := make([]fields, len(entries))
	for i, e := range entries {
		out[i] = fields{}
		for name, value := range e.Values {
			out[i][name], _ = value.(string)
		}
	}
	return out
}

// read turns a record into events as the official SDK sees them.
func read(t *testing.T, f fields) []event.Event {
	t.Helper()
	if f.ReadEncoding() == binding.EncodingBatch {
		events, err := binding.ToEvents(t.Context(), f, strings.NewReader(f["data"]))
		if err != nil {
			t.Fatalf("the official SDK cannot read %v: %v", f, err)
		}
		return events
	}
	e, err := binding.ToEvent(t.Context(), f)
	if err != nil {
		t.Fatalf("the official SDK cannot read %v: %v", f, err)
	}
	return []event.Event{*e}
}

// ours is what the SDK should have stored of d.
func ours(t *testing.T, s store, d eventstore.EventData) event.Event {
	t.Helper()
	prepared, err := eventstore.Prepare(d)
	if err != nil {
		t.Fatal(err)
	}
	d = prepared[0]
	e := event.New("1.0")
	e.SetID(d.ID)
	e.SetType(d.Type)
	e.SetSource("/eventstores/" + s.name)
	e.SetSubject(order42.String())
	e.SetTime(d.Time)
	e.SetDataContentType(d.ContentType)
	e.DataEncoded, _ = d.Data.([]byte)
	for name, value := range d.Metadata {
		e.SetExtension(name, value)
	}
	if d.CorrelationID != "" {
		e.SetExtension("correlationid", d.CorrelationID)
		e.SetExtension("causationid", d.CausationID)
	}
	return e
}

func TestWritten(t *testing.T) {
	for name, kind := range map[string]layout.Kind{"Sourcing": layout.Sourcing, "Streaming": layout.Streaming} {
		t.Run(name, func(t *testing.T) {
			s := open(t, kind)
			var want []event.Event
			for _, events := range [][]eventstore.EventData{{placed}, {picture}, {paid}, {note}, {placed, picture, paid, note}} {
				for i := range events {
					if len(events) > 1 {
						events[i].ID += " again"
					}
					want = append(want, ours(t, s, events[i]))
				}
				if _, err := s.Append(t.Context(), order42, eventstore.Any, events...); err != nil {
					t.Fatal(err)
				}
			}
			var got []event.Event
			for _, f := range s.records(t, order42) {
				for _, e := range read(t, f) {
					if err := e.Validate(); err != nil {
						t.Errorf("event %s is no valid CloudEvent: %v", e.ID(), err)
					}
					e.SetExtension("version", nil) // Of the stream, only in sourcing stores.
					got = append(got, e)
				}
			}
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(event.Event{}, "DataBase64", "FieldErrors")); diff != "" {
				t.Errorf("as the official SDK reads it -want, +got:\n%s", diff)
			}
		})
	}
}

// What another producer of CloudEvents writes to a streaming store, we read.
func TestRead(t *testing.T) {
	s := open(t, layout.Streaming)
	theirs := event.New("1.0")
	theirs.SetID("x")
	theirs.SetType("com.example.Shipped")
	theirs.SetSource("https://example.com/warehouse")
	theirs.SetSubject(order42.String())
	theirs.SetTime(at)
	theirs.SetExtension("correlationid", "c")
	theirs.SetExtension("weight", 7)
	theirs.SetExtension("urgent", true)
	if err := theirs.SetData("application/json", map[string]int{"parcels": 2}); err != nil {
		t.Fatal(err)
	}
	f := fields{versions.PrefixedSpecVersionName(): "1.0"}
	if _, err := binding.Write(t.Context(), (*binding.EventMessage)(&theirs), nil, f); err != nil {
		t.Fatal(err)
	}
	key := layout.RedisEvents(s.name, layout.Partition(order42.String(), redistest.Partitions))
	values := map[string]any{}
	for name, value := range f {
		values[name] = value
	}
	if err := s.server.Admin.XAdd(t.Context(), &redis.XAddArgs{Stream: key, Values: values}).Err(); err != nil {
		t.Fatal(err)
	}
	want := eventstore.Event{
		Stream: order42, ID: "x", Type: "com.example.Shipped", Data: []byte(`{"parcels":2}`), ContentType: "application/json",
		Time: at, CorrelationID: "c", Metadata: map[string]string{"weight": "7", "urgent": "true"},
	}
	for e, err := range s.Replay(t.Context(), eventstore.Start{}) {
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, e, cmpopts.IgnoreFields(eventstore.Event{}, "Position", "Recorded")); diff != "" {
			t.Errorf("-want, +got:\n%s", diff)
		}
		return
	}
	t.Error("the event is not there")
}
