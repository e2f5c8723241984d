package record

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

// A dead letter is read as it was written, and its reason fits.
func TestDeadLetter(t *testing.T) {
	e := eventstore.Event{
		Stream: stream, Version: 3, ID: "a", Type: "OrderPlaced", Time: at, ContentType: "application/json",
		Data: []byte(`{}`), Position: eventstore.Position{Partition: 2, Offset: "17.1"},
	}
	fields, err := DeadLetter("shop.orders", e, 5, errors.New("no stock"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeDeadLetter(fields, at)
	want := eventstore.DeadLetter{Event: e, Reason: "no stock", Attempts: 5, Time: at}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); err != nil || diff != "" {
		t.Errorf("%v, -want, +got:\n%s", err, diff)
	}
	fields, err = DeadLetter("shop.orders", e, 5, errors.New(strings.Repeat("ä", reasonBytes)))
	if err != nil {
		t.Fatal(err)
	}
	if reason := fields.Get(DeadReason); len(reason) > reasonBytes+len("…") || !utf8.ValidString(reason) {
		t.Errorf("a reason of %d bytes, valid UTF-8 %t; want at most %d, true", len(reason), utf8.ValidString(reason), reasonBytes)
	}
}

func TestSnapshot(t *testing.T) {
	want := eventstore.Snapshot{
		Stream: stream, Version: 3, Schema: "v1", Data: []byte(`{"total":7}`), Time: at,
	}
	got, err := DecodeSnapshot(want.Stream, EncodeSnapshot(want))
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v, -want, +got:\n%s", err, diff)
	}
	if s, err := DecodeSnapshot(want.Stream, Fields{{SnapshotVersion, "three"}}); err == nil {
		t.Errorf("a version that is none gave %v, want an error", s)
	}
}

func TestAfter(t *testing.T) {
	parse := func(offset string) (string, error) {
		if offset == "" {
			return "", errors.New("it is empty")
		}
		return offset, nil
	}
	cases := map[string]struct {
		reason string
		after  []eventstore.Position
		want   map[int]string
		err    bool
	}{
		"Some":    {reason: "Other partitions begin at the start.", after: []eventstore.Position{{Partition: 1, Offset: "7"}}, want: map[int]string{1: "7"}},
		"Foreign": {reason: "There is no such partition.", after: []eventstore.Position{{Partition: 2, Offset: "7"}}, err: true},
		"Broken":  {reason: "What cannot be read is not the start.", after: []eventstore.Position{{Partition: 1}}, err: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := After(eventstore.Start{After: tc.after}, 2, parse)
			if diff := cmp.Diff(tc.want, got); diff != "" || (err != nil) != tc.err {
				t.Errorf("%s\n%v, -want, +got:\n%s", tc.reason, err, diff)
			}
		})
	}
}
