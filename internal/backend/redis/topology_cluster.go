package redis

import (
	"cmp"
	"context"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// askCluster asks one server of the cluster after the other, until one answers that knows servers for all slots: those first
// that it knows to have slots. One that has lost its memory, or is cut off, knows fewer of the others than they do. If none
// knows them all, it believes the one that knows most, and of those that know as much the one that has seen the last failover.
func (f *fleet) askCluster(ctx context.Context, last *topology) (*topology, error) {
	var candidates []*node
	if last != nil {
		candidates = slices.Clone(last.servers)
	}
	for _, address := range f.config.Addresses {
		n, err := f.node(address, false)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(candidates, n) {
			candidates = append(candidates, n)
		}
	}
	var best *topology
	var failed error
	for _, n := range candidates {
		t, err := f.askServer(ctx, n)
		if err == nil && t.whole() {
			return t, nil
		}
		if err == nil {
			if best == nil || t.knowsMoreThan(best) {
				best = t
			}
			continue
		}
		if failed == nil || outOfReach(failed) && !outOfReach(err) {
			failed = err
		}
	}
	if best != nil {
		return best, nil
	}
	return nil, failed
}

// whole reports whether all slots have a server that is not missed.
func (t *topology) whole() bool { return t.served() == slotCount && !t.doubted }

func (t *topology) knowsMoreThan(other *topology) bool {
	return cmp.Or(cmp.Compare(t.served(), other.served()), cmp.Compare(t.epoch, other.epoch)) > 0
}

// askServer asks who has which slots, and who is there beside. Only SLOTS says by which addresses clients reach servers;
// only NODES names those that have failed, and masters that have no slots yet, to which slots may be on their way.
func (f *fleet) askServer(ctx context.Context, n *node) (*topology, error) {
	ctx, cancel := context.WithTimeout(ctx, topologyTimeout)
	defer cancel()
	owners, nodes := redis.NewClusterSlotsCmd(ctx, "CLUSTER", "SLOTS"), redis.NewCmd(ctx, "CLUSTER", "NODES")
	n.exec(ctx, []redis.Cmder{owners, nodes})
	if err := owners.Err(); err != nil {
		if strings.Contains(err.Error(), "cluster support disabled") {
			err = &reachError{address: n.address, text: "the server is not part of a Redis Cluster: set redis.mode to Standalone or Sentinel", cause: err}
		}
		return nil, err
	}
	t := &topology{slots: []slots{}, down: map[string]bool{}, read: time.Now()}
	ids := map[string]*node{}
	var replicas []*node
	for _, r := range owners.Val() {
		for i, member := range r.Nodes {
			if member.Addr == ":0" {
				continue // Nobody knows where it is.
			}
			of, err := f.node(reachable(member.Addr, n.address), false)
			if err != nil {
				return nil, err
			}
			ids[member.ID] = of
			if i > 0 {
				replicas = append(replicas, of)
				continue
			}
			t.slots = append(t.slots, slots{first: r.Start, last: r.End, master: of})
			if !slices.Contains(t.servers, of) {
				t.servers = append(t.servers, of)
			}
		}
	}
	slices.SortFunc(t.slots, func(a, b slots) int { return cmp.Compare(a.first, b.first) })
	text, _ := nodes.Text() // Without the right to it, there are those that have slots.
	masters, others, err := f.bystanders(t, text, n.address, ids)
	t.servers = append(t.servers, masters...)
	t.masters = len(t.servers)
	for _, r := range slices.Concat(replicas, others) {
		if !slices.Contains(t.servers, r) {
			t.servers = append(t.servers, r)
		}
	}
	return t, err
}

// bystanders reads the answer to CLUSTER NODES, for what that to CLUSTER SLOTS leaves out.
func (f *fleet) bystanders(t *topology, text, asked string, ids map[string]*node) (masters, replicas []*node, err error) {
	for line := range strings.Lines(text) {
		// <id> <host>:<port>@<bus>[,<name>] <flags> <master> <ping> <pong> <epoch> <link> <slot>…
		fields := strings.Fields(line)
		if len(fields) < 8 {
			continue
		}
		flags := strings.Split(fields[2], ",")
		address, _, _ := strings.Cut(fields[1], "@")
		if slices.Contains(flags, "handshake") || slices.Contains(flags, "noaddr") {
			continue // Nobody knows where it is.
		}
		epoch, _ := strconv.ParseInt(fields[6], 10, 64)
		t.epoch = max(t.epoch, epoch)
		t.doubted = t.doubted || len(fields) > 8 && slices.ContainsFunc(flags, func(s string) bool { return strings.HasPrefix(s, "fail") })
		n := ids[fields[0]]
		if n == nil {
			if n, err = f.node(reachable(address, asked), false); err != nil {
				return nil, nil, err
			}
			if slices.Contains(flags, "master") && !slices.Contains(flags, "fail") { // Else another has taken its keys.
				masters = append(masters, n)
			} else {
				replicas = append(replicas, n)
			}
		}
		if slices.Contains(flags, "fail") {
			t.down[n.address] = true
		}
	}
	return masters, replicas, nil
}

// reachable completes an address that a server gave: it may leave out the host or the port, if they are its own.
func reachable(address, asked string) string {
	host, port, err := net.SplitHostPort(address)
	ownHost, ownPort, own := net.SplitHostPort(asked)
	if err != nil || own != nil {
		return address
	}
	if host == "" || host == "?" {
		host = ownHost
	}
	if n, _ := strconv.Atoi(port); n == 0 {
		port = ownPort
	}
	return net.JoinHostPort(host, port)
}
