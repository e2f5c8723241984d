package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

func (s *suite) testEventFields(ctx context.Context, t testing.TB, store eventstore.Store) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 678, time.FixedZone("", 3600))
	full := eventstore.EventData{
		ID: "a", Type: "OrderPlaced", Data: map[string]int{"total": 3}, Time: at, CorrelationID: "c", CausationID: "d",
		Metadata: map[string]string{"tenant": "acme"},
	}
	raw := eventstore.EventData{ID: "b", Type: "Blob", Data: []byte{0, 0xff, '\n'}, ContentType: "image/png", Time: at}
	appendTo(ctx, t, store, order42, 0, full)
	appendTo(ctx, t, store, order42, 1, raw)
	full.ID, raw.ID = "c", "d"
	appendTo(ctx, t, store, order42, 2, full, raw)
	before := time.Now()
	appendTo(ctx, t, store, order42, 4, eventstore.EventData{Type: "Default"})

	events := collect(t, store.Read(ctx, order42, 0))
	if len(events) != 5 {
		t.Fatalf("Read: %d events, want 5", len(events))
	}
	wantFull := eventstore.Event{
		Stream: order42, ID: "a", Type: "OrderPlaced", Data: []byte(`{"total":3}`), ContentType: "application/json",
		Time: at, CorrelationID: "c", CausationID: "d", Metadata: map[string]string{"tenant": "acme"},
	}
	wantRaw := eventstore.Event{Stream: order42, ID: "b", Type: "Blob", Data: []byte{0, 0xff, '\n'}, ContentType: "image/png", Time: at}
	ignore := cmpopts.IgnoreFields(eventstore.Event{}, "Position", "Recorded", "Version", "ID")
	for i, want := range []eventstore.Event{wantFull, wantRaw, wantFull, wantRaw} {
		if diff := cmp.Diff(want, events[i], ignore, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("event %d -want, +got:\n%s", i, diff)
		}
	}
	last := events[4]
	if last.ID == "" || last.Time.Before(before.Add(-time.Second)) || last.ContentType != "application/json" || last.Recorded.IsZero() {
		t.Errorf("event without settings: %+v, want an id, a time, a content type and when it was recorded", last)
	}
}

func (s *suite) testReadUnknown(ctx context.Context, t testing.TB, store eventstore.Store) {
	wantIDs(t, "Read of an unknown stream", collect(t, store.Read(ctx, order42, 0)))
	wantIDs(t, "Replay of an empty store", collect(t, store.Replay(ctx, eventstore.Start{})))
}

func (s *suite) testReadAfter(ctx context.Context, t testing.TB, store eventstore.Store) {
	appendTo(ctx, t, store, order42, 0, numbered(1, 1)...)
	appendTo(ctx, t, store, order42, 1, numbered(2, 3)...)
	appendTo(ctx, t, store, order42, 4, numbered(5, 1)...)
	for after, want := range [][]string{
		{"e1", "e2", "e3", "e4", "e5"}, {"e2", "e3", "e4", "e5"}, {"e3", "e4", "e5"}, {"e4", "e5"}, {"e5"}, {}, {},
	} {
		got := collect(t, store.Read(ctx, order42, eventstore.Version(after)))
		wantIDs(t, fmt.Sprintf("Read after %d", after), got, want...)
	}
}

func (s *suite) testReadMany(ctx context.Context, t testing.TB, store eventstore.Store) {
	const n = 1200 // More than a page of any driver.
	for v := 0; v < n; v += 3 {
		appendTo(ctx, t, store, order42, eventstore.Version(v), numbered(v, 3)...)
	}
	for name, seq := range map[string][]eventstore.Event{
		"Read": collect(t, store.Read(ctx, order42, 0)), "Replay": collect(t, store.Replay(ctx, eventstore.Start{})),
	} {
		if len(seq) != n {
			t.Fatalf("%s: %d events, want %d", name, len(seq), n)
		}
		for i, e := range seq {
			if e.Version != eventstore.Version(i+1) || e.ID != fmt.Sprintf("e%d", i) {
				t.Fatalf("%s: event %d is %s of version %d", name, i, e.ID, e.Version)
			}
		}
	}
}

func (s *suite) testReadStopsEarly(ctx context.Context, t testing.TB, store eventstore.Store) {
	appendTo(ctx, t, store, order42, 0, numbered(1, 5)...)
	for range store.Read(ctx, order42, 0) {
		break
	}
	for range store.Replay(ctx, eventstore.Start{Live: true}) {
		break
	}
	wantIDs(t, "Read after an iteration was left", collect(t, store.Read(ctx, order42, 4)), "e5")
}

func (s *suite) testCancelled(ctx context.Context, t testing.TB, store eventstore.Store) {
	appendTo(ctx, t, store, order42, 0, numbered(1, 2)...)
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := store.Append(ctx, order42, 2, numbered(3, 1)...); err == nil {
		t.Error("Append with a context that has ended: no error")
	}
	for name, seq := range map[string]func(func(eventstore.Event, error) bool){
		"Read": store.Read(ctx, order42, 0), "Replay": store.Replay(ctx, eventstore.Start{Live: true}),
	} {
		var last error
		for _, err := range seq {
			last = err
		}
		if !errors.Is(last, context.Canceled) {
			t.Errorf("%s with a context that has ended: %v, want context.Canceled", name, last)
		}
	}
}

// fill appends to several streams, one event or two at a time, and returns the events in the order of each stream.
func fill(ctx context.Context, t testing.TB, store eventstore.Store, rounds int) map[eventstore.StreamID][]string {
	t.Helper()
	want := map[eventstore.StreamID][]string{}
	for n := range rounds {
		for i := range 10 {
			id := order(i)
			var events []eventstore.EventData
			for range 1 + (n+i)%2 {
				event := eventstore.EventData{ID: fmt.Sprintf("%s#%d", id, len(want[id])), Type: "Counted"}
				events = append(events, event)
				want[id] = append(want[id], event.ID)
			}
			appendTo(ctx, t, store, id, eventstore.Any, events...)
		}
	}
	return want
}

// byStream checks that positions of a partition grow, and sorts what came by stream.
func byStream(events []eventstore.Event) map[eventstore.StreamID][]string {
	got := map[eventstore.StreamID][]string{}
	for _, e := range events {
		got[e.Stream] = append(got[e.Stream], e.ID)
	}
	return got
}

func (s *suite) testReplayOrder(ctx context.Context, t testing.TB, store eventstore.Store) {
	want := fill(ctx, t, store, 5)
	events := collect(t, store.Replay(ctx, eventstore.Start{}))
	if diff := cmp.Diff(want, byStream(events)); diff != "" {
		t.Errorf("Replay by stream -want, +got:\n%s", diff)
	}
	seen := map[eventstore.Position]bool{}
	for _, e := range events {
		if seen[e.Position] {
			t.Errorf("position %s occurs twice", e.Position)
		}
		seen[e.Position] = true
		if p, err := eventstore.ParsePosition(e.Position.String()); err != nil || p != e.Position {
			t.Errorf("position %s does not survive printing: %s, %v", e.Position, p, err)
		}
	}
}

// A replay that is cut anywhere and resumed yields each event once.
func (s *suite) testReplayAfter(ctx context.Context, t testing.TB, store eventstore.Store) {
	want := fill(ctx, t, store, 3)
	total := len(collect(t, store.Replay(ctx, eventstore.Start{})))
	for cut := range total + 1 {
		last := map[int]eventstore.Position{}
		var got []eventstore.Event
		for e, err := range store.Replay(ctx, eventstore.Start{}) {
			if err != nil {
				t.Fatal(err)
			}
			if len(got) == cut {
				break
			}
			got = append(got, e)
			last[e.Position.Partition] = e.Position
		}
		var from eventstore.Start
		for _, p := range last {
			from.After = append(from.After, p)
		}
		got = append(got, collect(t, store.Replay(ctx, from))...)
		if diff := cmp.Diff(want, byStream(got)); diff != "" {
			t.Fatalf("Replay cut after %d of %d events, by stream -want, +got:\n%s", cut, total, diff)
		}
	}
	for e, err := range store.Replay(ctx, eventstore.Start{After: []eventstore.Position{{Partition: 0, Offset: "no such thing"}}}) {
		if err == nil {
			t.Errorf("Replay after a position that is none: %v, want an error", e)
		}
	}
}

func (s *suite) testReplayTime(ctx context.Context, t testing.TB, store eventstore.Store) {
	appendTo(ctx, t, store, order(1), 0, numbered(1, 1)...)
	first := collect(t, store.Read(ctx, order(1), 0))[0].Recorded
	// Brokers keep milliseconds: wait until the broker's clock shows another one.
	var between time.Time
	for n := 0; !between.After(first.Truncate(time.Millisecond).Add(time.Millisecond)); n++ {
		appendTo(ctx, t, store, order(100), eventstore.Any, numbered(1000+n, 1)...)
		tick := collect(t, store.Read(ctx, order(100), eventstore.Version(n)))
		between = tick[0].Recorded
	}
	appendTo(ctx, t, store, order(2), 0, numbered(2, 1)...)
	got := byStream(collect(t, store.Replay(ctx, eventstore.Start{Time: between})))
	if len(got[order(1)]) != 0 || len(got[order(2)]) != 1 {
		t.Errorf("Replay from between two events: %v, want the second and not the first", got)
	}
	wantIDs(t, "Replay from the future", collect(t, store.Replay(ctx, eventstore.Start{Time: time.Now().Add(time.Hour)})))
}

func (s *suite) testReplayLive(ctx context.Context, t testing.TB, store eventstore.Store) {
	appendTo(ctx, t, store, order42, 0, numbered(1, 2)...)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	n := 0
	for e, err := range store.Replay(ctx, eventstore.Start{Live: true}) {
		if err != nil {
			if !errors.Is(err, context.Canceled) || n != 6 {
				t.Errorf("after %d events: %v, want context.Canceled after 6", n, err)
			}
			return
		}
		if n++; e.Version != eventstore.Version(n) {
			t.Errorf("event %d has version %d", n, e.Version)
		}
		switch {
		case n == 6:
			cancel()
		case n%2 == 0: // What is appended while the replay waits at the end comes too.
			appendTo(ctx, t, store, order42, eventstore.Version(n), numbered(n+1, 2)...)
		}
	}
	t.Errorf("live replay ended by itself after %d events", n)
}

// Live replays begin while somebody appends: what comes before a replay has found the end comes too.
func (s *suite) testReplayLiveBusy(ctx context.Context, t testing.TB, store eventstore.Store) {
	ctx, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	var rounds atomic.Int64
	wg.Go(func() {
		for ctx.Err() == nil {
			for i := range busyStreams {
				if _, err := store.Append(ctx, order(i), eventstore.Any, eventstore.EventData{Type: "Counted"}); err != nil {
					if ctx.Err() == nil {
						t.Errorf("Append(%s): %v", order(i), err)
					}
					stop()
					return
				}
			}
			rounds.Add(1)
			<-time.After(100 * time.Microsecond) // A round trip, where there is none.
		}
	})
	for range 10 {
		if !followed(ctx, t, store, eventstore.Version(rounds.Load()+3)) {
			return
		}
	}
}

// busyStreams is how many streams testReplayLiveBusy appends to.
const busyStreams = 10

// followed reports whether a live replay yields all events of all streams, up to a version that they do not have yet.
func followed(ctx context.Context, t testing.TB, store eventstore.Store, until eventstore.Version) bool {
	t.Helper()
	seen, there := map[eventstore.StreamID]eventstore.Version{}, 0
	for e, err := range store.Replay(ctx, eventstore.Start{Live: true}) {
		if err != nil {
			t.Errorf("live replay: %v; it waits for version %d of all streams, and has %v", err, until, seen)
			return false
		}
		if last := seen[e.Stream]; e.Version != last+1 {
			t.Errorf("live replay: after version %d of %s comes %d", last, e.Stream, e.Version)
			return false
		}
		if seen[e.Stream] = e.Version; e.Version == until {
			there++
		}
		if there == busyStreams {
			return true
		}
	}
	t.Error("live replay ended by itself")
	return false
}
