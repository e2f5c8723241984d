package mirror

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
)

// A table mirrors what the broker has of one kind of resource.
type table[K comparable, V, M any] struct {
	read   *batcher[K, backend.Result[V]]
	query  func(context.Context, []K) []backend.Result[V]
	same   func(a, b V) bool // They differ at most in what moves by itself, such as counts.
	memory map[K]memory[M]   // What was seen last, and outlives its loss.
	recall func(V) memory[M] // What of an observation is to be remembered.
	merge  func(known, seen M) M
	maxAge time.Duration

	mu      sync.Mutex
	reads   int64 // Numbers the reads, to tell which of them began before a write.
	entries map[K]*entry[V]
}

// memory is what was seen last of each partition, under one owner. Who comes after that owner has nothing to do with it.
type memory[M any] struct {
	owner string // UID of the resource; empty: nothing was seen.
	parts map[int]M
}

type entry[V any] struct {
	result    backend.Result[V]
	known     bool
	silent    bool // The last refresh had no answer for anything, and the next one is under way.
	at        time.Time
	number    int64             // Of the read that result is from.
	notBefore int64             // Reads with a smaller number began before a local write, and are not kept.
	watchers  map[string]func() // By their IDs.
	asked     time.Time         // When get was last called.
}

func newTable[K comparable, V, M any](ctx context.Context, o Options, same func(a, b V) bool, recall func(V) memory[M], merge func(known, seen M) M, query func(context.Context, []K) []backend.Result[V]) *table[K, V, M] {
	t := &table[K, V, M]{query: query, same: same, recall: recall, merge: merge, maxAge: 2 * o.Interval, entries: map[K]*entry[V]{}, memory: map[K]memory[M]{}}
	t.read = newBatcher(ctx, o, func(ctx context.Context, keys []K) []backend.Result[V] {
		results, changed := t.load(ctx, keys)
		tellAll(changed) // The refresh will find nothing new any more.
		return results
	})
	return t
}

// get returns what is mirrored, or reads it in a batch. w, if any, is told whenever the background refresh finds that k
// has changed.
func (t *table[K, V, M]) get(ctx context.Context, k K, w *Watcher) (V, error) {
	t.mu.Lock()
	e := t.entry(k)
	e.asked = time.Now()
	if w != nil {
		e.watchers[w.ID] = w.Notify
	}
	if e.known && (e.silent || time.Since(e.at) < t.lifetime(e.result)) {
		defer t.mu.Unlock()
		return e.result.Value, e.result.Err
	}
	t.mu.Unlock()
	return t.fresh(ctx, k)
}

// lifetime is for how long a result is good enough. What failed is soon tried again, but not by everybody at once.
func (t *table[K, V, M]) lifetime(r backend.Result[V]) time.Duration {
	if r.Err != nil {
		return min(t.maxAge, time.Second)
	}
	return t.maxAge
}

// fresh reads from the broker, in a batch that begins after the call.
func (t *table[K, V, M]) fresh(ctx context.Context, k K) (V, error) {
	r, err := t.read.do(ctx, k)
	if err != nil {
		return r.Value, err
	}
	return r.Value, r.Err
}

// forget makes the next get read from the broker. It is called before and after a write, so that neither what was read
// before it nor what was read during it is taken for its outcome.
func (t *table[K, V, M]) forget(k K) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.entry(k)
	e.known, e.notBefore = false, t.reads+1
}

// forgetAll does so with all that match.
func (t *table[K, V, M]) forgetAll(match func(K) bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for k, e := range t.entries {
		if match(k) {
			e.known, e.notBefore = false, t.reads+1
		}
	}
}

// tell notifies the watchers of k after a local write, if there is another than who made it.
func (t *table[K, V, M]) tell(k K) {
	t.mu.Lock()
	var watchers []func()
	if e := t.entries[k]; e != nil && len(e.watchers) > 1 {
		watchers = slices.Collect(maps.Values(e.watchers))
	}
	t.mu.Unlock()
	tellAll(watchers)
}

func tellAll(watchers []func()) {
	for _, notify := range watchers {
		notify()
	}
}

// drop has a watcher of k told no more. What nobody watches is not mirrored any more.
func (t *table[K, V, M]) drop(k K, w *Watcher) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.entries[k]
	if e == nil {
		return
	}
	if w != nil {
		delete(e.watchers, w.ID)
	}
	if len(e.watchers) == 0 {
		delete(t.entries, k)
		delete(t.memory, k)
	}
}

// expire drops what nobody has asked for since: its resource was orphaned, or has got another name.
func (t *table[K, V, M]) expire(since time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for k, e := range t.entries {
		if e.asked.Before(since) {
			delete(t.entries, k)
			delete(t.memory, k)
		}
	}
}

// last returns what is remembered of k under an owner.
func (t *table[K, V, M]) last(k K, owner string) map[int]M {
	t.mu.Lock()
	defer t.mu.Unlock()
	if m := t.memory[k]; m.owner == owner {
		return maps.Clone(m.parts)
	}
	return nil
}

// unlearn drops what is remembered of k.
func (t *table[K, V, M]) unlearn(k K) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.memory, k)
}

// learn remembers what was seen of k. The mutex is held.
func (t *table[K, V, M]) learn(k K, v V) {
	seen := t.recall(v)
	if seen.owner == "" {
		return
	}
	if known := t.memory[k]; known.owner == seen.owner {
		for i, part := range seen.parts {
			if old, ok := known.parts[i]; ok {
				part = t.merge(old, part)
			}
			known.parts[i] = part
		}
		return
	}
	t.memory[k] = seen
}

// silence has the failures to read anything stand until the next refresh: nobody need wait for a broker that hangs to find
// out once more.
func (t *table[K, V, M]) silence() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range t.entries {
		e.silent = e.known && e.result.Err != nil
	}
}

// keys returns what is mirrored.
func (t *table[K, V, M]) keys() []K {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Collect(maps.Keys(t.entries))
}

// each calls fn with everything that was read without an error.
func (t *table[K, V, M]) each(fn func(K, V)) {
	t.mu.Lock()
	seen := make(map[K]V, len(t.entries))
	for k, e := range t.entries {
		if e.known && e.result.Err == nil {
			seen[k] = e.result.Value
		}
	}
	t.mu.Unlock()
	for k, v := range seen {
		fn(k, v)
	}
}

// entry returns that of k, and makes it if there is none. The mutex is held.
func (t *table[K, V, M]) entry(k K) *entry[V] {
	e := t.entries[k]
	if e == nil {
		e = &entry[V]{watchers: map[string]func(){}, asked: time.Now()}
		t.entries[k] = e
	}
	return e
}

// load reads keys and keeps the results. It returns whom to notify: those of whom something other was known.
func (t *table[K, V, M]) load(ctx context.Context, keys []K) (results []backend.Result[V], changed []func()) {
	if len(keys) == 0 {
		return nil, nil
	}
	t.mu.Lock()
	t.reads++
	number := t.reads
	t.mu.Unlock()

	results = t.query(ctx, keys)

	t.mu.Lock()
	defer t.mu.Unlock()
	for i, k := range keys {
		e := t.entries[k]
		if e == nil || number < e.notBefore || number < e.number { // Dropped, or overtaken by a write or a later read.
			continue
		}
		if e.known && !t.equal(e.result, results[i]) {
			changed = slices.AppendSeq(changed, maps.Values(e.watchers))
		}
		e.result, e.number, e.known, e.silent, e.at = results[i], number, true, false, time.Now()
		if results[i].Err == nil {
			t.learn(k, results[i].Value)
		}
	}
	return results, changed
}

func (t *table[K, V, M]) equal(a, b backend.Result[V]) bool {
	if (a.Err == nil) != (b.Err == nil) {
		return false
	}
	return a.Err != nil || t.same(a.Value, b.Value)
}
