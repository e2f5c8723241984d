package kafka

import (
	"context"
	"errors"
	"time"
)

// stuckAfter is how long a batch waits for resources that do not get on, before these fail alone.
const stuckAfter = 5 * time.Second

// errStuck says that something was waited for long enough.
var errStuck = dataError{errors.New("the brokers take their time: it is looked at again")}

// briefly bounds a wait, so that what is not there by then leaves time to the others of its batch: at least half of what
// there is.
func briefly(ctx context.Context) (context.Context, context.CancelFunc) {
	d := stuckAfter
	if t, ok := ctx.Deadline(); ok {
		d = min(d, time.Until(t)/2)
	}
	return context.WithTimeoutCause(ctx, d, errStuck)
}

// A vigil is a wait for many things. It goes on while some of them arrive, but never to the end of its context.
type vigil struct {
	left  int       // How many are missing.
	moved time.Time // When the last one arrived.
	end   time.Time // Zero: never.
}

func newVigil(ctx context.Context, left int) *vigil {
	v := &vigil{left: left, moved: time.Now()}
	if t, ok := ctx.Deadline(); ok {
		v.end = v.moved.Add(time.Until(t) * 2 / 3)
	}
	return v
}

// turn bounds one look at what is missing.
func (v *vigil) turn(ctx context.Context) (context.Context, context.CancelFunc) {
	until := v.moved.Add(stuckAfter)
	if !v.end.IsZero() && v.end.Before(until) {
		until = v.end
	}
	return context.WithDeadlineCause(ctx, until, errStuck)
}

// saw notes how many are missing now, and reports whether some have arrived.
func (v *vigil) saw(left int) bool {
	if left >= v.left {
		return false
	}
	v.left, v.moved = left, time.Now()
	return true
}
