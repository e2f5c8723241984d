package redis

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
)

// oldest is the first major version that has what this package needs: EVAL_RO, selectors in ACL rules, XGROUP CREATE
// with ENTRIESREAD.
const oldest = 7

// Health asks the server for its version, and what may hurt soon. The round trip is that of a PING.
func (b *Backend) Health(ctx context.Context) (backend.Health, error) {
	var ping *redis.StatusCmd
	start := time.Now()
	b.send(ctx, "health", func(p redis.Pipeliner) { ping = p.Ping(ctx) })
	trip := time.Since(start)
	if err := ping.Err(); err != nil {
		return backend.Health{}, b.explain(err)
	}
	var r serverReading
	b.send(ctx, "health", func(p redis.Pipeliner) { r = readServer(ctx, p) })
	s, err := r.result()
	if err != nil {
		return backend.Health{}, b.explain(err)
	}
	if err := b.usable(s); err != nil {
		return backend.Health{}, err
	}
	warnings := s.warnings()
	if why := b.unmaintained.Load(); why != nil {
		warnings = append(warnings, "Retention is not enforced: "+*why)
	}
	return backend.Health{Version: s.version(), Endpoint: b.config.Address(), RoundTrip: trip, Warnings: warnings}, nil
}

// usable says why the server cannot be used, or returns nil.
func (b *Backend) usable(s server) error {
	major, _, _ := strings.Cut(s.version(), ".")
	n, err := strconv.Atoi(major)
	switch {
	case err != nil || n < oldest:
		return fmt.Errorf("cannot use Redis at %s: it has version %q, and %d.0 or later is needed: upgrade the server", b.config.Address(), s.version(), oldest)
	case s.fields["redis_mode"] == "cluster":
		return fmt.Errorf("cannot use Redis at %s: it is part of a Redis Cluster, which is not supported: use a standalone server", b.config.Address())
	case s.fields["role"] == "slave":
		return fmt.Errorf("cannot use Redis at %s: it is a replica and takes no writes: use the address of the primary", b.config.Address())
	}
	return nil
}
