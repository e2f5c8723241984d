package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

func (s *suite) testAppend(ctx context.Context, t testing.TB, store eventstore.Store) {
	if v := appendTo(ctx, t, store, order42, 0, numbered(1, 1)...); v != 1 {
		t.Errorf("first append: version %d, want 1", v)
	}
	if v := appendTo(ctx, t, store, order42, 1, numbered(2, 1)...); v != 2 {
		t.Errorf("second append: version %d, want 2", v)
	}
	wantIDs(t, "Read from another client", collect(t, s.reopen(store).Read(ctx, order42, 0)), "e1", "e2")
	if v := appendTo(ctx, t, store, order(7), 0, numbered(3, 1)...); v != 1 {
		t.Errorf("first append to another stream: version %d, want 1", v)
	}
	wantIDs(t, "Read", collect(t, store.Read(ctx, order42, 0)), "e1", "e2")
}

func (s *suite) testAppendAtomic(ctx context.Context, t testing.TB, store eventstore.Store) {
	if v := appendTo(ctx, t, store, order42, 0, numbered(1, 3)...); v != 3 {
		t.Errorf("append of 3: version %d, want 3", v)
	}
	_, err := store.Append(ctx, order42, 2, numbered(4, 3)...)
	wantIs(t, "append of 3 at a stale version", err, eventstore.ErrConcurrency)
	got := collect(t, store.Read(ctx, order42, 0))
	wantIDs(t, "Read", got, "e1", "e2", "e3")
	for i, e := range got {
		if want := eventstore.Version(i + 1); e.Version != want {
			t.Errorf("event %d of a batch has version %d, want %d", i, e.Version, want)
		}
	}
	if v := appendTo(ctx, t, store, order42, 3, numbered(4, 2)...); v != 5 {
		t.Errorf("append after a batch: version %d, want 5", v)
	}
}

func (s *suite) testAppendConflict(ctx context.Context, t testing.TB, store eventstore.Store) {
	appendTo(ctx, t, store, order42, 0, numbered(1, 2)...)
	for _, expected := range []eventstore.Version{0, 1, 3, 100} {
		_, err := store.Append(ctx, order42, expected, numbered(10+int(expected), 1)...)
		wantIs(t, fmt.Sprintf("Append at %d", expected), err, eventstore.ErrConcurrency)
		c, ok := errors.AsType[*eventstore.ConcurrencyError](err)
		if !ok || c.Expected != expected || c.Actual != 2 {
			t.Errorf("Append at %d: %v, want a ConcurrencyError with expected %d and actual 2", expected, err, expected)
		}
	}
	wantIDs(t, "Read", collect(t, store.Read(ctx, order42, 0)), "e1", "e2")
}

func (s *suite) testAppendTwice(ctx context.Context, t testing.TB, store eventstore.Store) {
	for _, n := range []int{1, 3} { // A single event and a batch are different records.
		id := order(n)
		appendTo(ctx, t, store, id, 0, numbered(1, n)...)
		appendTo(ctx, t, store, id, eventstore.Version(n), numbered(100, 1)...)
		if v := appendTo(ctx, t, store, id, 0, numbered(1, n)...); v != eventstore.Version(n) {
			t.Errorf("repeated append of %d: version %d, want %d, as the first time", n, v, n)
		}
		if got := collect(t, store.Read(ctx, id, 0)); len(got) != n+1 {
			t.Errorf("after a repeated append: events %v, want %d", ids(got), n+1)
		}
	}
}

func (s *suite) testAppendAny(ctx context.Context, t testing.TB, store eventstore.Store) {
	for i := range 3 {
		if v := appendTo(ctx, t, store, order42, eventstore.Any, numbered(2*i, 2)...); v != eventstore.Version(2*i+2) {
			t.Errorf("append %d: version %d, want %d", i, v, 2*i+2)
		}
	}
	if v := appendTo(ctx, t, store, order42, eventstore.Any, numbered(0, 2)...); v != 2 {
		t.Errorf("repeated append: version %d, want 2, as the first time", v)
	}
	wantIDs(t, "Read", collect(t, store.Read(ctx, order42, 0)), "e0", "e1", "e2", "e3", "e4", "e5")
}

func (s *suite) testAppendNothing(ctx context.Context, t testing.TB, store eventstore.Store) {
	appendTo(ctx, t, store, order42, 0, numbered(1, 2)...)
	if v, err := store.Append(ctx, order42, 2); v != 2 || err != nil {
		t.Errorf("Append of nothing: version %d, %v; want 2", v, err)
	}
	if v, err := store.Append(ctx, order42, eventstore.Any); v != 2 || err != nil {
		t.Errorf("Append of nothing at any version: version %d, %v; want 2", v, err)
	}
	if _, err := store.Append(ctx, order42, 1); !errors.Is(err, eventstore.ErrConcurrency) {
		t.Errorf("Append of nothing at a stale version: %v, want ErrConcurrency", err)
	}
}

func (s *suite) testAppendTooLarge(ctx context.Context, t testing.TB, store eventstore.Store) {
	big := eventstore.EventData{Type: "Big", Data: []byte(strings.Repeat("x", s.maxEventBytes))}
	_, err := store.Append(ctx, order42, 0, big)
	wantIs(t, "Append", err, eventstore.ErrTooLarge)
	half := eventstore.EventData{Type: "Half", Data: []byte(strings.Repeat("x", s.maxEventBytes/2))}
	_, err = store.Append(ctx, order42, 0, half, half)
	wantIs(t, "Append of two that are too large together", err, eventstore.ErrTooLarge)
	appendTo(ctx, t, store, order42, 0, half)
}

func (s *suite) testAppendInvalid(ctx context.Context, t testing.TB, store eventstore.Store) {
	for name, tc := range map[string]struct {
		stream eventstore.StreamID
		event  eventstore.EventData
	}{
		"NoType":   {stream: order42, event: eventstore.EventData{}},
		"NoStream": {event: eventstore.EventData{Type: "T"}},
		"Data":     {stream: order42, event: eventstore.EventData{Type: "T", Data: func() {}}},
		"Metadata": {stream: order42, event: eventstore.EventData{Type: "T", Metadata: map[string]string{"id": "x"}}},
	} {
		if _, err := store.Append(ctx, tc.stream, eventstore.Any, tc.event); err == nil {
			t.Errorf("%s: Append succeeded, want an error", name)
		}
	}
	if _, err := store.Append(ctx, order42, -7, eventstore.EventData{Type: "T"}); err == nil {
		t.Error("Append at version -7 succeeded, want an error")
	}
	wantIDs(t, "Read", collect(t, store.Read(ctx, order42, 0)))
}

// Of all writers at one version, exactly one wins, with both of its events.
func (s *suite) testAppendConcurrent(ctx context.Context, t testing.TB, store eventstore.Store) {
	const writers, events = 8, 50
	var mu sync.Mutex
	winners := map[eventstore.Version][]string{}
	var wg sync.WaitGroup
	for w := range writers {
		client := store
		if w%2 == 1 {
			client = s.reopen(store)
		}
		wg.Go(func() {
			for v := eventstore.Version(0); v < events; {
				id := fmt.Sprintf("w%d-%d", w, v)
				got, err := client.Append(ctx, order42, v, eventstore.EventData{ID: id + "a", Type: "Won"}, eventstore.EventData{ID: id + "b", Type: "Won"})
				switch c, ok := errors.AsType[*eventstore.ConcurrencyError](err); {
				case ok:
					v = c.Actual
				case err != nil:
					t.Errorf("writer %d: %v", w, err)
					return
				default:
					mu.Lock()
					winners[v] = append(winners[v], id)
					mu.Unlock()
					v = got
				}
			}
		})
	}
	for n := 0; n < events && ctx.Err() == nil; {
		if n = len(collect(t, store.Read(ctx, order42, 0))); n%2 == 1 {
			t.Errorf("a read saw %d events: half an append", n)
			break
		}
	}
	wg.Wait()
	got := collect(t, store.Read(ctx, order42, 0))
	if len(got) != events {
		t.Fatalf("stream has %d events, want %d", len(got), events)
	}
	for i, e := range got {
		v := eventstore.Version(i - i%2)
		if w := winners[v]; len(w) != 1 || w[0]+string("ab"[i%2]) != e.ID {
			t.Errorf("version %d: %v were told that they won, the stream has %s", i+1, w, e.ID)
		}
	}
}
