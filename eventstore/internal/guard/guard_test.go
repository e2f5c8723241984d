package guard

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/lifetime"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/record"
)

var (
	order42   = eventstore.StreamID{Type: "order", ID: "42"}
	errBroken = errors.New("no connection")
)

// Each call is refused before the broker is asked, or says what it was that failed.
func TestGuard(t *testing.T) {
	ended, end := context.WithCancelCause(t.Context())
	end(errors.New("had enough"))
	closed := lifetime.New()
	closed.End()
	cases := map[string]struct {
		reason  string
		ctx     context.Context
		binding func(*eventstore.Binding)
		stream  eventstore.StreamID
		open    *lifetime.Lifetime
		broken  bool
		want    []string // Of append, read, replay, save, load: what the error says. Empty: none.
	}{
		"Good":         {reason: "All may be done.", want: []string{"", "", "", "", ""}},
		"Broken":       {reason: "The call is named.", broken: true, want: []string{"cannot append to order/42: no connection", "cannot read order/42: no connection", `cannot replay store "orders": no connection`, "cannot save snapshot of order/42: no connection", "cannot load snapshot of order/42: no connection"}},
		"Subscription": {reason: "It reads alone.", binding: func(b *eventstore.Binding) { b.Subscription = "billing" }, want: []string{"only reads", "", "", "only reads", ""}},
		"Streaming":    {reason: "It has no streams to read, and no versions.", binding: func(b *eventstore.Binding) { b.Streaming = true }, want: []string{"with an expected version", "cannot read a stream", "", "", ""}},
		"NoSnapshots":  {reason: "There is no place for them.", binding: func(b *eventstore.Binding) { b.Snapshots = false }, want: []string{"", "", "", "cannot use snapshots", "cannot use snapshots"}},
		"NoStream":     {reason: "A name that is none is nowhere.", stream: eventstore.StreamID{Type: "order"}, want: []string{"cannot use stream", "cannot use stream", "", "cannot use stream", "cannot use stream"}},
		"Ended":        {reason: "The context's own reason is told.", ctx: ended, want: []string{"had enough", "had enough", "had enough", "had enough", "had enough"}},
		"Closed":       {reason: "Appends are the driver's to end.", open: closed, want: []string{"", "store is closed", "store is closed", "store is closed", "store is closed"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			b := eventstore.Binding{Store: "orders", Snapshots: true}
			if tc.binding != nil {
				tc.binding(&b)
			}
			ctx, stream, open := t.Context(), order42, lifetime.New()
			if tc.ctx != nil {
				ctx = tc.ctx
			}
			if tc.stream != (eventstore.StreamID{}) {
				stream = tc.stream
			}
			if tc.open != nil {
				open = tc.open
			}
			asked := 0
			ask := func() error {
				if asked++; tc.broken {
					return errBroken
				}
				return nil
			}
			events := func(context.Context, func(eventstore.Event, error) bool) error { return ask() }
			var got []error
			_, err := Append(ctx, b, stream, 0, []eventstore.EventData{{Type: "T"}}, func(record.Fields) (eventstore.Version, error) { return 1, ask() })
			got = append(got, err, nil, nil)
			for _, err := range Read(ctx, b, open, stream, events) {
				got[1] = err
			}
			for _, err := range Replay(ctx, b, open, events) {
				got[2] = err
			}
			got = append(got, SaveSnapshot(ctx, b, open, stream, func(context.Context) error { return ask() }))
			_, err = LoadSnapshot(ctx, b, open, stream, func(context.Context) (eventstore.Snapshot, error) { return eventstore.Snapshot{}, ask() })
			got = append(got, err)
			may := 0
			for i, err := range got {
				if tc.broken || tc.want[i] == "" {
					may++
				}
				switch {
				case tc.want[i] == "" && err != nil, tc.want[i] != "" && (err == nil || !strings.Contains(err.Error(), tc.want[i])):
					t.Errorf("%s\ncall %d: error %v, want %q", tc.reason, i, err, tc.want[i])
				}
			}
			if asked != may {
				t.Errorf("%s\nthe broker was asked %d times, want %d", tc.reason, asked, may)
			}
		})
	}
}

// A call that fails because its context ended while it was under way says why that ended.
func TestGuardEnds(t *testing.T) {
	ctx, end := context.WithCancelCause(t.Context())
	for _, err := range Replay(ctx, eventstore.Binding{Store: "orders"}, lifetime.New(), func(ctx context.Context, _ func(eventstore.Event, error) bool) error {
		end(errors.New("had enough"))
		<-ctx.Done()
		return errBroken
	}) {
		if err == nil || !strings.Contains(err.Error(), "had enough") {
			t.Errorf("error %v, want the reason of the context", err)
		}
	}
}
