package deliver

import (
	"context"
	"maps"
	"sync"
	"sync/atomic"
)

// Failures counts failed deliveries in this process, as [Log] asks for it. Where another consumer goes on, the count begins
// anew, unless it is told. Its zero value is ready.
type Failures struct {
	mu      sync.Mutex
	byEvent map[string]int // -1: it is a dead letter.
	some    atomic.Bool    // There are any: most events never fail.
}

// Attempts implements [Log].
func (f *Failures) Attempts(r Record, i int) (n int, dead bool) {
	if !f.some.Load() {
		return 0, false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	n = f.byEvent[r.Events[i].Position.Offset]
	return n, n < 0
}

// Failed implements [Log].
func (f *Failures) Failed(_ context.Context, r Record, i, attempts int) error {
	f.note(r, i, attempts)
	return nil
}

// Buried notes that an event is a dead letter.
func (f *Failures) Buried(r Record, i int) { f.note(r, i, -1) }

func (f *Failures) note(r Record, i, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.byEvent == nil {
		f.byEvent = map[string]int{}
	}
	f.byEvent[r.Events[i].Position.Offset] = n
	f.some.Store(true)
}

// Forget forgets a record that is done, and returns the offsets of its events that had failed.
func (f *Failures) Forget(r Record) (failed []string) {
	if !f.some.Load() {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range r.Events {
		if _, ok := f.byEvent[e.Position.Offset]; ok {
			failed = append(failed, e.Position.Offset)
			delete(f.byEvent, e.Position.Offset)
		}
	}
	f.some.Store(len(f.byEvent) > 0)
	return failed
}

// Known returns the count of all events that are not done, by their offsets; -1: it is a dead letter.
func (f *Failures) Known() map[string]int {
	if !f.some.Load() {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.byEvent)
}

// Restore goes on with what another consumer has counted.
func (f *Failures) Restore(known map[string]int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.byEvent = known
	f.some.Store(len(known) > 0)
}
