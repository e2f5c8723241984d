package redis

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

// reply is what the server says of one partition's lease.
type reply struct {
	partition int
	n         int64  // Taken: the token. Kept: 1. Else 0.
	who       string // Who holds it, or waits for it; empty: nobody.
	holds     bool   // Whether who holds it.
}

// tick renews what is held, takes what is free, and asks others for what is due.
func (c *consumer) tick(ctx, work context.Context) {
	asked := time.Now()
	replies, err := c.ask(ctx)
	if err != nil {
		return // Leases that are not renewed in time end by themselves.
	}
	owned := map[string]int{}
	for _, r := range replies {
		switch held := c.held[r.partition]; {
		case held != nil && r.n == 0:
			held.expiry.Reset(0)
		case held != nil:
			held.expiry.Reset(time.Until(c.safe(asked)))
			owner := c.id
			if held.given {
				owner = r.who
			}
			owned[owner]++
		case r.n > 0:
			c.begin(ctx, work, r.partition, r.n, asked)
			owned[c.id]++
		case r.holds:
			owned[r.who]++
		}
	}
	if ctx.Err() == nil {
		c.balance(ctx, replies, owned)
	}
}

// ask renews and takes in one request. While it stops, a consumer takes nothing new.
func (c *consumer) ask(ctx context.Context) ([]reply, error) {
	stopping := ctx.Err() != nil
	ctx, cancel := c.store.answer(ctx)
	defer cancel()
	ttl := c.store.timing.lease.Milliseconds()
	pipe := c.store.client.Pipeline()
	commands := map[int]*redis.Cmd{}
	for p := range c.store.Partitions {
		key := []string{c.leaseKey(p)}
		if held := c.held[p]; held != nil {
			commands[p] = keepScript.Eval(ctx, pipe, key, held.token, ttl)
		} else if !stopping {
			commands[p] = takeScript.Eval(ctx, pipe, key, c.id, ttl, c.tokens[p])
		}
	}
	if len(commands) == 0 {
		return nil, nil
	}
	_, err := pipe.Exec(ctx)
	if err != nil && c.refused(err) {
		c.Fail(c.store.explain(err))
		return nil, err
	}
	if err == nil {
		c.denied = time.Time{}
	}
	replies := make([]reply, 0, len(commands))
	for p := range c.store.Partitions {
		command := commands[p]
		if command == nil {
			continue
		}
		v, ok := command.Val().([]any) // Both scripts return a table.
		if !ok || command.Err() != nil {
			continue // Of a cluster, one server alone may not answer. The others' leases go on.
		}
		r := reply{partition: p}
		r.n, _ = v[0].(int64)
		r.who, _ = v[1].(string)
		r.holds = len(v) > 2 && v[2] == "held"
		replies = append(replies, r)
	}
	if len(replies) == 0 {
		return nil, err
	}
	return replies, nil
}

// refused reports whether asking again is useless. A user that is unknown, or has another password, may be known soon: a
// server that restarts without a file of users gets them again from the provider, and a Secret comes later than the password.
func (c *consumer) refused(err error) bool {
	if !isUnauthenticated(err) {
		return redis.HasErrorPrefix(err, "NOPERM") || errors.Is(err, eventstore.ErrRestart)
	}
	if c.denied.IsZero() {
		c.denied = time.Now()
	}
	return time.Since(c.denied) > c.store.timing.patience
}

func isUnauthenticated(err error) bool {
	return redis.HasErrorPrefix(err, "WRONGPASS") || redis.HasErrorPrefix(err, "NOAUTH")
}

// balance moves towards equal shares: whoever has at least two partitions less than another asks it for one, and who is
// asked gives if it sees the same.
func (c *consumer) balance(ctx context.Context, replies []reply, owned map[string]int) {
	for _, r := range replies {
		held := c.held[r.partition]
		switch {
		case held != nil && !held.given && r.who != "" && owned[c.id]-owned[r.who] >= 2:
			held.given = true
			held.stop() // The partition finishes what it has, and then is released.
			owned[c.id]--
			owned[r.who]++
		case held == nil && r.holds && owned[r.who]-owned[c.id] >= 2:
			answer, cancel := c.store.answer(ctx)
			_ = wantScript.Run(answer, c.store.client, []string{c.leaseKey(r.partition)}, c.id, 5*c.store.timing.tick.Milliseconds()).Err()
			cancel()
			owned[r.who]--
			owned[c.id]++
		}
	}
}
