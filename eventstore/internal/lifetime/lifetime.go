// Package lifetime ends what runs on an open store when the store is closed.
package lifetime

import (
	"context"
	"errors"
	"sync"
)

// ErrClosed is the cause of what ends because the store was closed.
var ErrClosed = errors.New("store is closed")

// A Lifetime lasts until End. Its methods may be called concurrently.
type Lifetime struct {
	ended context.Context
	end   context.CancelFunc
	mu    sync.Mutex // Guards wg against an Add while Wait waits.
	wg    sync.WaitGroup
}

// New returns a lifetime that has begun.
func New() *Lifetime {
	l := &Lifetime{}
	l.ended, l.end = context.WithCancel(context.Background())
	return l
}

// Begin registers work. Its context ends with ctx or with the lifetime, which then waits until done is called. The error is
// [ErrClosed] if the lifetime has ended.
func (l *Lifetime) Begin(ctx context.Context) (_ context.Context, done func(), err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended.Err() != nil {
		return nil, nil, ErrClosed
	}
	l.wg.Add(1)
	ctx, cancel := context.WithCancelCause(ctx)
	unhook := context.AfterFunc(l.ended, func() { cancel(ErrClosed) })
	return ctx, func() {
		unhook()
		cancel(nil)
		l.wg.Done()
	}, nil
}

// End ends the contexts of all work, and refuses more.
func (l *Lifetime) End() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end()
}

// Wait returns when all work is done. It is called after End.
func (l *Lifetime) Wait() { l.wg.Wait() }
