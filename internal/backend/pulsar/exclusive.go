package pulsar

import (
	"context"
	"sync"

	"golang.org/x/sync/semaphore"
)

// everybody is how many may hold a store's lock at once: all who apply changes, or one who deletes.
const everybody = 1 << 30

// exclusion keeps the deletion of a store apart from changes of it and of its subscriptions. A namespace in which a topic is
// made while it is being deleted stays half deleted for ever: Pulsar answers for it to nobody any more.
type exclusion struct {
	mu    sync.Mutex
	locks map[string]*storeLock
}

type storeLock struct {
	*semaphore.Weighted
	users int
}

// shared lets others work on the store as well, and waits while it is being deleted. The caller calls release.
func (e *exclusion) shared(ctx context.Context, store string) (release func(), err error) {
	return e.acquire(ctx, store, 1)
}

// alone waits until nobody else works on the store. The caller calls release.
func (e *exclusion) alone(ctx context.Context, store string) (release func(), err error) {
	return e.acquire(ctx, store, everybody)
}

func (e *exclusion) acquire(ctx context.Context, store string, n int64) (release func(), err error) {
	e.mu.Lock()
	if e.locks == nil {
		e.locks = map[string]*storeLock{}
	}
	l := e.locks[store]
	if l == nil {
		l = &storeLock{Weighted: semaphore.NewWeighted(everybody)}
		e.locks[store] = l
	}
	l.users++
	e.mu.Unlock()
	leave := func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		if l.users--; l.users == 0 {
			delete(e.locks, store)
		}
	}
	if err := l.Acquire(ctx, n); err != nil {
		leave()
		return nil, context.Cause(ctx)
	}
	return func() { l.Release(n); leave() }, nil
}
