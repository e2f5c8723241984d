package redis

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/crossplane-contrib/provider-eventstore/internal/connect/redisclient"
)

const (
	// redirects is how often a command follows its key to another server of a cluster, while slots move.
	redirects = 8

	// redirectPause is how long the keys of a script may need to be on one server again, and twice as long each time.
	redirectPause = 10 * time.Millisecond
)

// A trip is what goes out at once: commands by key, each to the server that has the key, and commands for every server.
// It is one round trip to each server, and they are made at the same time.
type trip struct {
	redis.Pipeliner // By key. It only collects, unless there is one server.

	ctx      context.Context //nolint:containedctx // It lives for one call of send.
	topology *topology
	alone    bool            // There is one server. All commands are in one order then.
	loaded   map[string]bool // Scripts that the only server knows by then.
	each     map[*node][]redis.Cmder
	role     *redis.Cmd // Whether the master still is one; nil: nobody asks.
}

// reply is what one server said.
type reply struct {
	from *node
	*redis.Cmd
}

// replies are what the servers said to the same command.
type replies []reply

// send makes one round trip with the commands that queue adds, if any. Each command has its own error afterwards, that of
// the connection included.
func (b *Backend) send(ctx context.Context, kind string, queue func(t *trip)) {
	top, err := b.fleet.topology(ctx)
	if err != nil {
		top = nowhere(b.config.Address(), err)
	}
	t := &trip{
		Pipeliner: collector.Pipeline(), ctx: ctx, topology: top, alone: top.servers[0].alone,
		loaded: map[string]bool{}, each: map[*node][]redis.Cmder{},
	}
	queue(t)
	keyed := t.Cmds()
	if b.config.Mode == redisclient.ModeSentinel && len(keyed) > 0 {
		t.ruling()
	}
	b.carry(ctx, kind, t.route(keyed), !t.alone)
	b.follow(t, kind, keyed)
	b.depose(t, keyed)
}

// collector is a client that is never connected: its pipelines collect commands.
var collector = redis.NewClient(&redis.Options{Addr: "nowhere:0", MaxRetries: -1}) //nolint:gochecknoglobals // It has no state.

// nowhere is a topology of which nothing can be reached.
func nowhere(address string, err error) *topology {
	return &topology{servers: []*node{{address: address, failed: err}}, masters: 1}
}

// one adds a command for one server.
func (t *trip) one(n *node, args ...any) *redis.Cmd {
	cmd := redis.NewCmd(t.ctx, args...)
	if t.alone {
		_ = t.Process(t.ctx, cmd)
	} else {
		t.each[n] = append(t.each[n], cmd)
	}
	return cmd
}

// all adds the same command for several servers.
func (t *trip) all(nodes []*node, args ...any) replies {
	r := make(replies, len(nodes))
	for i, n := range nodes {
		r[i] = reply{n, t.one(n, args...)}
	}
	return r
}

// masters adds the same command for every master.
func (t *trip) masters(args ...any) replies {
	return t.all(t.topology.servers[:t.topology.masters], args...)
}

// route adds to each server's own commands those of its keys.
func (t *trip) route(keyed []redis.Cmder) map[*node][]redis.Cmder {
	if t.alone && len(keyed) > 0 {
		t.each[t.topology.servers[0]] = keyed
		return t.each
	}
	for _, c := range keyed {
		n := t.topology.master(keyOf(c))
		if n == nil {
			c.SetErr(dataError{fmt.Errorf("no server of the cluster has the slot of key %q: look at CLUSTER NODES", keyOf(c))})
			continue
		}
		t.each[n] = append(t.each[n], c)
	}
	if t.role != nil {
		t.each[t.topology.servers[0]] = append(t.each[t.topology.servers[0]], t.role)
	}
	return t.each
}

// carry sends each server its commands, with the scripts that they need if it may not have them.
func (b *Backend) carry(ctx context.Context, kind string, loads map[*node][]redis.Cmder, scripts bool) {
	var all sync.WaitGroup
	for n, cmds := range loads {
		if scripts {
			cmds = withScripts(ctx, cmds)
		}
		b.observe(kind, len(cmds))
		all.Go(func() {
			ctx, cancel := patience(ctx, cmds)
			defer cancel()
			if failed := n.exec(ctx, cmds); failed {
				b.fleet.distrust()
			}
		})
	}
	all.Wait()
}

// patience is how long a server may take: less if nobody's keys depend on it.
func patience(ctx context.Context, cmds []redis.Cmder) (context.Context, context.CancelFunc) {
	if slices.ContainsFunc(cmds, func(c redis.Cmder) bool { return strings.HasPrefix(keyOf(c), partitionPrefix) }) {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, replicaTimeout)
}

// withScripts has a server load the scripts that it runs by their digests: all of them first, because ASKING is for the
// command that follows it.
func withScripts(ctx context.Context, cmds []redis.Cmder) []redis.Cmder {
	var loads []redis.Cmder
	loaded := map[string]bool{}
	for _, c := range cmds {
		if body, ok := scripts[digestOf(c)]; ok && !loaded[body] {
			loaded[body] = true
			loads = append(loads, redis.NewCmd(ctx, "SCRIPT", "LOAD", body))
		}
	}
	return append(loads, cmds...)
}

// follow sends again what its server has not carried out, but sent on: keys may have moved, and scripts be forgotten.
func (b *Backend) follow(t *trip, kind string, cmds []redis.Cmder) {
	ctx := t.ctx
	for attempt, pause := 0, redirectPause; attempt < redirects; attempt++ {
		again, wait := b.sentOn(t, cmds)
		if len(again) == 0 {
			return
		}
		if master := t.topology.servers[0]; t.role != nil {
			again[master] = append(again[master], t.role)
		}
		b.fleet.distrust()
		if wait {
			select {
			case <-time.After(pause):
				pause *= 2
			case <-ctx.Done():
				return
			}
		}
		b.carry(ctx, kind, again, true)
	}
}

// sentOn returns what is to be sent again, and whether that is to wait.
func (b *Backend) sentOn(t *trip, cmds []redis.Cmder) (again map[*node][]redis.Cmder, wait bool) {
	again = map[*node][]redis.Cmder{}
	for _, c := range cmds {
		err := c.Err()
		switch {
		case err == nil:
			continue
		case b.config.Mode == redisclient.ModeCluster && (redis.HasErrorPrefix(err, "MOVED") || redis.HasErrorPrefix(err, "ASK")):
			fields := strings.Fields(err.Error()) // MOVED <slot> <host>:<port>
			n, failed := b.fleet.node(fields[len(fields)-1], false)
			if failed != nil || strings.HasPrefix(fields[len(fields)-1], ":") {
				continue
			}
			if fields[0] == "ASK" {
				again[n] = append(again[n], redis.NewCmd(t.ctx, "ASKING"))
			}
			again[n] = append(again[n], c)
		case redis.HasErrorPrefix(err, "TRYAGAIN"), redis.HasErrorPrefix(err, "NOSCRIPT"):
			wait = wait || redis.HasErrorPrefix(err, "TRYAGAIN")
			if n := b.ownerOf(t, keyOf(c)); n != nil {
				again[n] = append(again[n], c)
			}
		case redis.HasErrorPrefix(err, "READONLY"):
			b.fleet.distrust() // There is another master. Whoever asked tries again.
		}
	}
	return again, wait
}

// ownerOf returns the server that has a key by now; nil if none has. Only slots change their servers within a trip: what is
// asked of a master is asked of one.
func (b *Backend) ownerOf(t *trip, key string) *node {
	if t.topology.slots == nil {
		return t.topology.master(key)
	}
	top, err := b.fleet.topology(t.ctx)
	if err != nil {
		return nil
	}
	return top.master(key)
}

// answered returns the replies of those servers that could be reached, and if there are none, why.
func (r replies) answered() (replies, error) {
	var some replies
	var reason error
	for _, one := range r {
		switch err := one.Err(); {
		case !outOfReach(err):
			some = append(some, one)
		case reason == nil:
			reason = err
		}
	}
	if len(some) > 0 {
		return some, nil
	}
	return nil, reason
}

// err returns the first error of a server that could be reached; if there is none, why not.
func (r replies) err() error {
	some, err := r.answered()
	for _, one := range some {
		if e := one.Err(); e != nil && err == nil {
			if err = e; len(r) > 1 {
				err = fmt.Errorf("on %s: %w", one.from.address, e)
			}
		}
	}
	return err
}
