// Package redis is the driver for stores on Redis Streams, version 7 or later. Import it for its side effect:
//
//	import _ "github.com/crossplane-contrib/provider-eventstore/eventstore/redis"
//
// An append is one Lua script: it compares versions, writes one stream entry and one entry of the index. docs/layout.md
// names the keys. Redis replicates asynchronously: a failover can lose appends that were acknowledged.
package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/lifetime"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect/redisclient"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

func init() { eventstore.Register("redis", driver{}) }

type driver struct{}

// store is an open store. Its methods are in files by what they do.
type store struct {
	eventstore.Binding
	connection redisclient.Config
	client     redis.UniversalClient
	timing     timing

	open *lifetime.Lifetime // Until Close.
}

var (
	_ eventstore.Store            = (*store)(nil)
	_ eventstore.DeadLetterReader = (*store)(nil)
)

// Open implements [eventstore.Driver].
func (driver) Open(ctx context.Context, b eventstore.Binding) (eventstore.Store, error) {
	s, err := open(ctx, b)
	if err != nil {
		return nil, fmt.Errorf("cannot open store %q: %w", b.Store, err)
	}
	return s, nil
}

func open(ctx context.Context, b eventstore.Binding) (*store, error) {
	s := &store{Binding: b, connection: connection(b), timing: defaultTiming, open: lifetime.New()}
	var err error
	if s.client, err = s.connection.Client(); err != nil {
		return nil, err
	}
	if err := s.check(ctx); err != nil {
		return nil, errors.Join(s.explain(err), s.Close())
	}
	return s, nil
}

// check compares the store's marker with the Secret, and looks for signs that events are gone.
func (s *store) check(ctx context.Context) error {
	names := []string{layout.RedisMarkerLayout, layout.RedisMarkerPartitions, layout.RedisMarkerHash, layout.RedisMarkerKind}
	kind := layout.Sourcing
	if s.Streaming {
		kind = layout.Streaming
	}
	want := []string{strconv.Itoa(s.Layout), strconv.Itoa(s.Partitions), layout.Hash, string(kind)}
	got, err := s.client.HMGet(ctx, layout.RedisMarker(s.Store), names...).Result()
	if err != nil {
		return err
	}
	if got[0] == nil {
		return fmt.Errorf("its marker is gone: the store was deleted, or the server lost its data: %w", eventstore.ErrHistoryLost)
	}
	for i, name := range names {
		if got[i] != want[i] {
			return fmt.Errorf("its marker on the server says %s %v, the Secret says %s: the Secret is of another store, or stale", name, got[i], want[i])
		}
	}
	if s.Streaming {
		return nil
	}
	return s.checkHistory(ctx)
}

// checkHistory compares, for each partition of a sourcing store, how many entries were ever added with how many there are.
func (s *store) checkHistory(ctx context.Context) error {
	pipe := s.client.Pipeline()
	infos := make([]*redis.XInfoStreamCmd, s.Partitions)
	for p := range infos {
		infos[p] = pipe.XInfoStream(ctx, layout.RedisEvents(s.Store, p))
	}
	// Without a connection, only Exec says so, and not the commands.
	if _, err := pipe.Exec(ctx); err != nil && !isNoKey(err) {
		return err
	}
	for p, info := range infos {
		i, err := info.Result()
		if isNoKey(err) {
			continue // Nothing was appended yet. If something was, its index tells: see Read and Append.
		}
		if err != nil {
			return err
		}
		if i.EntriesAdded > i.Length {
			return fmt.Errorf("partition %d had %d records and has %d: %w", p, i.EntriesAdded, i.Length, eventstore.ErrHistoryLost)
		}
	}
	return nil
}

// Close ends subscriptions and replays, waits for them, and closes the connections.
func (s *store) Close() error {
	s.open.End()
	s.open.Wait()
	if err := s.client.Close(); err != nil && !errors.Is(err, redis.ErrClosed) {
		return fmt.Errorf("cannot close store %q: %w", s.Store, err)
	}
	return nil
}

func (s *store) partition(stream eventstore.StreamID) int {
	return layout.Partition(stream.String(), s.Partitions)
}
