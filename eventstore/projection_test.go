package eventstore_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/memory"
)

// table is a view. It can crash at each step, which looks to the projection like a process that died: what was not written
// before is not there.
type table struct {
	mu       sync.Mutex
	events   []eventstore.Event
	at       eventstore.Checkpoint
	resets   int
	together bool // Events and checkpoint are one transaction, which compares the checkpoint.
	crash    func(step string) error
	applied  chan int // How many events the view has, after each batch.
	sizes    []int
}

func (v *table) step(name string) error {
	if v.crash == nil {
		return nil
	}
	return v.crash(name)
}

func (v *table) Checkpoint(context.Context) (eventstore.Checkpoint, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.at, v.step("Checkpoint")
}

func (v *table) Apply(_ context.Context, b eventstore.Batch) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.sizes = append(v.sizes, len(b.Events))
	if err := v.step("begin"); err != nil {
		return err
	}
	if v.together {
		if v.at.String() != b.From.String() {
			return fmt.Errorf("cannot move the view: %w", eventstore.ErrConcurrency)
		}
		v.events, v.at = append(v.events, b.Events...), b.To
		return v.done() // As if the reply to the commit were lost.
	}
	for _, e := range b.Events {
		v.events = append(v.events, e)
		if err := v.step("between events"); err != nil {
			return err
		}
	}
	if err := v.step("before the checkpoint"); err != nil {
		return err
	}
	v.at = b.To
	return v.done()
}

func (v *table) done() error {
	if v.applied != nil {
		v.applied <- len(v.events)
	}
	return v.step("after the commit")
}

func (v *table) Reset(context.Context) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.events, v.at = nil, nil
	v.resets++
	return v.step("Reset")
}

// fill appends n events, numbered from first on, to 7 streams, by one to three at a time.
func fill(t *testing.T, store eventstore.Store, first, n int) {
	t.Helper()
	for i := first; i < first+n; {
		var events []eventstore.EventData
		for range min(i%3+1, first+n-i) {
			events = append(events, eventstore.EventData{ID: fmt.Sprintf("e%d", i), Type: "Counted"})
			i++
		}
		if _, err := store.Append(t.Context(), eventstore.StreamID{Type: "counter", ID: fmt.Sprint(i % 7)}, eventstore.Any, events...); err != nil {
			t.Fatal(err)
		}
	}
}

func counted(events []eventstore.Event) map[string]int {
	n := map[string]int{}
	for _, e := range events {
		n[e.ID]++
	}
	return n
}

// wantOrder says where the events of a stream, seen for the first time, are out of order.
func wantOrder(t *testing.T, events []eventstore.Event) {
	t.Helper()
	last := map[eventstore.StreamID]eventstore.Version{}
	for _, e := range events {
		switch v := last[e.Stream]; {
		case e.Version > v+1:
			t.Errorf("%s: version %d came after %d", e.Stream, e.Version, v)
		case e.Version == v+1:
			last[e.Stream] = e.Version
		}
	}
}

func TestProjectionCatchesUp(t *testing.T) {
	store := memory.New()
	view := &table{together: true}
	p := eventstore.Projection{View: view, BatchSize: 4}
	for _, n := range []int{0, 50, 0, 23} { // Each time it goes on where it was.
		before := len(view.events)
		fill(t, store, before, n)
		if err := p.CatchUp(t.Context(), store); err != nil || len(view.events) != before+n {
			t.Errorf("CatchUp: %d events, %v; want %d", len(view.events), err, before+n)
		}
	}
	if got := slices.Max(view.sizes); got > 4 {
		t.Errorf("a batch has %d events, want at most 4", got)
	}
	wantOrder(t, view.events)
	want := view.events
	if err := p.Rebuild(t.Context(), store); err != nil || view.resets != 1 {
		t.Errorf("Rebuild: %d resets, %v", view.resets, err)
	}
	if diff := cmp.Diff(want, view.events); diff != "" {
		t.Errorf("the rebuilt view -want, +got:\n%s", diff)
	}
	since := eventstore.Projection{View: &table{}, Since: time.Now().Add(time.Hour)}
	if err := since.CatchUp(t.Context(), store); err != nil || len(since.View.(*table).events) > 0 {
		t.Errorf("CatchUp since later: %v, want nothing", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Rebuild(ctx, store); !errors.Is(err, context.Canceled) {
		t.Errorf("Rebuild with a context that has ended: %v, want context.Canceled", err)
	}
}

// Whatever step a projection dies at, its view has all events in the end: exactly once if events and checkpoint are one
// transaction, and else at least once.
func TestProjectionCrashes(t *testing.T) {
	const events = 200
	for name, together := range map[string]bool{"OneTransaction": true, "CheckpointLast": false} {
		t.Run(name, func(t *testing.T) {
			store := memory.New()
			fill(t, store, 0, events)
			random := rand.New(rand.NewPCG(1, 2))
			died := map[string]int{}
			view := &table{together: together, crash: func(step string) error {
				if random.IntN(6) > 0 {
					return nil
				}
				died[step]++
				return errors.New("killed at " + step)
			}}
			for range 10_000 { // Each is a new process.
				p := eventstore.Projection{View: view, BatchSize: 8}
				if p.CatchUp(t.Context(), store) == nil {
					break
				}
			}
			n := counted(view.events)
			if len(n) != events || together && len(view.events) != events {
				t.Errorf("the view has %d events, %d of them different; want %d", len(view.events), len(n), events)
			}
			if !together && len(view.events) == events {
				t.Error("no event came twice: the crashes between events and checkpoint did not happen")
			}
			wantOrder(t, view.events)
			t.Logf("died %v; %d events applied", died, len(view.events))
		})
	}
}

// Two processes that run one projection get in each other's way, and the view is right all the same.
func TestProjectionTwice(t *testing.T) {
	store := memory.New()
	fill(t, store, 0, 300)
	view := &table{together: true}
	p := eventstore.Projection{View: view, BatchSize: 3}
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			err := eventstore.ErrConcurrency
			for errors.Is(err, eventstore.ErrConcurrency) {
				err = p.CatchUp(t.Context(), store)
			}
			if err != nil {
				t.Errorf("CatchUp: %v", err)
			}
		})
	}
	wg.Wait()
	if len(view.events) != 300 || len(counted(view.events)) != 300 {
		t.Errorf("the view has %d events, %d of them different; want 300", len(view.events), len(counted(view.events)))
	}
	wantOrder(t, view.events)
}

func TestProjectionRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		fill(t, store, 0, 20)
		failures := 3
		view := &table{together: true, applied: make(chan int, 100)}
		view.crash = func(step string) error {
			if step != "after the commit" || failures == 0 {
				return nil
			}
			failures--
			return errors.New("connection lost")
		}
		caughtUp := make(chan int, 10)
		p := eventstore.Projection{
			View: view, BatchSize: 5, Logger: slog.New(slog.DiscardHandler),
			CaughtUp: func() { caughtUp <- len(view.events) },
		}
		ctx, cancel := context.WithCancel(t.Context())
		begun := time.Now()
		ended := make(chan error)
		go func() { ended <- p.Run(ctx, store) }()
		if n := <-caughtUp; n != 20 {
			t.Errorf("it caught up with %d events, want 20", n)
		}
		if d := time.Since(begun); d != 7*time.Second {
			t.Errorf("it took %s, want pauses of 1s, 2s and 4s", d)
		}
		synctest.Wait()
		fill(t, store, 20, 3)
		synctest.Wait()
		if len(view.events) != 23 {
			t.Errorf("live: the view has %d events, want 23", len(view.events))
		}
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v, want nil once its context has ended", err)
		}
	})
}

// broken is a store whose replays end with an error.
type broken struct {
	eventstore.Reader
	err error
}

func (b broken) Replay(context.Context, eventstore.Start) iter.Seq2[eventstore.Event, error] {
	return func(yield func(eventstore.Event, error) bool) { yield(eventstore.Event{}, b.err) }
}

func TestProjectionGivesUp(t *testing.T) {
	closed := memory.New()
	_ = closed.Close()
	full := memory.New()
	fill(t, full, 0, 1)
	noRow := errors.New("no such table")
	cases := map[string]struct {
		reason string
		store  eventstore.Reader
		crash  error
		want   error
	}{
		"HistoryLost": {reason: "To go on would leave a hole.", store: broken{err: eventstore.ErrHistoryLost}, want: eventstore.ErrHistoryLost},
		"Unsupported": {reason: "It will not be supported later either.", store: broken{err: eventstore.ErrUnsupported}, want: eventstore.ErrUnsupported},
		"Permanent":   {reason: "The view says that it is useless to try again.", store: full, crash: eventstore.Permanent(noRow), want: noRow},
		"Closed":      {reason: "A closed store stays closed.", store: closed},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			view := &table{}
			view.crash = func(step string) error {
				if step == "begin" {
					return tc.crash
				}
				return nil
			}
			err := eventstore.Projection{View: view}.Run(t.Context(), tc.store)
			if err == nil || tc.want != nil && !errors.Is(err, tc.want) {
				t.Errorf("%s\nRun: %v, want %v", tc.reason, err, tc.want)
			}
		})
	}
}

func FuzzParseCheckpoint(f *testing.F) {
	for _, s := range []string{"", "0@17 3@5", "3@5 0@17", "0@1 0@2", "0@", "  1@1:2.3  "} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := eventstore.ParseCheckpoint(s)
		if err != nil {
			return
		}
		again, err := eventstore.ParseCheckpoint(c.String())
		if err != nil || !slices.Equal(again, c) {
			t.Errorf("%q is %q, which is %q, %v", s, c, again, err)
		}
		if !slices.IsSortedFunc(c, func(a, b eventstore.Position) int { return a.Partition - b.Partition }) {
			t.Errorf("%q is not sorted: %q", s, c)
		}
	})
}

func TestCheckpointWith(t *testing.T) {
	var c eventstore.Checkpoint
	for _, p := range []eventstore.Position{{3, "5"}, {0, "1"}, {3, "6"}, {1, "9"}, {0, "2"}} {
		before := c.String()
		next := c.With(p)
		if c.String() != before {
			t.Errorf("With changed %q to %q", before, c)
		}
		c = next
	}
	if got := c.String(); got != "0@2 1@9 3@6" {
		t.Errorf("got %q", got)
	}
}
