package eventstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/lifetime"
)

// A View is what a projection makes of a store's events: a table, an index, a file. It keeps the projection's checkpoint too.
//
// If Apply writes events and checkpoint in one transaction, the view has every event exactly once, whatever crashes. If it
// does not, it should write the checkpoint last; then the view gets the events since the last checkpoint again.
type View interface {
	// Checkpoint returns [Batch.To] of the last batch that was applied; nil if there was none.
	Checkpoint(ctx context.Context) (Checkpoint, error)

	// Apply brings the view from b.From to b.To. If the view is not at b.From, because another process applies events too, it
	// should change nothing, and return [ErrConcurrency].
	Apply(ctx context.Context, b Batch) error

	// Reset empties the view, and forgets the checkpoint.
	Reset(ctx context.Context) error
}

// A Batch is some events, and where they lead. Those of one stream are in order.
type Batch struct {
	Events   []Event // At least one.
	From, To Checkpoint
}

// A Projection keeps a [View] up to date. Several processes may run it if the view compares [Batch.From]: one of them is ahead, and
// the others stand by.
type Projection struct {
	// View is what is kept up to date.
	View View

	// BatchSize is how many events are applied at once, if so many wait. Default: 100.
	BatchSize int

	// Since leaves out events that were recorded before. Default: none.
	Since time.Time

	// CaughtUp is called by Run when the view has all events that were there when Run began. Optional.
	CaughtUp func()

	// Logger hears of failures that Run tries to mend. Default: [slog.Default].
	Logger *slog.Logger
}

// Run applies the events since the checkpoint, then new ones as they come, and blocks until ctx ends; then it returns nil.
// After a failure it pauses, for 1s at first and 30s at most, and goes on from the checkpoint. It returns an error if nothing
// can mend it: one that is [Permanent], [ErrUnsupported], or [ErrHistoryLost], after which the view has to be rebuilt.
func (p Projection) Run(ctx context.Context, store Reader) error {
	live, failures := false, 0
	for ctx.Err() == nil {
		progress, err := p.pass(ctx, store, live)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // That ctx ended is no failure.
		}
		switch {
		case err == nil:
			if !live && p.CaughtUp != nil {
				p.CaughtUp()
			}
			live = true
			continue
		case hopeless(err):
			return err
		case progress:
			failures = 0
		}
		failures++
		d, level := DefaultDelivery().Backoff(failures), slog.LevelWarn
		if errors.Is(err, ErrConcurrency) { // Another process is ahead: this one stands by.
			level = slog.LevelDebug
		}
		cmp.Or(p.Logger, slog.Default()).Log(ctx, level, "projection failed, and goes on from its checkpoint", "pause", d, "error", err)
		select {
		case <-time.After(d):
		case <-ctx.Done():
		}
	}
	return nil
}

func hopeless(err error) bool {
	return IsPermanent(err) || errors.Is(err, ErrHistoryLost) || errors.Is(err, ErrUnsupported) || errors.Is(err, lifetime.ErrClosed)
}

// CatchUp applies the events since the checkpoint, up to the last one that was there when it began. It tries once.
func (p Projection) CatchUp(ctx context.Context, store Reader) error {
	_, err := p.pass(ctx, store, false)
	if err == nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// Rebuild empties the view, and applies all events, up to the last one that was there when it began. If it fails, CatchUp or
// Run go on where it stopped. To keep the old view until the new one is there, build the new one under another name.
func (p Projection) Rebuild(ctx context.Context, store Reader) error {
	if err := p.View.Reset(ctx); err != nil {
		return fmt.Errorf("cannot rebuild view: %w", err)
	}
	return p.CatchUp(ctx, store)
}

// pass replays once from the checkpoint on; progress says that something was applied.
func (p Projection) pass(ctx context.Context, store Reader, live bool) (progress bool, err error) {
	at, err := p.View.Checkpoint(ctx)
	if err != nil {
		return false, fmt.Errorf("cannot read the view's checkpoint: %w", err)
	}
	size := max(cmp.Or(p.BatchSize, 100), 1)
	ctx, cancel := context.WithCancel(ctx)
	var failed error
	events := make(chan Event, size) // Full: the replay waits.
	go func() {
		defer close(events)
		failed = forward(ctx, store, Start{After: at, Time: p.Since, Live: live}, events)
	}()
	defer func() { // The replay has ended when pass returns.
		cancel()
		for range events { //nolint:revive // Until it is closed.
		}
	}()
	for e := range events {
		b := Batch{Events: waiting(e, events, size), From: at, To: at}
		for _, e := range b.Events {
			b.To = b.To.With(e.Position)
		}
		if err := p.View.Apply(ctx, b); err != nil {
			return progress, fmt.Errorf("cannot apply %d events from %s on: %w", len(b.Events), e.Position, err)
		}
		at, progress = b.To, true
	}
	return progress, failed
}

func forward(ctx context.Context, store Reader, from Start, to chan<- Event) error {
	for e, err := range store.Replay(ctx, from) {
		if err != nil {
			return err
		}
		select {
		case to <- e:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// waiting returns first and what else can be had without waiting, n events at most.
func waiting(first Event, from <-chan Event, n int) []Event {
	events := []Event{first}
	for len(events) < n {
		select {
		case e, ok := <-from:
			if !ok {
				return events
			}
			events = append(events, e)
		default:
			return events
		}
	}
	return events
}
