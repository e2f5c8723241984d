package pause

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// Pauses grow to a second, however often is tried.
func TestBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for n, want := range map[int]time.Duration{0: shortest, 1: 2 * shortest, 6: longest, 1 << 30: longest} {
			start := time.Now()
			if err := Before(t.Context(), n); err != nil || time.Since(start) != want {
				t.Errorf("Before(%d): %s, %v; want %s", n, time.Since(start), err, want)
			}
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		why := errors.New("closed")
		cancel(why)
		if err := Before(ctx, 6); !errors.Is(err, why) {
			t.Errorf("Before in a context that ended: %v, want its cause", err)
		}
	})
}
