package protobuf_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/memory"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/protobuf"
)

func TestCodec(t *testing.T) {
	types := eventstore.NewTypes(
		eventstore.TypeOf[*durationpb.Duration]("Waited", eventstore.WithCodec(protobuf.Codec{})),
	)
	want := &durationpb.Duration{Seconds: 5, Nanos: 7}
	events, err := types.Encode(want)
	if err != nil {
		t.Fatal(err)
	}
	e := eventstore.Event{ID: "e1", Type: "Waited", Data: events[0].Data.([]byte), ContentType: events[0].ContentType}
	got, err := types.Decode(e)
	if m, ok := got.(proto.Message); err != nil || !ok || !proto.Equal(m, want) {
		t.Errorf("Decode: %v, %v; want %v", got, err, want)
	}
	e.Data = e.Data[:1]
	if _, err := types.Decode(e); err == nil || !strings.Contains(err.Error(), `cannot decode event e1 of type "Waited": its payload is no *durationpb.Duration as application/protobuf`) {
		t.Errorf("Decode of half an event: %v", err)
	}
	if got, err := (protobuf.Codec{}).Marshal(7); err == nil || !strings.Contains(err.Error(), "int is no Protobuf message") {
		t.Errorf("Marshal(7): %x, %v", got, err)
	}
}

// An old program must not lose what a newer one wrote.
func TestUnknownFieldsStay(t *testing.T) {
	data, err := protobuf.Codec{}.Marshal(&durationpb.Duration{Seconds: 5, Nanos: 7})
	if err != nil {
		t.Fatal(err)
	}
	var old wrapperspb.Int64Value // Field 1 alone.
	if err := (protobuf.Codec{}).Unmarshal(data, &old); err != nil {
		t.Fatal(err)
	}
	again, err := protobuf.Codec{}.Marshal(&old)
	if err != nil || string(again) != string(data) {
		t.Errorf("%x came back as %x, %v", data, again, err)
	}
}

func Example() {
	events := eventstore.NewTypes(
		eventstore.TypeOf[*wrapperspb.Int64Value]("Deposited", eventstore.WithCodec(protobuf.Codec{})), // Your generated type.
	)

	ctx := context.Background()
	store := memory.New()
	account := eventstore.StreamID{Type: "account", ID: "ada"}
	deposited, _ := events.Encode(wrapperspb.Int64(50))
	_, _ = store.Append(ctx, account, 0, deposited...)
	for e := range store.Read(ctx, account, 0) {
		v, err := events.Decode(e)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(e.Type, e.ContentType, v.(*wrapperspb.Int64Value).GetValue())
	}
	// Output: Deposited application/protobuf 50
}
