package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

// What was given up is handed out once more: what is handled is gone, and what fails again stays with those behind it.
func (s *suite) testRedrive(ctx context.Context, t testing.TB, store eventstore.Store) {
	const each = 3
	for i := range 3 {
		appendTo(ctx, t, store, order(i), 0, numbered(100*i, each)...)
	}
	sub := s.subscription(store, "redrive")
	redriver, ok := eventstore.As[eventstore.Redriver](sub)
	if !ok {
		t.Fatal("the subscription is no Redriver: name the feature with storetest.Lacks")
	}
	giveUp(ctx, t, s.reopen(sub), 3*each)

	var tried []string
	handled, err := redriver.Redrive(ctx, func(_ context.Context, e eventstore.Event) error {
		tried = append(tried, e.ID)
		switch e.Stream {
		case order(1):
			return errors.New("told to fail again")
		case order(2):
			panic("told to panic")
		}
		return nil
	})
	if handled != each || err == nil {
		t.Errorf("Redrive: %d handled, %v; want %d, and an error", handled, err, each)
	}
	if len(tried) != each+2 {
		t.Errorf("%q were tried, want one of each stream that fails, and what is behind it not", tried)
	}
	left := map[eventstore.StreamID][]string{}
	for _, d := range deadLetters(ctx, t, sub) {
		left[d.Event.Stream] = append(left[d.Event.Stream], fmt.Sprintf("%s after %d", d.Event.ID, d.Attempts))
		if first := d.Event.Version == 1; first != (d.Reason != "told to give up") || d.Event.Position.Offset == "" || d.Event.Recorded.IsZero() {
			t.Errorf("dead letter %+v: want its own reason, and where and when it was appended", d)
		}
	}
	want := map[eventstore.StreamID][]string{}
	for i := 1; i < 3; i++ {
		for n, e := range numbered(100*i, each) {
			attempts := 1
			if n == 0 {
				attempts = 2
			}
			want[order(i)] = append(want[order(i)], fmt.Sprintf("%s after %d", e.ID, attempts))
		}
	}
	if diff := cmp.Diff(want, left); diff != "" {
		t.Errorf("dead letters that are left, by stream -want, +got:\n%s", diff)
	}

	stopped, stop := context.WithCancel(ctx)
	defer stop()
	handled, err = redriver.Redrive(stopped, func(ctx context.Context, e eventstore.Event) error {
		stop()
		if e.Version == 1 {
			return nil
		}
		return ctx.Err()
	})
	if handled != 1 || !errors.Is(err, context.Canceled) {
		t.Errorf("Redrive that is told to stop: %d handled, %v; want 1, and context.Canceled", handled, err)
	}
	r := newRecorder(2*each-1, func() {})
	handled, err = redriver.Redrive(ctx, r.handle)
	if handled != 2*each-1 || err != nil {
		t.Errorf("Redrive: %d handled, %v; want %d", handled, err, 2*each-1)
	}
	for stream, ids := range r.got {
		all := numbered(100*int(stream.ID[0]-'0'), each)
		for i, id := range ids {
			if want := all[each-len(ids)+i].ID; id != want {
				t.Errorf("%s was handled as number %d of %s, want %s", id, i, stream, want)
			}
		}
	}
	handled, err = redriver.Redrive(ctx, r.handle)
	if letters := deadLetters(ctx, t, sub); handled != 0 || err != nil || len(letters) > 0 {
		t.Errorf("Redrive of nothing: %d handled, %v; %d are left", handled, err, len(letters))
	}
	s.wantNoneAgain(ctx, t, store, sub)
}

// giveUp has a subscription give up so many events.
func giveUp(ctx context.Context, t testing.TB, sub eventstore.Store, events int) {
	t.Helper()
	run, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		ended <- sub.Subscribe(run, func(context.Context, eventstore.Event) error {
			return eventstore.Permanent(errors.New("told to give up"))
		})
	}()
	for len(deadLetters(ctx, t, sub)) < events && ctx.Err() == nil {
		continue // It waits for the broker each time.
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Subscribe: %v", err)
	}
}

// deadLetters returns those of a subscription.
func deadLetters(ctx context.Context, t testing.TB, sub eventstore.Store) (letters []eventstore.DeadLetter) {
	t.Helper()
	reader, ok := eventstore.As[eventstore.DeadLetterReader](sub)
	if !ok {
		t.Fatal("the subscription is no DeadLetterReader: name the feature with storetest.Lacks")
	}
	for d, err := range reader.DeadLetters(ctx) {
		if err != nil {
			t.Fatalf("DeadLetters: %v", err)
		}
		letters = append(letters, d)
	}
	return letters
}
