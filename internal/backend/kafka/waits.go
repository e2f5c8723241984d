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

// A vigil is a wait for many things. It goes on while some of them arrive, but never to the end of its context: those that
// have arrived are to go on.
type vigil struct {
	left  int       // How many are missing.
	moved time.Time // When the last one arrived.
	end   time.Time // Zero: never.
}

func newVigil(ctx context.Context, left int) *vigil {
	v := &vigil{left: left, moved: time.Now()}
	if t, ok := ctx.Deadline(); ok {
		v.end = v.moved.Add(time.Until(t) * 4 / 5)
	}
	return v
}

// until is when it ends if nothing more arrives.
func (v *vigil) until() time.Time {
	if until := v.moved.Add(stuckAfter); v.end.IsZero() || until.Before(v.end) {
		return until
	}
	return v.end
}

// turn bounds one look at what is missing.
func (v *vigil) turn(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithDeadlineCause(ctx, v.until(), errStuck)
}

// pause is [pause] while so many are missing. It fails when it has waited for long enough.
func (v *vigil) pause(ctx context.Context, turn, left int) error {
	if v.saw(left); time.Now().After(v.until()) {
		return errStuck
	}
	return pause(ctx, turn)
}

// saw notes how many are missing now, and reports whether some have arrived.
func (v *vigil) saw(left int) bool {
	if left >= v.left {
		return false
	}
	v.left, v.moved = left, time.Now()
	return true
}
