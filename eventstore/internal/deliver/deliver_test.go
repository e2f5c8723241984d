package deliver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

// fakeLog remembers what became of records.
type fakeLog struct {
	mu       sync.Mutex
	done     []string
	dead     []string
	noted    map[string]int
	deadErrs int // How often writing a dead letter fails.
}

func (l *fakeLog) Done(r Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done = append(l.done, r.ID)
}

func (l *fakeLog) Attempts(r Record, i int) (int, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.noted[r.Events[i].ID]
	return n, n < 0
}

func (l *fakeLog) Failed(_ context.Context, r Record, i, attempts int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.noted[r.Events[i].ID] = attempts
	return nil
}

func (l *fakeLog) Dead(_ context.Context, r Record, i, attempts int, cause error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.deadErrs > 0 {
		l.deadErrs--
		return errors.New("no connection")
	}
	reason, _, _ := strings.Cut(cause.Error(), "\n")
	l.dead = append(l.dead, fmt.Sprintf("%s after %d: %s", r.Events[i].ID, attempts, reason))
	return nil
}

// rec returns a record of events "<stream><n>", as in rec("a1", "a2").
func rec(ids ...string) Record {
	r := Record{ID: strings.Join(ids, "+")}
	for _, id := range ids {
		r.Events = append(r.Events, eventstore.Event{
			ID: id, Type: id[:1], Stream: eventstore.StreamID{Type: "s", ID: id[:1]},
		})
	}
	return r
}

func delivery() eventstore.Delivery {
	d := eventstore.DefaultDelivery()
	d.MaxDeliveries = 3
	return d
}

func TestQueue(t *testing.T) {
	failing := errors.New("failing")
	type want struct {
		Done, Dead, Handled []string // Handled has the time since the start.
		Failed              bool
	}
	cases := map[string]struct {
		reason   string
		delivery func(*eventstore.Delivery)
		records  []Record
		handle   func(id string, attempt int) error
		noted    map[string]int
		deadErrs int
		want     want
	}{
		"Order": {
			reason:  "Events of a stream come one after another, whatever record they are in.",
			records: []Record{rec("a1"), rec("a2", "a3"), rec("a4")},
			want:    want{Done: []string{"a1", "a2+a3", "a4"}, Handled: []string{"a1 0s", "a2 0s", "a3 0s", "a4 0s"}},
		},
		"RetryBlocksItsStream": {
			reason:  "While a1 waits, a2 does too, and b1 does not.",
			records: []Record{rec("a1"), rec("a2"), rec("b1")},
			handle: func(id string, attempt int) error {
				if id == "a1" && attempt < 3 {
					return failing
				}
				return nil
			},
			delivery: func(d *eventstore.Delivery) { d.Concurrency = 1 },
			want:     want{Done: []string{"b1", "a1", "a2"}, Handled: []string{"a1 0s", "b1 0s", "a1 1s", "a1 3s", "a2 3s"}},
		},
		"DeadLetter": {
			reason:  "An event that fails for good is given up, and its stream goes on.",
			records: []Record{rec("a1", "a2")},
			handle: func(id string, _ int) error {
				if id == "a1" {
					return failing
				}
				return nil
			},
			deadErrs: 1,
			want: want{
				Done: []string{"a1+a2"}, Dead: []string{"a1 after 3: failing"},
				Handled: []string{"a1 0s", "a1 1s", "a1 3s", "a2 4s"}, // One more second: the first letter was not written.
			},
		},
		"Permanent": {
			reason:  "What no retry mends is not retried.",
			records: []Record{rec("a1")},
			handle:  func(string, int) error { return fmt.Errorf("wrapped: %w", eventstore.Permanent(failing)) },
			want:    want{Done: []string{"a1"}, Dead: []string{"a1 after 1: wrapped: failing"}, Handled: []string{"a1 0s"}},
		},
		"Panic": {
			reason:  "A handler that panics has failed.",
			records: []Record{rec("a1")},
			handle: func(_ string, attempt int) error {
				if attempt == 1 {
					panic("oops")
				}
				return eventstore.Permanent(failing)
			},
			want: want{Done: []string{"a1"}, Dead: []string{"a1 after 2: failing"}, Handled: []string{"a1 0s", "a1 1s"}},
		},
		"NoDeadLetters": {
			reason:   "Without dead letters a permanent failure ends everything, and nothing is acknowledged.",
			delivery: func(d *eventstore.Delivery) { d.DeadLetter = false },
			records:  []Record{rec("a1"), rec("a2")},
			handle:   func(string, int) error { return eventstore.Permanent(failing) },
			want:     want{Handled: []string{"a1 0s"}, Failed: true},
		},
		"NoDeadLettersRetries": {
			reason:   "Without dead letters retries do not end.",
			delivery: func(d *eventstore.Delivery) { d.DeadLetter = false },
			records:  []Record{rec("a1")},
			handle: func(_ string, attempt int) error {
				if attempt < 5 {
					return failing
				}
				return nil
			},
			want: want{Done: []string{"a1"}, Handled: []string{"a1 0s", "a1 1s", "a1 3s", "a1 7s", "a1 15s"}},
		},
		"Earlier": {
			reason:  "What failed in another process counts, and what was given up there is not tried again.",
			records: []Record{rec("a1"), rec("b1")},
			noted:   map[string]int{"a1": -1, "b1": 2},
			handle:  func(string, int) error { return failing },
			want:    want{Done: []string{"a1", "b1"}, Dead: []string{"b1 after 3: failing"}, Handled: []string{"b1 0s"}},
		},
		"Filter": {
			reason:   "Types that are not asked for are acknowledged unseen.",
			delivery: func(d *eventstore.Delivery) { d.EventTypes = []string{"b"} },
			records:  []Record{rec("b1"), rec("a1"), {ID: "trimmed"}},
			want:     want{Done: []string{"b1", "a1", "trimmed"}, Handled: []string{"b1 0s"}},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log := &fakeLog{noted: map[string]int{}, deadErrs: tc.deadErrs}
				for id, n := range tc.noted {
					log.noted[id] = n
				}
				var got want
				var mu sync.Mutex
				attempts, start := map[string]int{}, time.Now()
				d := delivery()
				if tc.delivery != nil {
					tc.delivery(&d)
				}
				stop, cancel := context.WithCancel(t.Context())
				defer cancel()
				c := newConsumer(d, func(_ context.Context, e eventstore.Event) error {
					mu.Lock()
					attempts[e.ID]++
					n := attempts[e.ID]
					got.Handled = append(got.Handled, fmt.Sprintf("%s %s", e.ID, time.Since(start)))
					mu.Unlock()
					if tc.handle == nil {
						return nil
					}
					return tc.handle(e.ID, n)
				}, func(error) {
					got.Failed = true
					cancel()
				})
				q := c.Queue(stop, t.Context(), log)
				for _, r := range tc.records {
					q.Add(r)
					synctest.Wait() // So that what begins at the same time begins in this order.
				}
				q.Wait()
				got.Done, got.Dead = log.done, log.dead
				if diff := cmp.Diff(tc.want, got); diff != "" {
					t.Errorf("%s\n-want, +got:\n%s", tc.reason, diff)
				}
			})
		})
	}
}

// A stop lets the record that was begun end, begins no other, and ends a pause at once.
func TestQueueStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stop, cancel := context.WithCancel(t.Context())
		defer cancel()
		work, release := Grace(stop, 10*time.Second)
		defer release()
		log, start := &fakeLog{noted: map[string]int{}}, time.Now()
		c := newConsumer(delivery(), func(_ context.Context, e eventstore.Event) error {
			if e.Type == "b" {
				return errors.New("pause for a second")
			}
			select {
			case <-time.After(300 * time.Millisecond):
			case <-work.Done():
			}
			return nil
		}, func(error) {})
		q := c.Queue(stop, work, log)
		for _, r := range []Record{rec("a1", "a2"), rec("a3"), rec("b1")} {
			q.Add(r)
		}
		time.AfterFunc(100*time.Millisecond, cancel)
		q.Wait()
		if diff := cmp.Diff([]string{"a1+a2"}, log.done); diff != "" {
			t.Errorf("done -want, +got:\n%s", diff)
		}
		if took := time.Since(start); took != 600*time.Millisecond {
			t.Errorf("took %s, want 600ms: both events of the record that was begun, and no pause", took)
		}
	})
}

// Records share memory, and one may wait for long.
func TestQueueLetsGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stop, cancel := context.WithCancel(t.Context())
		c := newConsumer(delivery(), func(_ context.Context, e eventstore.Event) error {
			if e.Type == "b" {
				return errors.New("waits")
			}
			return nil
		}, func(error) {})
		q := c.Queue(stop, t.Context(), &fakeLog{noted: map[string]int{}})
		records := []Record{rec("a1", "a2"), rec("b1")}
		done, waits := records[0].Events, records[1].Events
		for _, events := range [][]eventstore.Event{done, waits} {
			for i := range events {
				events[i].Data = []byte("payload")
			}
		}
		q.Add(records...)
		synctest.Wait()
		if done[0].Data != nil || done[1].Data != nil || records[0].Events != nil {
			t.Errorf("a record that is done still has %v", records[0])
		}
		if string(waits[0].Data) != "payload" {
			t.Errorf("the payload of a record that waits is %q", waits[0].Data)
		}
		cancel()
		q.Wait()
	})
}

// A handler that does not end in time is told so, and its event is neither acknowledged nor counted as failed.
func TestQueueGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stop, cancel := context.WithCancel(t.Context())
		defer cancel()
		work, release := Grace(stop, 10*time.Second)
		defer release()
		log, start := &fakeLog{noted: map[string]int{}}, time.Now()
		c := newConsumer(delivery(), func(ctx context.Context, _ eventstore.Event) error {
			<-ctx.Done()
			return context.Cause(ctx)
		}, func(error) {})
		q := c.Queue(stop, work, log)
		q.Add(rec("a1"))
		time.AfterFunc(time.Second, cancel)
		q.Wait()
		if took := time.Since(start); took != 11*time.Second || len(log.done)+len(log.dead)+len(log.noted) != 0 || !errors.Is(context.Cause(work), ErrGrace) {
			t.Errorf("took %s, log %+v, cause %v; want 11s, nothing, ErrGrace", took, log, context.Cause(work))
		}
	})
}

// A stream with many records does not keep others waiting that need the same worker.
func TestQueueTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := delivery()
		d.Concurrency = 1
		log := &fakeLog{noted: map[string]int{}}
		q := newConsumer(d, func(context.Context, eventstore.Event) error { return nil }, func(error) {}).Queue(t.Context(), t.Context(), log)
		var records []Record
		var want []string
		for range 2*turn + 1 {
			records, want = append(records, rec("a1")), append(want, "a1")
		}
		q.Add(append(records, rec("b1"))...)
		q.Wait()
		if diff := cmp.Diff(slices.Insert(want, turn, "b1"), log.done); diff != "" {
			t.Errorf("done -want, +got:\n%s", diff)
		}
	})
}

// While a stream waits for its next attempt, its worker's place is another's.
func TestQueueAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := delivery()
		d.Concurrency = 1
		log := &fakeLog{noted: map[string]int{}}
		q := newConsumer(d, func(_ context.Context, e eventstore.Event) error {
			if e.Type == "a" {
				return errors.New("waits")
			}
			return nil
		}, func(error) {}).Queue(t.Context(), t.Context(), log)
		q.Add(rec("a1"), rec("b1"))
		q.Wait()
		if diff := cmp.Diff([]string{"b1", "a1"}, log.done); diff != "" {
			t.Errorf("done -want, +got:\n%s", diff)
		}
	})
}

// However many streams come back from a pause at the same time, no more handlers run than may, and all records are done in the
// order of their streams.
func TestQueueConcurrency(t *testing.T) {
	for name, unordered := range map[string]bool{"Ordered": false, "Unordered": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const streams, each, concurrency = 50, 40, 3
				d := delivery()
				d.Concurrency, d.Unordered = concurrency, unordered
				var running, most atomic.Int32
				var mu sync.Mutex
				handled := map[eventstore.StreamID][]eventstore.Version{}
				c := newConsumer(d, func(_ context.Context, e eventstore.Event) error {
					defer running.Add(-1)
					n := running.Add(1)
					time.Sleep(time.Millisecond)
					mu.Lock()
					defer mu.Unlock()
					most.Store(max(most.Load(), n))
					if e.Version == 1 && !slices.Contains(handled[e.Stream], 0) {
						handled[e.Stream] = append(handled[e.Stream], 0) // As it failed.
						return errors.New("once")
					}
					handled[e.Stream] = append(handled[e.Stream], e.Version)
					return nil
				}, func(error) {})
				log := &fakeLog{noted: map[string]int{}}
				first, second := c.Queue(t.Context(), t.Context(), log), c.Queue(t.Context(), t.Context(), log)
				for v := range each {
					for i := range streams {
						q := []*Queue{first, second}[i%2]
						id := eventstore.StreamID{Type: "s", ID: fmt.Sprint(i)}
						q.Add(Record{Events: []eventstore.Event{{Stream: id, Version: eventstore.Version(v + 1)}}})
					}
				}
				first.Wait()
				second.Wait()
				if n := len(log.done); n != streams*each || most.Load() != concurrency {
					t.Errorf("%d records are done and %d handlers ran at once, want %d and %d", n, most.Load(), streams*each, concurrency)
				}
				for id, versions := range handled {
					if !unordered && !slices.IsSorted(versions) {
						t.Errorf("%s was handled as %v", id, versions)
					}
				}
				if len(first.lines)+len(second.lines)+first.workers+second.workers != 0 {
					t.Errorf("queues keep %d and %d streams, %d and %d workers", len(first.lines), len(second.lines), first.workers, second.workers)
				}
			})
		})
	}
}
