package arbiter

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// plain is what the index says, kept in the plainest way.
type plain struct {
	base, count int64
	at          Position
	id          string
}

func TestIndex(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	x, want := newIndex(seeded()), map[string][]plain{}
	var at Position
	for n := range 3000 {
		stream := fmt.Sprintf("order/%d", random.IntN(1+n%5)) // Some are longer than a chunk, by far.
		if at.Offset += 1 + random.Int64N(300); random.IntN(100) == 0 {
			at = Position{at.Segment + 1 + random.Int64N(5), random.Int64N(3)}
		}
		r := plain{base: x.version(stream), count: 1 + random.Int64N(3), at: at, id: fmt.Sprintf("e%d", n)}
		want[stream] = append(want[stream], r)
		h := x.streams[stream]
		if h == nil {
			h = &history{}
			x.streams[stream] = h
		}
		x.add(h, &Entry{Position: r.at, base: r.base, events: r.count, id: r.id})
	}
	for stream, records := range want {
		last := records[len(records)-1]
		if got := x.version(stream); got != last.base+last.count {
			t.Errorf("version of %s: %d, want %d", stream, got, last.base+last.count)
		}
		for i, r := range records {
			checkRecord(t, x, stream, records[i:], r)
			_, newest := x.findNewest(stream, 16, r.id)
			if want := i >= len(records)-16; newest != want {
				t.Errorf("record %d of %d of %s is among the newest 16: %t", i, len(records), stream, newest)
			}
		}
		if got := x.positions(stream, last.base+last.count, 10); got != nil {
			t.Errorf("positions after the end of %s: %v", stream, got)
		}
	}
}

func checkRecord(t *testing.T, x *index, stream string, rest []plain, r plain) {
	t.Helper()
	for inside := range r.count {
		var want []Position
		for _, p := range rest[:min(len(rest), 5)] {
			want = append(want, p.at)
		}
		if diff := cmp.Diff(want, x.positions(stream, r.base+inside, 5)); diff != "" {
			t.Fatalf("positions of %s after %d -want, +got:\n%s", stream, r.base+inside, diff)
		}
	}
	if v, ok := x.find(stream, r.base, r.id); !ok || v != r.base+r.count {
		t.Fatalf("find %s at %d of %s: %d, %t", r.id, r.base, stream, v, ok)
	}
	if _, ok := x.find(stream, r.base, "another"); ok {
		t.Fatalf("find another id at %d of %s: found", r.base, stream)
	}
	if _, ok := x.find(stream, r.base+1, r.id); ok {
		t.Fatalf("find %s at %d of %s: found inside a record, or in another's place", r.id, r.base+1, stream)
	}
	e := Entry{Position: r.at, stream: stream, base: r.base}
	if !x.has(e) {
		t.Fatalf("%v of %s is not in the index", r, stream)
	}
	if e.Position.Offset++; x.has(e) {
		t.Fatalf("a copy of %v of %s is in the index", r, stream)
	}
}

// BenchmarkIndex reports the memory of a stream that has 4 events, and how long a record takes.
func BenchmarkIndex(b *testing.B) {
	const streams, events = 100_000, 4
	var before, after runtime.MemStats
	var judging time.Duration
	for b.Loop() {
		runtime.GC()
		runtime.ReadMemStats(&before)
		p := newPartition(New(nil, 1, nil), 0)
		for n := range streams * events {
			e := entry(int64(n), fmt.Sprintf("order/%012d", n%streams), fmt.Sprint(n/streams+1), fmt.Sprintf("%032d", n))
			start := time.Now()
			p.judge(&e)
			judging += time.Since(start)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/streams, "B/stream")
		runtime.KeepAlive(p)
	}
	b.ReportMetric(float64(judging.Nanoseconds())/float64(b.N)/streams/events, "ns/record")
}
