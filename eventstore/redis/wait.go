package redis

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/crossplane-contrib/provider-eventstore/internal/connect/redisclient"
)

// A waiter waits for new entries of several partitions, and cannot tell whether what it finds is what follows.
type waiter interface {
	// wait returns keys that have entries after the ids, or none after a while.
	wait(ctx context.Context, after map[string]string) (keys []string, err error)
	close()
}

func (s *store) waiters(ctx context.Context) (waiter, error) {
	client, err := s.blocking(ctx)
	if err != nil {
		return nil, err
	}
	if s.connection.Mode == redisclient.ModeCluster {
		return &apart{client: client, block: s.timing.block, asked: map[string]bool{}, found: make(chan finding, s.Partitions)}, nil
	}
	return &together{client: client, block: s.timing.block}, nil
}

// blocking returns a client for commands that block: it is closed when ctx ends, which cuts them short. The caller closes
// it too.
func (s *store) blocking(ctx context.Context) (redis.UniversalClient, error) {
	c := s.connection
	c.PoolSize = s.Partitions + 1
	client, err := c.Client()
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { _ = client.Close() })
	return client, nil
}

// together waits with one command, because one server has all partitions.
type together struct {
	client redis.UniversalClient
	block  time.Duration
}

func (w *together) wait(ctx context.Context, after map[string]string) (keys []string, err error) {
	var names, ids []string
	for k, id := range after {
		names, ids = append(names, k), append(ids, id)
	}
	streams, err := w.client.XRead(ctx, &redis.XReadArgs{Streams: append(names, ids...), Count: 1, Block: w.block}).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, err
	}
	for _, s := range streams {
		keys = append(keys, s.Stream)
	}
	return keys, nil
}

func (w *together) close() { _ = w.client.Close() }

// apart waits for each partition by itself, because a command of a cluster cannot name keys of several slots.
type apart struct {
	client redis.UniversalClient
	block  time.Duration
	asked  map[string]bool // Somebody waits for it.
	found  chan finding
	wg     sync.WaitGroup
}

// finding is what came of waiting for one partition.
type finding struct {
	key string
	any bool
	err error
}

func (w *apart) wait(ctx context.Context, after map[string]string) (keys []string, err error) {
	for k, id := range after {
		if !w.asked[k] {
			w.asked[k] = true
			w.wg.Go(func() { w.found <- w.ask(ctx, k, id) })
		}
	}
	for first := true; first || len(w.found) > 0; first = false {
		f := <-w.found
		w.asked[f.key] = false
		if f.any {
			keys = append(keys, f.key)
		}
		err = errors.Join(err, f.err)
	}
	return keys, err
}

func (w *apart) ask(ctx context.Context, key, after string) finding {
	streams, err := w.client.XRead(ctx, &redis.XReadArgs{Streams: []string{key, after}, Count: 1, Block: w.block}).Result()
	if errors.Is(err, redis.Nil) {
		err = nil
	}
	return finding{key: key, any: len(streams) > 0, err: err}
}

// close waits for those who wait: found has room for all of them.
func (w *apart) close() {
	_ = w.client.Close()
	w.wg.Wait()
}
