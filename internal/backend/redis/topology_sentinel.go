package redis

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// A sighting is what one Sentinel says.
type sighting struct {
	from                        *node
	master, replicas, sentinels *redis.Cmd
}

func (s sighting) err() error { return cmpErr(s.master.Err(), s.replicas.Err(), s.sentinels.Err()) }

// epoch orders what Sentinels say: the greatest is that of the last failover.
func (s sighting) epoch() int64 {
	n, _ := strconv.ParseInt(fmt.Sprint(pairs(s.master.Val())["config-epoch"]), 10, 64)
	return n
}

// askSentinels asks all Sentinels, because one that was cut off may not know of the last failover.
func (f *fleet) askSentinels(ctx context.Context) (*topology, error) {
	sightings := make([]sighting, len(f.config.Addresses))
	var all sync.WaitGroup
	for i, address := range f.config.Addresses {
		n, err := f.node(address, true)
		if err != nil {
			return nil, err
		}
		sightings[i] = sight(ctx, n, f.config.Sentinel.Master)
		all.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, topologyTimeout)
			defer cancel()
			n.exec(ctx, []redis.Cmder{sightings[i].master, sightings[i].replicas, sightings[i].sentinels})
		})
	}
	all.Wait()
	var best *sighting
	t := &topology{wary: f.config.Sentinel.Password != "", down: map[string]bool{}, read: time.Now()}
	for i, s := range sightings {
		t.sentinels = append(t.sentinels, s.from)
		if s.err() == nil && (best == nil || s.epoch() > best.epoch()) {
			best = &sightings[i]
		}
	}
	if best == nil {
		return nil, f.blind(sightings)
	}
	err := f.place(t, *best)
	for _, s := range sightings {
		s.disagree(t)
	}
	return t, err
}

// disagree takes nobody to be down whom this Sentinel sees, and learns from it whether there is to be another master: only
// the Sentinel that sees to that knows of it.
func (s sighting) disagree(t *topology) {
	if s.err() != nil {
		return
	}
	replicas, _ := s.replicas.Slice()
	for _, of := range append(replicas, s.master.Val()) {
		address, down := lookOf(pairs(of))
		t.down[address] = t.down[address] && down
	}
	t.failover = t.failover || strings.Contains(fmt.Sprint(pairs(s.master.Val())["flags"]), "failover_in_progress")
}

// lookOf reads what a Sentinel says of one server: where it is, and whether it is down.
func lookOf(m map[string]any) (address string, down bool) {
	flags := strings.Split(fmt.Sprint(m["flags"]), ",")
	return net.JoinHostPort(fmt.Sprint(m["ip"]), fmt.Sprint(m["port"])), slices.Contains(flags, "s_down") || slices.Contains(flags, "o_down")
}

func sight(ctx context.Context, n *node, master string) sighting {
	ask := func(what string) *redis.Cmd { return redis.NewCmd(ctx, "SENTINEL", what, master) }
	return sighting{from: n, master: ask("MASTER"), replicas: ask("REPLICAS"), sentinels: ask("SENTINELS")}
}

// blind says why no Sentinel could tell who is who.
func (f *fleet) blind(sightings []sighting) error {
	for _, s := range sightings { // One that answers knows better than one that does not.
		if err := s.err(); strings.Contains(err.Error(), "No such master") {
			return &reachError{
				address: s.from.address, cause: err,
				text: fmt.Sprintf("the Sentinels watch no master of the name %q: correct redis.sentinel.masterName", f.config.Sentinel.Master),
			}
		}
	}
	return nodeError{"the Sentinels " + f.config.Address(), sightings[0].err()}
}

// place fills in the servers.
func (f *fleet) place(t *topology, s sighting) error {
	add := func(of any, list *[]*node, sentinel bool) error {
		address, down := lookOf(pairs(of))
		n, err := f.node(address, sentinel)
		if err != nil {
			return err
		}
		if !slices.Contains(*list, n) {
			*list = append(*list, n)
		}
		t.down[address] = down
		return nil
	}
	err := add(s.master.Val(), &t.servers, false)
	t.masters = 1
	for list, of := range map[*[]*node]*redis.Cmd{&t.servers: s.replicas, &t.sentinels: s.sentinels} {
		all, _ := of.Slice()
		for _, one := range all {
			err = cmpErr(err, add(one, list, of == s.sentinels))
		}
	}
	return err
}
