package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// fresh is where entries begin that nobody in the group has read.
const fresh = ">"

// fetch reads what follows from. It may be repeated.
func (p *partition) fetch(ctx context.Context, count int) ([]redis.XMessage, error) {
	if p.unsure {
		if err := p.calm(ctx); err != nil {
			return nil, err
		}
		p.unsure, p.from = false, "0"
	}
	if p.many && p.from == fresh {
		entries, err := p.fetchMany(ctx, count)
		if !isForbidden(err) { // By a provider that is older than this: then the script does.
			return entries, err
		}
	}
	p.many = false // Until the script has found much: then no copy of it can take anything any more.
	return p.fetchScripted(ctx, count)
}

// fetchScripted reads by a script, which checks the lease. What it takes, it takes under a number.
func (p *partition) fetchScripted(ctx context.Context, count int) ([]redis.XMessage, error) {
	reply, err := fetchScript.Run(ctx, p.store.client, []string{p.events, p.leased},
		p.token, p.group, layout.RedisConsumer, count, p.from, p.number).Slice()
	if err != nil {
		return nil, err
	}
	if len(reply) != 2 {
		return nil, fmt.Errorf("cannot understand the server's reply %v", reply)
	}
	raw, _ := reply[1].([]any)
	entries, err := decodeEntries(raw)
	if used, _ := reply[0].(int64); err == nil && used == 1 && p.from == fresh {
		p.number++
	}
	return entries, err
}

func decodeEntries(reply []any) ([]redis.XMessage, error) {
	entries := make([]redis.XMessage, len(reply))
	for i, r := range reply {
		entry, _ := r.([]any)
		if len(entry) != 2 {
			return nil, fmt.Errorf("cannot understand the server's reply %v", r)
		}
		entries[i].ID, _ = entry[0].(string)
		fields, _ := entry[1].([]any) // nil if the entry was trimmed away while it was pending.
		entries[i].Values = make(map[string]any, len(fields)/2)
		for n := 1; n < len(fields); n += 2 {
			name, _ := fields[n-1].(string)
			entries[i].Values[name] = fields[n]
		}
	}
	return entries, nil
}

// fetchMany reads in a transaction that does nothing if the lease was touched since we saw that it is ours. It needs more
// round trips than the script. But a script that hands out entries keeps the server twice as long as reading them.
func (p *partition) fetchMany(ctx context.Context, count int) (entries []redis.XMessage, err error) {
	err = p.store.client.Watch(ctx, func(tx *redis.Tx) error {
		token, err := tx.HGet(ctx, p.leased, "token").Result()
		if err != nil {
			return err
		}
		if token != strconv.FormatInt(p.token, 10) {
			return errStale
		}
		p.unsure = true // Until we know what it took.
		var read *redis.XStreamSliceCmd
		_, err = tx.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
			read = pipe.XReadGroup(ctx, &redis.XReadGroupArgs{
				Group: p.group, Consumer: layout.RedisConsumer, Streams: []string{p.events, fresh}, Count: int64(count), Block: -1,
			})
			return nil
		})
		var answer redis.Error
		p.unsure = err != nil && !errors.As(err, &answer)
		if err == nil {
			entries = read.Val()[0].Messages
		}
		return err
	}, p.leased)
	if err == redis.Nil || errors.Is(err, redis.TxFailedErr) { //nolint:errorlint // go-redis returns it bare. Nothing was read.
		return nil, nil
	}
	return entries, err
}

// calm touches the lease: a transaction of ours that is still on its way does nothing any more. What it took is pending, and is
// read with what a predecessor left.
func (p *partition) calm(ctx context.Context) error {
	reply, err := keepScript.Run(ctx, p.store.client, []string{p.leased}, p.token, p.store.timing.lease.Milliseconds()).Slice()
	if err == nil && reply[0] != int64(1) {
		err = errStale
	}
	return err
}
