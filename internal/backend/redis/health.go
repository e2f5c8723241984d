package redis

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect/redisclient"
)

// oldest is the first major version that has what this package needs: EVAL_RO, selectors in ACL rules, XGROUP CREATE
// with ENTRIESREAD.
const oldest = 7

// healthTimeout is how long a server may take to say how it is, if there are others.
const healthTimeout = 2 * time.Second

// Health asks the servers for their version, and what may hurt soon. The round trip is that of a PING.
func (b *Backend) Health(ctx context.Context) (backend.Health, error) {
	if b.config.Mode != "" {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, 2*healthTimeout)
		defer cancel()
	}
	var top *topology
	var pings replies
	start := time.Now()
	b.send(ctx, "health", func(t *trip) {
		top, pings = t.topology, t.all(t.topology.servers[:t.topology.masters], "PING")
	})
	took := time.Since(start)
	if err := pings.err(); err != nil {
		return backend.Health{}, b.explain(err)
	}
	var r serverReadings
	b.send(ctx, "health", func(t *trip) { r = t.askServers(0) })
	all, err := r.result()
	if err != nil {
		return backend.Health{}, b.explain(err)
	}
	for _, s := range all {
		if err := b.usable(s, s.address == top.servers[0].address); err != nil {
			return backend.Health{}, err
		}
	}
	warnings := append(b.absent(top), all.warnings()...)
	if why := b.unmaintained.Load(); why != nil {
		warnings = append(warnings, "Retention is not enforced: "+*why)
	}
	if why := b.forgetful.Load(); why != nil {
		warnings = append(warnings, "A restart brings back users as they were saved last: "+*why)
	}
	return backend.Health{Version: versions(all), Endpoint: b.endpoint(top), RoundTrip: took, Warnings: warnings}, nil
}

// endpoint names the servers in status: the master where there is one, else what the ProviderConfig says.
func (b *Backend) endpoint(t *topology) string {
	if b.config.Mode == redisclient.ModeSentinel {
		return t.servers[0].address
	}
	return b.config.Address()
}

// versions names each version once.
func versions(all servers) string {
	var v []string
	for _, s := range all {
		v = append(v, s.version())
	}
	slices.Sort(v)
	return strings.Join(slices.Compact(v), ", ")
}

// absent says which servers and Sentinels are not there, and what that means.
func (b *Backend) absent(t *topology) (warnings []string) {
	for i, n := range t.servers {
		err := n.failure()
		switch {
		case err == nil:
			continue
		case i < t.masters:
			warnings = append(warnings, fmt.Sprintf("The master %s cannot be reached, and neither can its keys, until a replica takes its place: %s", n.address, b.reason(err)))
		default:
			warnings = append(warnings, fmt.Sprintf("The replica %s cannot be reached: its users are repaired when it is back: %s", n.address, b.reason(err)))
		}
	}
	for _, n := range t.sentinels {
		if err := n.failure(); err != nil {
			warnings = append(warnings, fmt.Sprintf("The Sentinel %s cannot be reached: %s", n.address, b.reason(err)))
		}
	}
	if missing := slotCount - t.served(); t.slots != nil && missing > 0 {
		warnings = append(warnings, fmt.Sprintf("%d of %d slots of the cluster have no server: look at CLUSTER NODES", missing, slotCount))
	}
	return warnings
}

// usable says why a server cannot be used, or returns nil.
func (b *Backend) usable(s server, master bool) error {
	major, _, _ := strings.Cut(s.version(), ".")
	n, err := strconv.Atoi(major)
	cluster := b.config.Mode == redisclient.ModeCluster
	switch {
	case err != nil || n < oldest:
		return fmt.Errorf("cannot use Redis at %s: it has version %q, and %d.0 or later is needed: upgrade the server", s.address, s.version(), oldest)
	case s.fields["redis_mode"] == "cluster" && !cluster:
		return fmt.Errorf("cannot use Redis at %s: it is part of a Redis Cluster: set redis.mode to Cluster", s.address)
	case s.fields["role"] == "slave" && master && b.config.Mode == "":
		return fmt.Errorf("cannot use Redis at %s: it is a replica and takes no writes: use the address of the primary", s.address)
	}
	return nil
}
