package deliver

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

// A Letter is a dead letter that can be settled, by one of its functions. Each may be called again after an error.
type Letter struct {
	eventstore.DeadLetter

	// Remove removes it for good.
	Remove func(ctx context.Context) error

	// Renew writes it anew, behind all others, and then removes it.
	Renew func(ctx context.Context, attempts int, cause error) error
}

// settleTimeout bounds how long a letter's fate is noted after ctx ended.
const settleTimeout = 10 * time.Second

// Redrive hands letters to a handler, as [eventstore.Redriver] says. Those that are renewed meanwhile must not be among them.
func Redrive(ctx context.Context, letters iter.Seq2[Letter, error], h eventstore.Handler) (handled int, err error) {
	var first error
	failed, held := 0, map[eventstore.StreamID]bool{}
	for l, err := range letters {
		if err != nil {
			return handled, err
		}
		if ctx.Err() != nil {
			return handled, context.Cause(ctx)
		}
		e := l.Event
		var cause error
		if !held[e.Stream] {
			cause = handle(ctx, h, e)
		}
		if cause != nil && ctx.Err() != nil {
			return handled, context.Cause(ctx) // The handler was told to stop: not its failure.
		}
		settle, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
		switch {
		case held[e.Stream]:
			err = l.Renew(settle, l.Attempts, errors.New(l.Reason))
		case cause != nil:
			if held[e.Stream] = true; failed == 0 {
				first = fmt.Errorf("event %s of %s: %w", e.ID, e.Stream, cause)
			}
			failed++
			err = l.Renew(settle, l.Attempts+1, cause)
		default:
			handled++
			err = l.Remove(settle)
		}
		cancel()
		if err != nil {
			return handled, fmt.Errorf("cannot note what became of event %s of %s, which will come again: %w", e.ID, e.Stream, err)
		}
	}
	if failed > 0 {
		return handled, fmt.Errorf("%d of them failed again, first %w", failed, first)
	}
	return handled, nil
}
