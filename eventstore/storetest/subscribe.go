package storetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

var quick = eventstore.WithBackoff(time.Millisecond, 10*time.Millisecond)

// recorder is a handler that remembers. It fails an event as often as told.
type recorder struct {
	mu    sync.Mutex
	got   map[eventstore.StreamID][]string
	fail  map[string]int
	err   error
	total int
	want  int
	done  func()

	busy     map[eventstore.StreamID]bool
	overlaps int // Deliveries that began while another one of the stream was under way.
}

func newRecorder(want int, done func()) *recorder {
	return &recorder{
		got: map[eventstore.StreamID][]string{}, fail: map[string]int{}, err: errors.New("told to fail"), want: want, done: done,
		busy: map[eventstore.StreamID]bool{},
	}
}

func (r *recorder) handle(_ context.Context, e eventstore.Event) error {
	r.begin(e.Stream)
	runtime.Gosched() // Another delivery of the stream, if there is one, gets its chance.
	r.mu.Lock()
	defer r.mu.Unlock()
	r.busy[e.Stream] = false
	if r.fail[e.ID] > 0 {
		r.fail[e.ID]--
		return r.err
	}
	r.got[e.Stream] = append(r.got[e.Stream], e.ID)
	if r.total++; r.total == r.want {
		r.done()
	}
	return nil
}

func (r *recorder) begin(stream eventstore.StreamID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.busy[stream] {
		r.overlaps++
	}
	r.busy[stream] = true
}

// wantInOrder checks that what was handled is what was appended, stream by stream.
func (r *recorder) wantInOrder(t testing.TB, want map[eventstore.StreamID][]string) {
	t.Helper()
	if diff := cmp.Diff(want, r.got); diff != "" {
		t.Errorf("by stream -want, +got:\n%s", diff)
	}
	if r.overlaps > 0 {
		t.Errorf("%d deliveries began while an earlier event of the same stream was being handled", r.overlaps)
	}
}

// subscribe runs until the recorder has what it wants.
func subscribe(ctx context.Context, t testing.TB, sub eventstore.Store, r *recorder, opts ...eventstore.SubscribeOption) {
	t.Helper()
	run, cancel := context.WithCancel(ctx)
	defer cancel()
	r.done = cancel
	if err := sub.Subscribe(run, r.handle, append(opts, quick)...); err != nil {
		t.Errorf("Subscribe: %v", err)
	}
	if ctx.Err() != nil {
		t.Fatalf("Subscribe: %v; got %d of %d events", context.Cause(ctx), r.total, r.want)
	}
}

func count(want map[eventstore.StreamID][]string) (n int) {
	for _, events := range want {
		n += len(events)
	}
	return n
}

func (s *suite) testSubscribeOrder(ctx context.Context, t testing.TB, store eventstore.Store) {
	want := fill(ctx, t, store, 10)
	sub := s.subscription(store, "order")
	r := newRecorder(count(want), nil)
	subscribe(ctx, t, sub, r)
	r.wantInOrder(t, want)
}

// A failing event is delivered again, its stream waits, and the others do not.
func (s *suite) testSubscribeRetry(ctx context.Context, t testing.TB, store eventstore.Store) {
	want := fill(ctx, t, store, 3)
	sub := s.subscription(store, "retry")
	r := newRecorder(count(want), nil)
	for i := range 10 {
		r.fail[fmt.Sprintf("%s#0", order(i))] = i % 4
		r.fail[fmt.Sprintf("%s#2", order(i))] = 1
	}
	subscribe(ctx, t, sub, r)
	r.wantInOrder(t, want)
}

func (s *suite) testSubscribeDeadLetter(ctx context.Context, t testing.TB, store eventstore.Store) {
	want := fill(ctx, t, store, 2)
	sub := s.subscription(store, "dead")
	r := newRecorder(count(want)-2, nil)
	poison, second := want[order(3)][0], want[order(4)][1]
	r.fail[poison], r.fail[second] = 1000, 1000
	permanent := eventstore.Handler(func(ctx context.Context, e eventstore.Event) error {
		err := r.handle(ctx, e)
		if e.ID == second {
			return eventstore.Permanent(err)
		}
		return err
	})
	run, cancel := context.WithCancel(ctx)
	defer cancel()
	dead := map[string]eventstore.DeadLetter{}
	var wg sync.WaitGroup
	r.done = func() {}
	wg.Go(func() {
		if err := sub.Subscribe(run, permanent, quick, eventstore.WithMaxDeliveries(3)); err != nil {
			t.Errorf("Subscribe: %v", err)
		}
	})
	for len(dead) < 2 && ctx.Err() == nil {
		for _, d := range deadLetters(ctx, t, sub) {
			dead[d.Event.ID] = d
		}
	}
	for done := false; !done && ctx.Err() == nil; { // The streams go on behind what was given up.
		r.mu.Lock()
		done = r.total == r.want
		r.mu.Unlock()
	}
	cancel()
	wg.Wait()
	if d := dead[poison]; d.Attempts != 3 || d.Reason != "told to fail" || d.Event.Stream != order(3) || d.Event.Position.Offset == "" || d.Time.IsZero() {
		t.Errorf("dead letter after retries: %+v, want 3 attempts, the reason, and the event with its position", d)
	}
	if d := dead[second]; d.Attempts != 1 || d.Event.Stream != order(4) {
		t.Errorf("dead letter of a permanent failure: %+v, want 1 attempt", d)
	}
	if r.total != r.want {
		t.Errorf("%d of %d other events were handled", r.total, r.want)
	}
	s.wantNoneAgain(ctx, t, store, sub)
}

// wantNoneAgain checks that the next consumer begins behind everything, dead letters too.
func (s *suite) wantNoneAgain(ctx context.Context, t testing.TB, store, sub eventstore.Store) {
	want := map[eventstore.StreamID][]string{}
	for i := range 10 {
		id := order(i)
		want[id] = []string{fmt.Sprintf("%s#last", id)}
		appendTo(ctx, t, store, id, eventstore.Any, eventstore.EventData{ID: want[id][0], Type: "Counted"})
	}
	r := newRecorder(len(want), nil)
	subscribe(ctx, t, s.reopen(sub), r)
	r.wantInOrder(t, want)
}

// A stream that is blocked holds back no other, and what they have done is not done again by the next consumer.
func (s *suite) testSubscribeBlocked(ctx context.Context, t testing.TB, store eventstore.Store) {
	want := fill(ctx, t, store, 10)
	sub := s.subscription(store, "blocked")
	blocked := want[order(3)]
	first := newRecorder(count(want)-len(blocked), nil)
	first.fail[blocked[0]] = math.MaxInt
	subscribe(ctx, t, s.reopen(sub), first, eventstore.WithMaxDeliveries(math.MaxInt))
	if got := first.got[order(3)]; len(got) > 0 {
		t.Errorf("%v overtook %s, which fails", got, blocked[0])
	}
	second := newRecorder(len(blocked), nil)
	subscribe(ctx, t, s.reopen(sub), second)
	second.wantInOrder(t, map[eventstore.StreamID][]string{order(3): blocked})
}

// An event that fails with one consumer and then with another becomes a dead letter when both together have tried enough.
func (s *suite) testSubscribeAttempts(ctx context.Context, t testing.TB, store eventstore.Store) {
	sub := s.subscription(store, "attempts")
	appendTo(ctx, t, store, order42, 0, numbered(0, 2)...)
	attempts := 0
	for range 2 {
		run, cancel := context.WithCancel(ctx)
		err := s.reopen(sub).Subscribe(run, func(context.Context, eventstore.Event) error {
			switch attempts++; attempts {
			case 2: // The other consumer makes the third.
				cancel()
			case 4: // The second event: the first one was given up.
				cancel()
				return nil
			}
			return errors.New("told to fail")
		}, eventstore.WithMaxDeliveries(3), quick)
		cancel()
		if err != nil || ctx.Err() != nil {
			t.Fatalf("Subscribe: %v, %v after %d attempts", err, context.Cause(ctx), attempts)
		}
	}
	if letters := deadLetters(ctx, t, sub); len(letters) != 1 || letters[0].Attempts != 3 {
		t.Errorf("dead letters: %+v, want one with 3 attempts", letters)
	}
}

// A consumer that comes later goes on where its predecessor stopped.
func (s *suite) testSubscribeResumes(ctx context.Context, t testing.TB, store eventstore.Store) {
	sub := s.subscription(store, "resumes")
	seen := map[string]int{}
	total := 0
	for round := range 3 {
		for n := range 30 {
			appendTo(ctx, t, store, order(n%10), eventstore.Any, numbered(100*round+n, 1)...)
		}
		r := newRecorder(30, nil)
		subscribe(ctx, t, s.reopen(sub), r)
		for _, events := range r.got {
			for _, id := range events {
				seen[id]++
			}
		}
		total += r.total
	}
	if total != 90 || len(seen) != 90 {
		t.Errorf("3 consumers in turn got %d events with %d ids, want 90 and 90: graceful stops repeat nothing", total, len(seen))
	}
}

// Consumers of one subscription share the work: each event is delivered, and never two of a stream at once.
func (s *suite) testSubscribeShared(ctx context.Context, t testing.TB, store eventstore.Store) {
	want := fill(ctx, t, store, 10)
	sub := s.subscription(store, "shared")
	run, cancel := context.WithCancel(ctx)
	defer cancel()
	r := newRecorder(count(want), cancel)
	var wg sync.WaitGroup
	for range 3 {
		consumer := s.reopen(sub)
		wg.Go(func() {
			if err := consumer.Subscribe(run, r.handle, quick); err != nil {
				t.Errorf("Subscribe: %v", err)
			}
		})
	}
	wg.Wait()
	r.wantInOrder(t, want)
}

// Subscribe lets a running handler finish, and acknowledges its event.
func (s *suite) testSubscribeGraceful(ctx context.Context, t testing.TB, store eventstore.Store) {
	appendTo(ctx, t, store, order42, 0, numbered(1, 1)...)
	sub := s.subscription(store, "graceful")
	run, cancel := context.WithCancel(ctx)
	defer cancel()
	finished := false
	err := sub.Subscribe(run, func(work context.Context, _ eventstore.Event) error {
		cancel()
		<-run.Done()
		finished = work.Err() == nil
		return nil
	})
	if err != nil || !finished {
		t.Errorf("Subscribe: %v, handler finished with a live context: %t; want nil, true", err, finished)
	}
	appendTo(ctx, t, store, order42, 1, numbered(2, 1)...)
	r := newRecorder(1, nil)
	subscribe(ctx, t, s.reopen(sub), r)
	if diff := cmp.Diff(map[eventstore.StreamID][]string{order42: {"e2"}}, r.got); diff != "" {
		t.Errorf("the next consumer -want, +got:\n%s", diff)
	}
}

// What a consumer did not finish is handed to the next one. It may get more than that, and all of it in order.
func (s *suite) testSubscribeCut(ctx context.Context, t testing.TB, store eventstore.Store) {
	want := fill(ctx, t, store, 6)
	sub := s.subscription(store, "cut")
	got := map[eventstore.StreamID][]string{}
	var mu sync.Mutex
	total := 0
	// Often, because a record of which a later event is not handled comes again anyway.
	for _, cut := range []int{5, 6, 7, 8, 9, 10, 11, 12, math.MaxInt} {
		run, cancel := context.WithCancel(ctx)
		begun := 0
		err := s.reopen(sub).Subscribe(run, func(work context.Context, e eventstore.Event) error {
			mu.Lock()
			defer mu.Unlock()
			if begun++; begun > cut { // It dies with this one in its hands.
				cancel()
				<-work.Done()
				return context.Cause(work)
			}
			if !slices.Contains(got[e.Stream], e.ID) {
				got[e.Stream] = append(got[e.Stream], e.ID)
				total++
			}
			if total == count(want) {
				cancel()
			}
			return nil
		}, quick, eventstore.WithGrace(0))
		cancel()
		if err != nil {
			t.Errorf("Subscribe: %v", err)
		}
	}
	if ctx.Err() != nil {
		t.Errorf("%v; got %d of %d events", context.Cause(ctx), total, count(want))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("by stream -want, +got:\n%s", diff)
	}
}

// Each subscription gets everything, whatever the others have.
func (s *suite) testSubscribeGroups(ctx context.Context, t testing.TB, store eventstore.Store) {
	subs := []eventstore.Store{s.subscription(store, "one"), s.subscription(store, "two")}
	want := fill(ctx, t, store, 4)
	for _, sub := range subs {
		r := newRecorder(count(want), nil)
		subscribe(ctx, t, sub, r)
		r.wantInOrder(t, want)
	}
	reader, ok := eventstore.As[eventstore.DeadLetterReader](subs[1])
	if !ok {
		return // SubscribeDeadLetter says that the backend lacks them.
	}
	for d, err := range reader.DeadLetters(ctx) {
		t.Errorf("DeadLetters of a subscription without failures: %v, %v; want none", d, err)
	}
}
