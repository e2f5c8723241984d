// Package pause waits between attempts.
package pause

import (
	"context"
	"time"
)

const (
	shortest = 20 * time.Millisecond
	longest  = time.Second
)

// Before waits before the n-th repetition, counted from 0: longer each time, and at most a second. The error is why ctx ended.
func Before(ctx context.Context, n int) error {
	select {
	case <-time.After(min(shortest<<min(n, 10), longest)):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
