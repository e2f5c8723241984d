package sdkbench

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/test/bench/report"
)

// consume has the raw client and the driver read the same events, each for a subscription of its own, and returns how many
// they read in a second.
func (s subject) consume(t *testing.T, size sizes) (raw, own float64) {
	t.Helper()
	secret := s.store(t)
	fill(t, open(t, secret), size.consumed/100, 100)
	n := size.consumed / 100 * 100
	var raws, owns []float64
	for round := range size.rounds {
		sub := s.subscription(t, secret, fmt.Sprintf("raw-%d", round))
		start := time.Now()
		if err := s.consumes(t, sub, n); err != nil {
			t.Fatal(err)
		}
		raws = append(raws, float64(n)/time.Since(start).Seconds())

		store := open(t, s.subscription(t, secret, fmt.Sprintf("own-%d", round)))
		ctx, stop := context.WithCancel(t.Context())
		var handled atomic.Int64
		start = time.Now()
		var took time.Duration
		err := store.Subscribe(ctx, func(context.Context, eventstore.Event) error {
			if handled.Add(1) == int64(n) {
				took = time.Since(start)
				stop()
			}
			return nil
		})
		stop()
		if err != nil {
			t.Fatal(err)
		}
		owns = append(owns, float64(n)/took.Seconds())
	}
	return median(raws), median(owns)
}

// fill appends so many events to each of some streams, one at a time.
func fill(t *testing.T, store eventstore.Store, streams, events int) {
	t.Helper()
	next := make(chan int, streams)
	for i := range streams {
		next <- i
	}
	close(next)
	var wg sync.WaitGroup
	for range 256 {
		wg.Go(func() {
			for i := range next {
				for v := range events {
					if _, err := store.Append(t.Context(), eventstore.StreamID{Type: "order", ID: fmt.Sprint(i)}, eventstore.Version(v), event()); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

// load returns how long it takes to read a stream of 100 events among others.
func (s subject) load(t *testing.T, size sizes) time.Duration {
	t.Helper()
	const events = 100
	store := open(t, s.store(t))
	fill(t, store, 50, events)
	var times []time.Duration
	for i := range size.loads {
		start, n := time.Now(), 0
		for _, err := range store.Read(t.Context(), eventstore.StreamID{Type: "order", ID: fmt.Sprint(i % 50)}, 0) {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		if n != events {
			t.Fatalf("read %d events, want %d", n, events)
		}
		times = append(times, time.Since(start))
	}
	return report.Percentile(times, 50)
}

// reopen opens a store that has events, and returns how long it takes until it has appended one, and what its index needs.
func (s subject) reopen(t *testing.T, size sizes, add func(name string, value float64, unit string)) {
	t.Helper()
	const events = 4
	secret := s.store(t)
	full := open(t, secret)
	fill(t, full, size.streams, events)
	if err := full.Close(); err != nil {
		t.Fatal(err)
	}
	before := heap()
	start := time.Now()
	store := open(t, secret)
	for i := range 64 { // One in each partition at least.
		if _, err := store.Append(t.Context(), eventstore.StreamID{Type: "new", ID: fmt.Sprint(i)}, 0, event()); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			add(fmt.Sprintf("restart with %d events, to the first append", size.streams*events), ms(time.Since(start)), "ms")
		}
	}
	add(fmt.Sprintf("memory for each of %d streams of %d events", size.streams, events), (heap()-before)/float64(size.streams), "bytes")
	runtime.KeepAlive(store)
}

// restart returns how long a process that has an index on disk needs from opening a store to its first append.
func (s subject) restart(t *testing.T, size sizes, add func(name string, value float64, unit string)) {
	t.Helper()
	if !s.indexed {
		return
	}
	const events = 100
	secret, indexed := s.store(t), eventstore.WithIndex(t.TempDir())
	full := open(t, secret, indexed)
	fill(t, full, size.indexed/events, events)
	if err := full.Close(); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	store := open(t, secret, indexed)
	if _, err := store.Append(t.Context(), eventstore.StreamID{Type: "new", ID: "1"}, 0, event()); err != nil {
		t.Fatal(err)
	}
	add(fmt.Sprintf("restart with %d events and an index on disk", size.indexed), ms(time.Since(start)), "ms")
}

func heap() float64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}
