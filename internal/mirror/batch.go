package mirror

import (
	"context"
	"sync"
	"time"
)

// A batcher joins concurrent calls into batches. The first call of a batch waits for linger, so that others can join;
// while one batch runs, the next one collects, so that a slow broker gets fewer and larger requests, not more of them.
type batcher[Q, A any] struct {
	ctx     context.Context //nolint:containedctx // The lifetime of the mirror: a batch outlives any one of its callers.
	run     func(context.Context, []Q) []A
	linger  time.Duration
	timeout time.Duration
	running chan struct{} // Holds one token for each batch under way.

	mu   sync.Mutex
	next *batch[Q, A]
}

type batch[Q, A any] struct {
	questions []Q
	answers   []A
	done      chan struct{}
}

func newBatcher[Q, A any](ctx context.Context, o Options, run func(context.Context, []Q) []A) *batcher[Q, A] {
	return &batcher[Q, A]{ctx: ctx, run: run, linger: o.Linger, timeout: o.Timeout, running: make(chan struct{}, 1)}
}

// do returns the answer to q from a batch that began after do was called. If ctx ends first, the batch goes on.
func (b *batcher[Q, A]) do(ctx context.Context, q Q) (answer A, err error) {
	b.mu.Lock()
	mine := b.next
	if mine == nil {
		mine = &batch[Q, A]{done: make(chan struct{})}
		b.next = mine
		go b.flush(mine)
	}
	i := len(mine.questions)
	mine.questions = append(mine.questions, q)
	b.mu.Unlock()

	select {
	case <-mine.done:
		return mine.answers[i], nil
	case <-ctx.Done():
		return answer, context.Cause(ctx)
	}
}

// flush runs one batch. It always closes the batch: after the mirror has ended, run fails at once and says so.
func (b *batcher[Q, A]) flush(mine *batch[Q, A]) {
	select {
	case <-time.After(b.linger):
	case <-b.ctx.Done():
	}
	b.running <- struct{}{}
	defer func() { <-b.running }()

	b.mu.Lock()
	b.next = nil
	b.mu.Unlock()

	ctx, cancel := context.WithTimeout(b.ctx, b.timeout)
	defer cancel()
	mine.answers = b.run(ctx, mine.questions)
	close(mine.done)
}

// A writer joins concurrent writes of one kind into batches.
type writer[C any] struct{ *batcher[C, error] }

func newWriter[C any](ctx context.Context, o Options, operation string, run func(context.Context, []C) []error) *writer[C] {
	return &writer[C]{newBatcher(ctx, o, func(ctx context.Context, changes []C) []error {
		o.Metrics.batch(operation, len(changes))
		return run(ctx, changes)
	})}
}

// write makes one change.
func (w *writer[C]) write(ctx context.Context, c C) error {
	failed, err := w.do(ctx, c)
	if err != nil {
		return err
	}
	return failed
}
