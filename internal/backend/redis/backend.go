// Package redis administers stores and subscriptions on Redis: the keys of [layout], the users that may touch them, and
// what Redis does not do by itself, such as retention. It implements [backend.Backend], which [New] returns.
//
// Redis has no settings for a stream, so a hash beside the streams, the marker, holds them together with the owner.
// What belongs to one marker or to one partition changes in one Lua script, atomically.
//
// # Several servers
//
// A [topology] says which servers there are: one; a master with its replicas, as Sentinels see them; or those of a cluster.
// Commands with a key go to the master that has it. Users are on every server, because Redis replicates none and no cluster
// shares them: they are written to each, and read back from each, so that one that is missing or different anywhere is
// drift. A server that does not answer is left out, and named by Health. When it is back, its users are repaired.
//
// # Round trips
//
// Commands go out in pipelines of up to [resourcesPerPipeline] resources. Reading n stores takes two round trips for each
// such chunk, and a third if some have data but no marker; reading subscriptions takes two. Beyond [usersPerRead] there is
// one more. Writing takes as many as a plan has kinds of changes: four to six for each chunk, whatever the number of stores
// or partitions. With several servers that is as many for each, at the same time.
package redis

import (
	"iter"
	"sync/atomic"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect/redisclient"
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

// A Backend administers one Redis: a server, those that Sentinels watch, or a cluster. It may be used concurrently.
type Backend struct {
	config  redisclient.Config
	fleet   *fleet
	observe func(kind string, commands int)

	unsaved  unsavedUsers
	seen     seenUsers
	fences   fences
	searched searched

	// unmaintained says why the last Maintain did not enforce retention, and forgetful why it did not save users; nil if it
	// did.
	unmaintained, forgetful atomic.Pointer[string]
}

// An Option changes how a Backend behaves.
type Option func(*Backend)

// WithObserver calls f for every round trip, with the operation it is for and the number of commands that it carries.
// f is called concurrently. Default: nobody is told.
func WithObserver(f func(kind string, commands int)) Option {
	return func(b *Backend) { b.observe = f }
}

// New returns a backend for the server. It connects when it is first used.
func New(c redisclient.Config, opts ...Option) (*Backend, error) {
	f, err := newFleet(c)
	if err != nil {
		return nil, err
	}
	b := &Backend{config: c, fleet: f, observe: func(string, int) {}}
	for _, o := range opts {
		o(b)
	}
	return b, nil
}

// Close closes the connections.
func (b *Backend) Close() error { return b.fleet.close() }

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
