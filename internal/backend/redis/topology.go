package redis

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/crossplane-contrib/provider-eventstore/internal/connect/redisclient"
)

const (
	// topologyAge is after how long Sentinels, or servers of a cluster, are asked again who is who. A server that refuses
	// a key or a write, or does not answer, is reason to ask at once.
	topologyAge = 5 * time.Second

	// topologyRetry is after how long they are asked again if none of them answered.
	topologyRetry = time.Second

	// topologyTimeout is how long each of them may take.
	topologyTimeout = 2 * time.Second
)

// A topology says which servers there are, and who has which keys. It never changes: another takes its place.
type topology struct {
	servers   []*node // Masters first. They all have users.
	masters   int     // How many of the servers are masters.
	slots     []slots // Of a cluster, in order. Else the first server has all keys.
	sentinels []*node
	wary      bool            // The Sentinels want passwords, and so have users too.
	down      map[string]bool // Addresses of servers that the others take to be down.
	failover  bool            // Sentinels are making another server the master.
	doubted   bool            // Whoever said so misses a server of the cluster that has slots.
	epoch     int64           // Of the last failover that it knows of.
	read      time.Time
}

// slots are a range of them that one server has.
type slots struct {
	first, last int
	master      *node
}

// users returns everybody who has users of ours.
func (t *topology) users() []*node {
	if !t.wary {
		return t.servers
	}
	return slices.Concat(t.servers, t.sentinels)
}

// master returns the server that has a key; nil if none has.
func (t *topology) master(key string) *node {
	if t.slots == nil {
		return t.servers[0]
	}
	n := slotOf(key)
	i, _ := slices.BinarySearchFunc(t.slots, n, func(s slots, n int) int { return cmp.Compare(s.last, n) })
	if i == len(t.slots) || t.slots[i].first > n {
		return nil
	}
	return t.slots[i].master
}

// served returns how many slots have a server.
func (t *topology) served() (n int) {
	for _, s := range t.slots {
		n += s.last - s.first + 1
	}
	return n
}

// A fleet is all servers of a Redis, as they come and go. It may be used concurrently.
type fleet struct {
	config redisclient.Config
	ctx    context.Context //nolint:containedctx // The lifetime of the backend, which probes end with.
	cancel context.CancelFunc
	probes sync.WaitGroup

	asking sync.Mutex // Held while somebody asks.
	mu     sync.Mutex
	nodes  map[string]*node
	known  *topology
	stale  bool
	closed bool
}

func newFleet(c redisclient.Config) (*fleet, error) {
	if _, err := c.Server(c.Address()); err != nil { // What is wrong with the settings is wrong for all servers.
		return nil, err
	}
	f := &fleet{config: c, nodes: map[string]*node{}}
	f.ctx, f.cancel = context.WithCancel(context.Background())
	return f, nil
}

// close closes all connections.
func (f *fleet) close() error {
	f.cancel()
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.probes.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	var errs []error
	for _, n := range f.nodes {
		errs = append(errs, n.client.Close())
	}
	return errors.Join(errs...)
}

// node returns the server at an address, or the Sentinel.
func (f *fleet) node(address string, sentinel bool) (*node, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n := f.nodes[address]; n != nil {
		return n, nil
	}
	if f.closed {
		return nil, redis.ErrClosed
	}
	connect := f.config.Server
	if sentinel {
		connect = f.config.SentinelAt
	}
	client, err := connect(address)
	if err != nil {
		return nil, err
	}
	n := &node{address: address, client: client, sentinel: sentinel, unswept: true}
	f.nodes[address] = n
	return n, nil
}

// distrust has the next call of topology ask again.
func (f *fleet) distrust() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stale = true
}

// current returns the topology if it is known well enough.
func (f *fleet) current() *topology {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.known == nil || f.stale || f.config.Mode != "" && time.Since(f.known.read) > f.known.lasts() {
		return nil
	}
	return f.known
}

// lasts is how long a topology counts: not long while somebody is missing who is about to be replaced.
func (t *topology) lasts() time.Duration {
	if t.slots != nil && t.served() < slotCount || slices.ContainsFunc(t.servers[:t.masters], func(n *node) bool { return n.failure() != nil }) {
		return topologyRetry
	}
	return topologyAge
}

// topology returns who is who. If nobody says, it is as it was.
func (f *fleet) topology(ctx context.Context) (*topology, error) {
	if t := f.current(); t != nil {
		f.probe(t)
		return t, nil
	}
	f.asking.Lock()
	defer f.asking.Unlock()
	if t := f.current(); t != nil { // Somebody else has asked meanwhile.
		return t, nil
	}
	f.mu.Lock()
	last := f.known
	f.stale = false
	f.mu.Unlock()
	t, err := f.discover(ctx, last)
	if err != nil && last == nil {
		return nil, err
	}
	if err != nil {
		again := *last
		again.read = time.Now().Add(topologyRetry - topologyAge)
		t = &again
	}
	f.mu.Lock()
	f.known = t
	f.mu.Unlock()
	f.probe(t)
	return t, nil
}

func (f *fleet) discover(ctx context.Context, last *topology) (*topology, error) {
	switch f.config.Mode {
	case redisclient.ModeSentinel:
		return f.askSentinels(ctx)
	case redisclient.ModeCluster:
		return f.askCluster(ctx, last)
	}
	n, err := f.node(f.config.Addresses[0], false)
	if err != nil {
		return nil, err
	}
	if !n.alone { // Others read it by the second time.
		n.alone = true
	}
	return &topology{servers: []*node{n}, masters: 1, read: time.Now()}, nil
}

// probe asks servers that did not answer whether they are back, without anybody waiting for it.
func (f *fleet) probe(t *topology) {
	for _, n := range slices.Concat(t.servers, t.sentinels) {
		if !n.alone && n.due() {
			f.mu.Lock()
			if !f.closed {
				f.probes.Go(func() { n.probe(f.ctx) })
			}
			f.mu.Unlock()
		}
	}
}
