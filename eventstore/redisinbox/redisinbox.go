// Package redisinbox lets a handler that changes something outside of a database work on each event once:
//
//	inbox := redisinbox.Inbox{Client: client, Consumer: "mail"}
//	err := store.Subscribe(ctx, func(ctx context.Context, e eventstore.Event) error {
//		return inbox.Once(ctx, e, func(ctx context.Context) error { return send(ctx, e) })
//	})
//
// It remembers what was handled in a Redis of the application's own. What the handler does and what Redis remembers are two
// steps: a process that dies between them leaves the event to be handled again. Where the handler changes a database, package
// postgres makes it one step.
package redisinbox

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

// ErrLeaseLost is the cause of a handler's context that ended because Redis was not there, or somebody else took over.
var ErrLeaseLost = errors.New("the inbox's lease is lost")

// An Inbox remembers which events were handled. The Redis should not evict keys, or what was evicted is handled again.
type Inbox struct {
	Client redis.UniversalClient

	// Consumer names who handles: each event is handled once for each name.
	Consumer string

	// Lease is how long an event stays with a process that died. It is renewed while the handler runs. Default: 30s.
	Lease time.Duration

	// Keep is how long a handled event is remembered: longer than any delay of a delivery, a replay of the subscription
	// included. Default: 30 days.
	Keep time.Duration
}

const done = "done"

var (
	// claim takes an event: the reply is 0, or -1 if it was handled, or for how many ms somebody else has it.
	claim = redis.NewScript(`
local v = redis.call('GET', KEYS[1])
if v == 'done' then return -1 end
if v and v ~= ARGV[1] then return math.max(1, redis.call('PTTL', KEYS[1])) end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 0`)

	// settle replaces our claim, or removes it if there is nothing to replace it with. The reply is 0 if it was not ours.
	settle = redis.NewScript(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '' then redis.call('DEL', KEYS[1]) else redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
return 1`)
)

// Once calls f, unless the event was handled before. If f fails, the event can be handled again. While another process works
// on the event, Once waits, as it may yet fail. The context of f ends with [ErrLeaseLost] if another process may begin.
func (i Inbox) Once(ctx context.Context, e eventstore.Event, f func(context.Context) error) error {
	c := claimed{Inbox: i, token: rand.Text(), key: fmt.Sprintf("eventstore:inbox:%s:%s:%s", i.Consumer, e.Stream, e.ID)}
	mine, err := c.take(ctx)
	if err != nil {
		return fmt.Errorf("cannot take event %s of %s in the inbox of %q: %w", e.ID, e.Stream, i.Consumer, err)
	}
	if !mine {
		return nil
	}
	handled := false
	defer func() { // Also if f panics.
		if !handled {
			_ = c.settle(ctx, "", 0) // At worst the lease runs out.
		}
	}()
	if err := c.run(ctx, f); err != nil {
		return err
	}
	handled = true
	if err := c.settle(ctx, done, cmp.Or(i.Keep, 30*24*time.Hour)); err != nil {
		return fmt.Errorf("event %s of %s was handled, but the inbox of %q cannot remember it, so it may be handled again: %w", e.ID, e.Stream, i.Consumer, err)
	}
	return nil
}

// claimed is an event that this process works on.
type claimed struct {
	Inbox
	key, token string
}

func (c claimed) lease() time.Duration { return cmp.Or(c.Lease, 30*time.Second) }

// take waits until the event is ours, or was handled by somebody else.
func (c claimed) take(ctx context.Context) (mine bool, err error) {
	for {
		wait, err := claim.Run(ctx, c.Client, []string{c.key}, c.token, c.lease().Milliseconds()).Int64()
		if err != nil || wait <= 0 {
			return wait == 0, err
		}
		select {
		case <-time.After(min(time.Duration(wait)*time.Millisecond, 100*time.Millisecond)):
		case <-ctx.Done():
			return false, context.Cause(ctx)
		}
	}
}

// run calls f, and renews the lease meanwhile.
func (c claimed) run(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { c.renew(ctx, cancel) })
	defer wg.Wait()
	defer cancel(nil)
	return f(ctx)
}

func (c claimed) renew(ctx context.Context, lost context.CancelCauseFunc) {
	for until := time.Now().Add(c.lease()); ; {
		select {
		case <-time.After(c.lease() / 4):
		case <-ctx.Done():
			return
		}
		begun := time.Now()
		err := c.settle(ctx, c.token, c.lease())
		switch {
		case err == nil:
			until = begun.Add(c.lease())
		case errors.Is(err, ErrLeaseLost) || time.Until(until) < c.lease()/4:
			lost(ErrLeaseLost)
			return
		}
	}
}

// settle replaces our claim; it does so too when ctx has ended, as the work was done.
func (c claimed) settle(ctx context.Context, value string, keep time.Duration) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.lease()/4)
	defer cancel()
	n, err := settle.Run(ctx, c.Client, []string{c.key}, c.token, value, keep.Milliseconds()).Int64()
	if err == nil && n == 0 {
		err = ErrLeaseLost
	}
	return err
}
