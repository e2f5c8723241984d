package arbiter

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/record"
)

// fakeLog is a log in memory that does what brokers do to their clients. It is shared by several arbiters, as a broker is
// by processes. Time is that of a bubble.
type fakeLog struct {
	faults faults

	mu         sync.Mutex
	random     *rand.Rand
	partitions [][]record.Fields
	published  int
	changed    chan struct{}
}

// faults are probabilities, but for the first.
type faults struct {
	delay    time.Duration // The longest of one request.
	copied   float64       // A record lands twice, the second time later.
	vanishes float64       // A record never lands, and its writer hears that it may be missing.
	unheard  float64       // A record lands, and its writer hears that it may be missing.
	repeated float64       // What was read is read once more.
	ends     float64       // The tail stops for a reason that passes.
	told     float64       // A writer hears where its record is.
}

func newFakeLog(partitions int, seed uint64, f faults) *fakeLog {
	return &fakeLog{
		faults: f, random: rand.New(rand.NewPCG(seed, 1)), partitions: make([][]record.Fields, partitions), changed: make(chan struct{}),
	}
}

var errPasses = errors.New("it passes")

func (l *fakeLog) pause() {
	l.mu.Lock()
	d := time.Duration(l.random.Int64N(int64(l.faults.delay) + 1))
	l.mu.Unlock()
	time.Sleep(d)
}

func (l *fakeLog) happens(p float64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.random.Float64() < p
}

func (l *fakeLog) Publish(p int, _ string, fields record.Fields, outcome Outcome) {
	fields = slices.Clone(fields)
	l.mu.Lock()
	l.published++
	l.mu.Unlock()
	go func() {
		l.pause()
		if l.happens(l.faults.vanishes) {
			outcome.Failed(errPasses)
			return
		}
		at := Position{Offset: l.add(p, fields...)}
		if l.happens(l.faults.told) {
			l.pause()
			outcome.Landed(at)
		}
		if l.happens(l.faults.unheard) {
			outcome.Failed(errPasses)
		}
		if l.happens(l.faults.copied) {
			l.pause()
			l.pause()
			l.add(p, fields...)
		}
	}()
}

func (l *fakeLog) add(p int, fields ...record.Field) (offset int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.partitions[p] = append(l.partitions[p], fields)
	close(l.changed)
	l.changed = make(chan struct{})
	return int64(len(l.partitions[p])) - 1
}

func (l *fakeLog) Tail(ctx context.Context, p int, from Position, fold Fold) error {
	for {
		l.mu.Lock()
		changed, records := l.changed, l.partitions[p]
		l.mu.Unlock()
		for from.Offset < int64(len(records)) {
			first := from.Offset
			if first > 0 && l.happens(l.faults.repeated) {
				first--
			}
			to := min(first+1+l.n(3), int64(len(records)))
			var entries []Entry
			for o := first; o < to; o++ {
				entries = append(entries, entryOf(o, records[o]))
			}
			from.Offset = max(from.Offset, to)
			fold(entries, from)
			l.pause()
			if l.happens(l.faults.ends) {
				return errPasses
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (l *fakeLog) n(limit int64) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.random.Int64N(limit)
}

func (l *fakeLog) End(_ context.Context, p int) (Position, error) {
	l.pause()
	l.mu.Lock()
	end := int64(len(l.partitions[p]))
	l.mu.Unlock()
	l.pause()
	return Position{Offset: end}, nil
}

func (l *fakeLog) At(_ context.Context, p int, at Position) (Entry, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if at.Offset >= int64(len(l.partitions[p])) {
		return Entry{}, nil
	}
	return entryOf(at.Offset, l.partitions[p][at.Offset]), nil
}

func entryOf(offset int64, fields record.Fields) Entry {
	v := record.Open(fields)
	return NewEntry(Position{Offset: offset}, &v)
}

// idAt is the id of the first event of a record.
func (l *fakeLog) idAt(p int, at Position) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range l.partitions[p][at.Offset] {
		if f.Name == record.ID {
			return f.Value
		}
	}
	return ""
}
