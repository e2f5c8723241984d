package lifetime

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
)

// What runs ends with the lifetime, which waits for it; nothing begins any more.
func TestEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New()
		ctx, done, err := l.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		l.End()
		waited := make(chan struct{})
		go func() { l.Wait(); close(waited) }()
		<-ctx.Done()
		if cause := context.Cause(ctx); !errors.Is(cause, ErrClosed) {
			t.Errorf("it ended because of %v, want ErrClosed", cause)
		}
		synctest.Wait()
		select {
		case <-waited:
			t.Error("nobody waited for what was running")
		default:
		}
		done()
		<-waited
		if _, _, err := l.Begin(t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("begun after the end: %v, want ErrClosed", err)
		}
		l.End() // Closing twice does no harm.
	})
}
