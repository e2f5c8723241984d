package redisinbox_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/memory"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/redisinbox"
	"github.com/crossplane-contrib/provider-eventstore/internal/redistest"
)

var errBoom = errors.New("boom")

func TestOnce(t *testing.T) {
	server := redistest.Start(t)
	e := eventstore.Event{Stream: eventstore.StreamID{Type: "order", ID: "42"}, ID: "e1"}
	key := "eventstore:inbox:%s:order/42:e1"
	cases := map[string]struct {
		reason string
		calls  func(ctx context.Context, t *testing.T, i redisinbox.Inbox, once func(redisinbox.Inbox, error))
		want   int64
	}{
		"Twice": {reason: "A second delivery does nothing.", want: 1, calls: func(_ context.Context, _ *testing.T, i redisinbox.Inbox, once func(redisinbox.Inbox, error)) {
			once(i, nil)
			once(i, nil)
		}},
		"Fails": {reason: "What failed is done again.", want: 2, calls: func(_ context.Context, _ *testing.T, i redisinbox.Inbox, once func(redisinbox.Inbox, error)) {
			once(i, errBoom)
			once(i, nil)
		}},
		"OtherConsumer": {reason: "Each consumer handles each event.", want: 2, calls: func(_ context.Context, _ *testing.T, i redisinbox.Inbox, once func(redisinbox.Inbox, error)) {
			once(i, nil)
			i.Consumer += "-2"
			once(i, nil)
		}},
		"SideBySide": {reason: "Of many at the same time, one does it, and the others wait for it.", want: 1, calls: func(_ context.Context, _ *testing.T, i redisinbox.Inbox, once func(redisinbox.Inbox, error)) {
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() { once(i, nil) })
			}
			wg.Wait()
		}},
		"Died": {reason: "What a process that died had claimed is taken over when its lease runs out.", want: 1, calls: func(ctx context.Context, t *testing.T, i redisinbox.Inbox, once func(redisinbox.Inbox, error)) {
			if err := server.Admin.Set(ctx, fmt.Sprintf(key, i.Consumer), "somebody", 150*time.Millisecond).Err(); err != nil {
				t.Fatal(err)
			}
			once(i, nil)
		}},
		"Forgotten": {reason: "What is no longer remembered is done again.", want: 2, calls: func(ctx context.Context, t *testing.T, i redisinbox.Inbox, once func(redisinbox.Inbox, error)) {
			i.Keep = time.Hour
			once(i, nil)
			if ttl := server.Admin.PTTL(ctx, fmt.Sprintf(key, i.Consumer)).Val(); ttl <= 59*time.Minute || ttl > time.Hour {
				t.Errorf("it is remembered for %s, want an hour", ttl)
			}
			server.Admin.Del(ctx, fmt.Sprintf(key, i.Consumer))
			once(i, nil)
		}},
		"Renewed": {reason: "A handler may take longer than the lease.", want: 1, calls: func(ctx context.Context, t *testing.T, i redisinbox.Inbox, once func(redisinbox.Inbox, error)) {
			i.Lease = time.Second
			var wg sync.WaitGroup
			err := i.Once(ctx, e, func(ctx context.Context) error {
				wg.Go(func() { once(i, nil) }) // Waits, and finds that it was done.
				select {
				case <-time.After(2500 * time.Millisecond):
				case <-ctx.Done():
					t.Errorf("the lease was not kept: %v", context.Cause(ctx))
				}
				return errBoom
			})
			wg.Wait()
			if !errors.Is(err, errBoom) {
				t.Errorf("Once: %v, want the handler's error", err)
			}
		}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var calls atomic.Int64
			tc.calls(t.Context(), t, redisinbox.Inbox{Client: server.Admin, Consumer: name}, func(i redisinbox.Inbox, fail error) {
				err := i.Once(t.Context(), e, func(context.Context) error {
					calls.Add(1)
					return fail
				})
				if !errors.Is(err, fail) {
					t.Errorf("%s\nOnce: %v, want %v", tc.reason, err, fail)
				}
			})
			if got := calls.Load(); got != tc.want {
				t.Errorf("%s\nhandled %d times, want %d", tc.reason, got, tc.want)
			}
		})
	}
}

// Who lost the lease is told to stop, and not told that it succeeded.
func TestLeaseLost(t *testing.T) {
	server := redistest.Start(t)
	i := redisinbox.Inbox{Client: server.Admin, Consumer: "mail", Lease: 400 * time.Millisecond}
	e := eventstore.Event{Stream: eventstore.StreamID{Type: "order", ID: "42"}, ID: "e1"}
	err := i.Once(t.Context(), e, func(ctx context.Context) error {
		server.Admin.Set(ctx, "eventstore:inbox:mail:order/42:e1", "somebody else", time.Hour)
		select {
		case <-ctx.Done():
		case <-time.After(time.Minute):
			t.Error("the handler's context did not end")
		}
		if !errors.Is(context.Cause(ctx), redisinbox.ErrLeaseLost) {
			t.Errorf("the cause is %v, want ErrLeaseLost", context.Cause(ctx))
		}
		return nil
	})
	if !errors.Is(err, redisinbox.ErrLeaseLost) {
		t.Errorf("Once: %v, want ErrLeaseLost", err)
	}
	func() {
		defer func() { _ = recover() }()
		e.ID = "e2"
		_ = i.Once(t.Context(), e, func(context.Context) error { panic("boom") })
	}()
	if n := server.Admin.Exists(t.Context(), "eventstore:inbox:mail:order/42:e2").Val(); n != 0 {
		t.Error("a handler that panicked keeps its claim")
	}
}

// Without Redis nothing is handled: nobody could tell whether it was before.
func TestNoRedis(t *testing.T) {
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1})
	defer client.Close()
	err := redisinbox.Inbox{Client: client, Consumer: "mail"}.Once(t.Context(), eventstore.Event{ID: "e1"}, func(context.Context) error {
		t.Error("the handler was called")
		return nil
	})
	if err == nil {
		t.Error("Once succeeded")
	}
}

func ExampleInbox() {
	ctx := context.Background()
	client := redis.NewClient(&redis.Options{Addr: "localhost:6379"}) // The application's own.
	defer client.Close()
	store := memory.New()
	defer store.Close()

	inbox := redisinbox.Inbox{Client: client, Consumer: "mail"}
	_ = store.Subscribe(ctx, func(ctx context.Context, e eventstore.Event) error {
		return inbox.Once(ctx, e, func(ctx context.Context) error {
			fmt.Println("a mail for", e.Stream)
			if errors.Is(context.Cause(ctx), redisinbox.ErrLeaseLost) {
				fmt.Println("another process may send it too")
			}
			return nil
		})
	})
}
