package broker

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/process"
)

// clusterMasters is how many servers share the slots. Each has one replica.
const clusterMasters = 3

// RedisCluster is a Redis Cluster of three masters with a replica each. The administrator has the same password
// everywhere. Its methods must not be called concurrently.
type RedisCluster struct {
	Nodes []*Redis // Three masters, then their replicas in the same order, until a failover.

	opts  RedisGroupOptions
	buses []int
}

// StartRedisCluster starts the servers, and returns when all slots are served and the replicas follow.
func StartRedisCluster(ctx context.Context, o RedisGroupOptions) (_ *RedisCluster, err error) {
	c := &RedisCluster{opts: o}
	defer func() {
		if err != nil {
			_ = c.Stop()
		}
	}()
	for range 2 * clusterMasters {
		if _, err := c.startNode(ctx); err != nil {
			return nil, err
		}
	}
	if err := c.form(ctx); err != nil {
		return nil, fmt.Errorf("cannot form a Redis Cluster: %w", err)
	}
	return c, nil
}

// startNode starts a server that is no part of the cluster yet.
func (c *RedisCluster) startNode(ctx context.Context) (*Redis, error) {
	bus := 0
	node, err := startMember(ctx, c.opts, len(c.Nodes), c.Nodes, func() (map[string]string, error) {
		ports, err := process.FreePorts(1)
		if err != nil {
			return nil, err
		}
		bus = ports[0]
		config := map[string]string{
			"cluster-enabled": "yes", "cluster-config-file": "nodes.conf", "cluster-port": fmt.Sprint(bus),
			"cluster-node-timeout": fmt.Sprint(c.opts.downAfter().Milliseconds()), "cluster-announce-ip": "127.0.0.1",
			// A cluster of which one master is down serves the slots of the others.
			"cluster-require-full-coverage": "no",
		}
		if c.opts.TLS {
			config["tls-cluster"] = "yes"
		}
		return config, nil
	})
	if err != nil {
		return nil, err
	}
	c.Nodes, c.buses = append(c.Nodes, node), append(c.buses, bus)
	return node, nil
}

// form makes the servers one cluster.
func (c *RedisCluster) form(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, groupTimeout, fmt.Errorf("no agreement after %s", groupTimeout))
	defer cancel()
	const slots = 16384
	for i, node := range c.Nodes {
		commands := []string{fmt.Sprintf("CLUSTER SET-CONFIG-EPOCH %d", i+1)}
		if i < clusterMasters {
			commands = append(commands, fmt.Sprintf("CLUSTER ADDSLOTSRANGE %d %d", i*slots/clusterMasters, (i+1)*slots/clusterMasters-1))
		}
		for _, command := range commands {
			if _, err := node.say(ctx, command); err != nil {
				return fmt.Errorf("%s: %w", command, err)
			}
		}
	}
	if err := c.meet(ctx); err != nil {
		return err
	}
	for i := range clusterMasters {
		if err := c.replicate(ctx, c.Nodes[clusterMasters+i], c.Nodes[i]); err != nil {
			return err
		}
	}
	return c.WaitReady(ctx)
}

// meet has all servers know each other. A server that does not answer at once is forgotten, and has to be met again.
func (c *RedisCluster) meet(ctx context.Context) error {
	for i, node := range c.Nodes {
		var met time.Time
		err := node.proc.WaitReady(ctx, func(ctx context.Context) error {
			if i > 0 && time.Since(met) > c.opts.downAfter() {
				met = time.Now()
				if _, err := node.say(ctx, fmt.Sprintf("CLUSTER MEET 127.0.0.1 %d %d", c.Nodes[0].replicationPort(), c.buses[0])); err != nil {
					return err
				}
			}
			return node.knows(ctx, i+1)
		})
		if err != nil {
			return err
		}
	}
	// They hear of each other from those that they have met. Masters that have not heard of a replica never elect it, if the
	// one that could tell them is gone.
	for _, node := range c.Nodes {
		err := node.proc.WaitReady(ctx, func(ctx context.Context) error { return node.knows(ctx, len(c.Nodes)) })
		if err != nil {
			return err
		}
	}
	return nil
}

// knows is an error while a server does not know so many, itself among them.
func (r *Redis) knows(ctx context.Context, servers int) error {
	nodes, err := r.say(ctx, "CLUSTER NODES")
	if known := connected(nodes); err == nil && known < servers {
		err = fmt.Errorf("it knows %d of %d servers", known, servers)
	}
	return err
}

// connected counts the servers that one knows and has shaken hands with, by its answer to CLUSTER NODES.
func connected(nodes string) (n int) {
	for line := range strings.Lines(nodes) {
		if f := strings.Fields(line); len(f) >= 8 && f[7] == "connected" && !strings.Contains(f[2], "handshake") {
			n++
		}
	}
	return n
}

// replicate makes one server follow another, once it has heard of it.
func (c *RedisCluster) replicate(ctx context.Context, replica, master *Redis) error {
	id, err := master.say(ctx, "CLUSTER MYID")
	if err != nil {
		return err
	}
	return replica.proc.WaitReady(ctx, func(ctx context.Context) error {
		_, err := replica.say(ctx, "CLUSTER REPLICATE "+strings.TrimSpace(id))
		return err
	})
}

// WaitReady waits until all servers that run agree that the slots are served, and replicas follow their masters.
func (c *RedisCluster) WaitReady(ctx context.Context) error {
	for _, node := range c.Nodes {
		select {
		case <-node.proc.Done():
			continue
		default:
		}
		err := node.proc.WaitReady(ctx, func(ctx context.Context) error {
			info, err := node.say(ctx, "CLUSTER INFO")
			if err == nil && (!strings.Contains(info, "cluster_state:ok") || !strings.Contains(info, "cluster_slots_ok:16384")) {
				err = errors.New("not all slots are served")
			}
			if err != nil {
				return err
			}
			replication, err := node.say(ctx, "INFO replication")
			if err == nil && strings.Contains(replication, "master_link_status:down") {
				err = errors.New("the replica does not follow its master yet")
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// AddNode starts one more server and has it join: as a master without slots.
func (c *RedisCluster) AddNode(ctx context.Context) (*Redis, error) {
	node, err := c.startNode(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, groupTimeout, fmt.Errorf("the new server is not known after %s", groupTimeout))
	defer cancel()
	if err := c.meet(ctx); err != nil {
		return nil, err
	}
	return node, c.WaitReady(ctx)
}

// Addrs returns where the servers are: their TLS ports, if they have any.
func (c *RedisCluster) Addrs() (addrs []string) {
	for _, node := range c.Nodes {
		addrs = append(addrs, process.Loopback(node.replicationPort()))
	}
	return addrs
}

// Stop ends all servers. It is idempotent.
func (c *RedisCluster) Stop() error {
	var errs []error
	for _, node := range c.Nodes {
		errs = append(errs, node.Kill())
	}
	return errors.Join(errs...)
}

func (r *Redis) say(ctx context.Context, command string) (string, error) {
	return say(ctx, r.Addr, r.AdminUser, r.AdminPassword, command)
}

// say sends one command and returns the reply, each string of it on a line. It logs in if there is a password.
func say(ctx context.Context, addr, user, password, command string) (string, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return "", err
	}
	in := bufio.NewReader(conn)
	if password != "" {
		if _, err := fmt.Fprintf(conn, "AUTH %s %s\r\n", user, password); err != nil {
			return "", err
		}
		if _, err := reply(in); err != nil {
			return "", err
		}
	}
	if _, err := fmt.Fprintf(conn, "%s\r\n", command); err != nil {
		return "", err
	}
	return reply(in)
}

// reply reads a reply of version 2 of the protocol.
func reply(in *bufio.Reader) (string, error) {
	line, err := in.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimSpace(line)
	if line == "" {
		return "", errors.New("redis answered an empty line")
	}
	kind, rest := line[0], line[1:]
	switch kind {
	case '-':
		return "", fmt.Errorf("redis answered %q", rest)
	case '$', '*':
	default:
		return rest + "\n", nil
	}
	n, err := strconv.Atoi(rest)
	if err != nil || n < 0 {
		return "", err
	}
	if kind == '$' {
		b := make([]byte, n+2)
		_, err := io.ReadFull(in, b)
		return string(b[:n]) + "\n", err
	}
	var all strings.Builder
	for range n {
		s, err := reply(in)
		if err != nil {
			return "", err
		}
		all.WriteString(s)
	}
	return all.String(), nil
}
