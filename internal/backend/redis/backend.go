// Package redis administers stores and subscriptions on a Redis server: the keys of [layout], the users that may touch
// them, and what Redis does not do by itself, such as retention. It implements [backend.Backend], which [New] returns.
//
// Redis has no settings for a stream, so a hash beside the streams, the marker, holds them together with the owner.
// What belongs to one marker or to one partition changes in one Lua script, atomically.
//
// # Round trips
//
// Commands go out in pipelines of up to [resourcesPerPipeline] resources. Reading n stores takes two round trips for each
// such chunk, and a third if some have data but no marker; reading subscriptions takes two. Beyond [usersPerRead] there is
// one more. Writing takes as many as a plan has kinds of changes: four to six for each chunk, whatever the number of stores
// or partitions.
package redis

import (
	"context"
	"fmt"
	"iter"
	"net"
	"slices"
	"strconv"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

const (
	// resourcesPerPipeline bounds the memory that replies need on both sides, and for how long one batch keeps the
	// server from others.
	resourcesPerPipeline = 500

	// maxPartitions is how many partitions a marker may claim. More is damage, and reading them would stall the server.
	maxPartitions = 1024
)

var (
	_ backend.Backend    = &Backend{}
	_ backend.Maintainer = &Backend{}
)

// A Backend administers one Redis server. It may be used concurrently.
type Backend struct {
	config  connect.Redis
	client  redis.UniversalClient
	observe func(kind string, commands int)

	// unsaved means that users changed since they were last written to the server's ACL file.
	unsaved atomic.Bool
	seen    seenUsers

	// unmaintained says why the last Maintain failed; nil if it did not.
	unmaintained atomic.Pointer[string]
}

// An Option changes how a Backend behaves.
type Option func(*Backend)

// WithObserver calls f for every round trip, with the operation it is for and the number of commands that it carries.
// f is called concurrently. Default: nobody is told.
func WithObserver(f func(kind string, commands int)) Option {
	return func(b *Backend) { b.observe = f }
}

// New returns a backend for the server. It connects when it is first used.
func New(c connect.Redis, opts ...Option) (*Backend, error) {
	if c.Mode != "" {
		return nil, fmt.Errorf("cannot administer Redis in mode %s yet: use one server", c.Mode)
	}
	client, err := c.Client()
	if err != nil {
		return nil, err
	}
	b := &Backend{config: c, client: client, observe: func(string, int) {}}
	for _, o := range opts {
		o(b)
	}
	return b, nil
}

// Close closes the connections.
func (b *Backend) Close() error { return b.client.Close() }

// Connection returns how to reach the server. The provider's own client certificate is not part of it.
func (b *Backend) Connection() map[string][]byte {
	host, port, err := net.SplitHostPort(b.config.Address())
	if err != nil {
		host, port = b.config.Address(), "6379"
	}
	scheme := "redis"
	if b.config.TLS != nil {
		scheme = "rediss"
	}
	c := map[string][]byte{
		layout.SecretType:      []byte(layout.SecretTypeEventStore),
		layout.SecretProvider:  []byte(name),
		layout.SecretHost:      []byte(host),
		layout.SecretPort:      []byte(port),
		layout.SecretURI:       []byte(scheme + "://" + net.JoinHostPort(host, port)),
		layout.SecretEndpoints: []byte(b.config.Address()),
		layout.SecretTLS:       []byte(strconv.FormatBool(b.config.TLS != nil)),
	}
	if b.config.TLS != nil && len(b.config.TLS.CA) > 0 {
		c[layout.SecretCA] = b.config.TLS.CA
	}
	return c
}

// send makes one round trip with the commands that queue adds, if any. Each command has its own error afterwards, that of
// the connection included.
func (b *Backend) send(ctx context.Context, kind string, queue func(p redis.Pipeliner)) {
	p := b.client.Pipeline()
	queue(p)
	if p.Len() == 0 {
		return
	}
	b.observe(kind, p.Len())
	cmds, err := p.Exec(ctx)
	if err == nil || slices.ContainsFunc(cmds, func(c redis.Cmder) bool { return c.Err() != nil }) {
		return
	}
	// go-redis v9.23 leaves the commands as if they had succeeded if there was no connection for them.
	for _, c := range cmds {
		c.SetErr(err)
	}
}

// chunks yields the bounds of chunks of n resources.
func chunks(n int) iter.Seq2[int, int] {
	return func(yield func(int, int) bool) {
		for lo := 0; lo < n; lo += resourcesPerPipeline {
			if !yield(lo, min(lo+resourcesPerPipeline, n)) {
				return
			}
		}
	}
}
