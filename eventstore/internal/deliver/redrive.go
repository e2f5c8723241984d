package deliver

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/lifetime"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/refuse"
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

// Letters yields the dead letters that there are when it is called, and none that are renewed meanwhile.
type Letters func(ctx context.Context, yield func(Letter) bool) error

// DeadLetters is [eventstore.DeadLetterReader] for drivers, as long as the store is open.
func DeadLetters(ctx context.Context, b eventstore.Binding, open *lifetime.Lifetime, letters Letters) iter.Seq2[eventstore.DeadLetter, error] {
	return func(yield func(eventstore.DeadLetter, error) bool) {
		for l, err := range letters.of(ctx, b, open) {
			if err != nil {
				err = fmt.Errorf("cannot read dead letters of subscription %q of store %q: %w", b.Subscription, b.Store, err)
			}
			if !yield(l.DeadLetter, err) {
				return
			}
		}
	}
}

// Redrive is [eventstore.Redriver] for drivers, as long as the store is open.
func Redrive(ctx context.Context, b eventstore.Binding, open *lifetime.Lifetime, letters Letters, h eventstore.Handler) (handled int, err error) {
	if handled, err = redrive(ctx, letters.of(ctx, b, open), h); err != nil {
		err = fmt.Errorf("cannot redrive all dead letters of subscription %q of store %q: %w", b.Subscription, b.Store, err)
	}
	return handled, err
}

// of yields the letters, or why there are none.
func (f Letters) of(ctx context.Context, b eventstore.Binding, open *lifetime.Lifetime) iter.Seq2[Letter, error] {
	return func(yield func(Letter, error) bool) {
		err := refuse.Subscribe(b)
		if err == nil {
			var done func()
			if ctx, done, err = open.Begin(ctx); err == nil {
				defer done()
				err = f(ctx, func(l Letter) bool { return yield(l, nil) })
			}
		}
		if err != nil {
			yield(Letter{}, err)
		}
	}
}

func redrive(ctx context.Context, letters iter.Seq2[Letter, error], h eventstore.Handler) (handled int, err error) {
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
			cause = handle(ctx, h, &e)
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
