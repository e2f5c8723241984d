package eventstore_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/memory"
)

// What goes wrong has a sentence that says what to do, and a name if a caller can act on it. storetest holds that the drivers
// agree on the names.
func TestErrors(t *testing.T) {
	order := eventstore.StreamID{Type: "order", ID: "42"}
	placed := eventstore.EventData{Type: "OrderPlaced"}
	appendTo := func(s eventstore.Store, expected eventstore.Version, events ...eventstore.EventData) error {
		_, err := s.Append(t.Context(), order, expected, events...)
		return err
	}
	sub, err := memory.New().Subscription("billing")
	if err != nil {
		t.Fatal(err)
	}
	closed := memory.New()
	_ = closed.Close()
	streaming := memory.New(memory.WithStreaming())
	cases := map[string]struct {
		reason string
		err    error
		is     error
		want   string
	}{
		"WrongVersion": {
			reason: "The caller learns where the stream is.", err: appendTo(memory.New(), 7, placed),
			is: eventstore.ErrConcurrency, want: "stream is at version 0, expected 7",
		},
		"NoVersion":   {reason: "A number below zero is a mistake.", err: appendTo(memory.New(), -7, placed), want: "-7 is not a version"},
		"EmptyAppend": {reason: "Nothing to append is no mistake: a command may decide that nothing happens.", err: appendTo(memory.New(), 0)},
		"EmptyAppendElsewhere": {
			reason: "The expectation holds all the same.", err: appendTo(memory.New(), 3),
			is: eventstore.ErrConcurrency, want: "stream is at version 0, expected 3",
		},
		"TooLarge": {
			reason: "It says how large, and what is allowed.", err: appendTo(memory.New(memory.WithMaxEventBytes(100)), 0, placed),
			is: eventstore.ErrTooLarge, want: "takes at most 100: too large",
		},
		"Streaming": {
			reason: "It says what to pass instead.", err: appendTo(streaming, 0, placed),
			is: eventstore.ErrUnsupported, want: "it forgets, so nobody knows a stream's version; use eventstore.Any",
		},
		"StreamingRead": {
			reason: "It says what to call instead.", err: last(streaming.Read(t.Context(), order, 0)),
			is: eventstore.ErrUnsupported, want: "it has no index of streams; use Replay or Subscribe",
		},
		"UnknownStream":   {reason: "A stream that has no events is at version 0.", err: last(memory.New().Read(t.Context(), order, 0))},
		"NoStream":        {reason: "It says what a stream's name looks like.", err: last(memory.New().Read(t.Context(), eventstore.StreamID{}, 0)), want: "it needs a type and an id, as in order/42"},
		"WrongSecret":     {reason: "It says which Secret to open.", err: appendTo(sub, 0, placed), is: eventstore.ErrUnsupported, want: "open the Secret of the EventStore"},
		"Closed":          {reason: "What is closed says so.", err: appendTo(closed, 0, placed), want: "store is closed"},
		"ForeignPosition": {reason: "A position of another store is named.", err: last(memory.New().Replay(t.Context(), eventstore.Start{After: []eventstore.Position{{Partition: 99, Offset: "1"}}})), want: `position "99@1" is not of this store: it has 6 partitions`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) { wantSentence(t, tc.reason, tc.err, tc.is, tc.want) })
	}
}

func wantSentence(t *testing.T, reason string, err, is error, want string) {
	t.Helper()
	if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
		t.Errorf("%s\n%v, want an error that says %q", reason, err, want)
	}
	if is != nil && !errors.Is(err, is) {
		t.Errorf("%s\n%v, want one that is %q", reason, err, is)
	}
}

// last returns the error that ended an iteration.
func last(events func(func(eventstore.Event, error) bool)) (err error) {
	for _, err = range events {
	}
	return err
}

func TestPrepareRefuses(t *testing.T) {
	ok := eventstore.EventData{ID: "a", Type: "OrderPlaced"}
	cases := map[string]struct {
		reason string
		events []eventstore.EventData
		want   string
	}{
		"SameID":      {reason: "An id is an idempotency key.", events: []eventstore.EventData{ok, {ID: "b", Type: "B"}, ok}, want: `cannot append event 3 of type "OrderPlaced": id "a" occurs twice`},
		"NoType":      {reason: "An event says what happened.", events: []eventstore.EventData{ok, {}}, want: `cannot append event 2 of type "": it has no type`},
		"Codec":       {reason: "What is no JSON is not stored.", events: []eventstore.EventData{{Type: "T", Data: func() {}}}, want: `cannot append event 1 of type "T": json: unsupported type: func()`},
		"Metadata":    {reason: "Names are those of CloudEvents.", events: []eventstore.EventData{{Type: "T", Metadata: map[string]string{"Tenant-ID": "x"}}}, want: `metadata name "Tenant-ID" is reserved, or not 1 to 20 lower case letters and digits`},
		"Reserved":    {reason: "Those with a meaning are taken.", events: []eventstore.EventData{{Type: "T", Metadata: map[string]string{"subject": "x"}}}, want: `metadata name "subject" is reserved`},
		"UTF8":        {reason: "Attributes are text.", events: []eventstore.EventData{{Type: "T\xff"}}, want: "an attribute is not valid UTF-8"},
		"ContentType": {reason: "An event is no envelope.", events: []eventstore.EventData{{Type: "T", ContentType: "application/cloudevents+json"}}, want: "would be read as an envelope"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := eventstore.Prepare(tc.events...)
			wantSentence(t, tc.reason, err, nil, tc.want)
			_, err = memory.New().Append(t.Context(), eventstore.StreamID{Type: "order", ID: "42"}, 0, tc.events...)
			wantSentence(t, tc.reason+" Append says the same.", err, nil, tc.want)
		})
	}
}

// A handler that panics has failed: the event is tried again, and the dead letter has the panic.
func TestHandlerPanics(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	store := memory.New()
	order := eventstore.StreamID{Type: "order", ID: "42"}
	if _, err := store.Append(ctx, order, 0, eventstore.EventData{Type: "OrderPlaced"}, eventstore.EventData{Type: "OrderPaid"}); err != nil {
		t.Fatal(err)
	}
	err := store.Subscribe(ctx, func(_ context.Context, e eventstore.Event) error {
		if e.Type == "OrderPlaced" {
			panic("no such customer")
		}
		stop()
		return nil
	}, eventstore.WithMaxDeliveries(2), eventstore.WithBackoff(0, 0))
	if err != nil {
		t.Errorf("Subscribe: %v", err)
	}
	var letters []eventstore.DeadLetter
	for l, err := range store.DeadLetters(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		letters = append(letters, l)
	}
	if len(letters) != 1 || letters[0].Attempts != 2 || !strings.HasPrefix(letters[0].Reason, "handler panicked: no such customer") {
		t.Errorf("dead letters %+v, want one of 2 attempts, with the panic", letters)
	}
}
