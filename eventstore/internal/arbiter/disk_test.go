package arbiter

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/record"
)

// fakeDisk is a disk in memory.
type fakeDisk struct {
	mu   sync.Mutex
	kept map[int]Kept
	fail bool
}

func newFakeDisk() *fakeDisk { return &fakeDisk{kept: map[int]Kept{}} }

func (s *fakeDisk) Close() error { return nil }

func (s *fakeDisk) Key() []byte { return []byte("key") }

func (s *fakeDisk) Load(p int) (Kept, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.kept[p]
	k.Streams = maps.Clone(k.Streams)
	return k, nil
}

func (s *fakeDisk) Keep(p int, k Kept) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail {
		return errors.New("the disk is full")
	}
	all := maps.Clone(s.kept[p].Streams)
	if all == nil {
		all = map[string]Stream{}
	}
	for name, stream := range k.Streams {
		old := all[name]
		if stream.First != len(old.Full) {
			return fmt.Errorf("%s has %d full chunks, and is to have those from %d on", name, len(old.Full), stream.First)
		}
		all[name] = Stream{Head: stream.Head, Full: append(old.Full[:len(old.Full):len(old.Full)], stream.Full...)}
	}
	s.kept[p] = Kept{Next: k.Next, Mark: k.Mark, Streams: all}
	return nil
}

func (s *fakeDisk) Forget(p int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.kept, p)
	return nil
}

// watched is a log that notes from where it was read.
type watched struct {
	*fakeLog

	mu   sync.Mutex
	from []int64
}

func (w *watched) Tail(ctx context.Context, p int, from Position, fold Fold) error {
	w.mu.Lock()
	w.from = append(w.from, from.Offset)
	w.mu.Unlock()
	return w.fakeLog.Tail(ctx, p, from, fold)
}

// Processes come and go, keep what they know at any time, or crash without. What each says of every record, of every stream
// and of every repetition is what one says that has read everything from the beginning.
func TestDisk(t *testing.T) {
	for seed := range uint64(30) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 2))
			log, disk := newFakeLog(1, seed, faults{delay: time.Millisecond, copied: 0.1, told: 0.5}), newFakeDisk()
			stream := func() eventstore.StreamID {
				return eventstore.StreamID{Type: "order", ID: fmt.Sprint(random.IntN(4))}
			}
			for process := range 6 {
				a := New(log, 1, disk)
				p := a.partitions[0]
				for n := range random.IntN(400) {
					id := fmt.Sprintf("%d-%d", process, n)
					s := stream()
					if _, err := a.Append(t.Context(), Append{Stream: s, Expected: eventstore.Any, Fields: fieldsOf(s, id)}); err != nil {
						t.Fatal(err)
					}
					if random.IntN(50) == 0 {
						if err := p.keep(); err != nil {
							t.Fatal(err)
						}
					}
				}
				crash := random.IntN(2) == 0
				disk.mu.Lock()
				disk.fail = crash
				disk.mu.Unlock()
				a.Close()
				synctest.Wait()
				disk.fail = false
			}
			compare(t, seed, log, disk)
		})
	}
}

// compare looks whether an arbiter with a disk says the same as one without.
func compare(t *testing.T, seed uint64, log *fakeLog, disk Disk) {
	t.Helper()
	with, without := New(log, 1, disk), New(log, 1, nil)
	defer with.Close()
	defer without.Close()
	for _, a := range []*Arbiter{with, without} {
		if err := a.CatchUp(t.Context(), order42); err != nil {
			t.Fatal(err)
		}
	}
	entries := make([]Entry, len(log.partitions[0]))
	for i, fields := range log.partitions[0] {
		entries[i] = entryOf(int64(i), fields)
	}
	got, want := make([]bool, len(entries)), make([]bool, len(entries))
	if err := errors.Join(with.Judge(t.Context(), 0, entries, got), without.Judge(t.Context(), 0, entries, want)); err != nil {
		t.Fatal(err)
	}
	x, y := with.partitions[0].index, without.partitions[0].index
	for i := range entries {
		if got[i] != want[i] {
			t.Fatalf("seed %d: record %d counts: %t, want %t", seed, i, got[i], want[i])
		}
		if want[i] {
			v, ok := x.find(entries[i].stream, entries[i].base, entries[i].id)
			if !ok || v != entries[i].base+1 {
				t.Fatalf("seed %d: record %d is not found again: %d, %t", seed, i, v, ok)
			}
		}
	}
	for name := range y.streams {
		if x.version(name) != y.version(name) {
			t.Errorf("seed %d: %s has version %d, want %d", seed, name, x.version(name), y.version(name))
		}
	}
}

// A restart reads on where the last process ended; if the log is another, it begins anew.
func TestDiskIsLookedAt(t *testing.T) {
	cases := map[string]struct {
		reason string
		change func(*fakeLog, *fakeDisk)
		from   int64
	}{
		"Same":     {reason: "What was read is not read again.", change: func(*fakeLog, *fakeDisk) {}, from: 300},
		"Grown":    {reason: "What came since is read.", change: func(l *fakeLog, _ *fakeDisk) { l.fill(1) }, from: 300},
		"Replaced": {reason: "Another log of that name has other records there.", change: func(l *fakeLog, _ *fakeDisk) { l.partitions[0][299] = recordOf("order/42", "300", "other") }},
		"Shorter":  {reason: "A log that has lost its end is not what was read.", change: func(l *fakeLog, _ *fakeDisk) { l.partitions[0] = l.partitions[0][:200] }},
		"Torn": {reason: "What cannot be understood is worth nothing.", change: func(_ *fakeLog, s *fakeDisk) {
			s.kept[0].Streams["order/42"] = Stream{Head: []byte{0xff}}
		}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log, disk := &watched{fakeLog: newFakeLog(1, 1, faults{})}, newFakeDisk()
				for v := range 300 {
					log.add(0, recordOf("order/42", fmt.Sprint(v+1), fmt.Sprint(v), record.Field{Name: record.Attempt, Value: "x"})...)
				}
				first := New(log, 1, disk)
				if err := first.CatchUp(t.Context(), order42); err != nil {
					t.Fatal(err)
				}
				first.Close()
				tc.change(log.fakeLog, disk)
				log.from = nil
				second := New(log, 1, disk)
				defer second.Close()
				if err := second.CatchUp(t.Context(), order42); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				if len(log.from) != 1 || log.from[0] != tc.from {
					t.Errorf("%s\nit was read from %v, want %d", tc.reason, log.from, tc.from)
				}
			})
		})
	}
}
