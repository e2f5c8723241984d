package redis

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/internal/connect/redisclient"
)

// A progress is how far the keys of the masters were looked through: what was found up to there is destroyed. SCAN finds
// every key that was there all the time, however much time passes between its steps, while the server is the same process.
type progress struct {
	since time.Time
	slots string // Of a cluster: what each master had.
	at    map[*node]place
}

// A place is how far one server was looked through.
type place struct {
	run    string // Which process it is, and in whose reign.
	cursor string
	done   bool
}

// done reports whether all keys of all masters were looked at.
func (p *progress) done() bool {
	for _, at := range p.at {
		if !at.done {
			return false
		}
	}
	return true
}

// from keeps of a progress what still counts where things are now. If slots have moved, nothing does: a key can have gone
// from a master that was not looked at yet to one that was.
func (p *progress) from(now whereabouts) {
	at := map[*node]place{}
	for n, run := range now.runs {
		at[n] = place{run: run, cursor: "0"}
		if was, ok := p.at[n]; ok && was.run == run && p.slots == now.slots {
			at[n] = was
		}
	}
	p.slots, p.at = now.slots, at
}

// lasts reports whether anybody can tell later that the servers are the same. Not all services say which process it is.
func (p *progress) lasts() bool {
	return !slices.ContainsFunc(slices.Collect(maps.Values(p.at)), func(at place) bool { return strings.HasPrefix(at.run, "/") })
}

// whereabouts are which processes the masters are, and which slots each has.
type whereabouts struct {
	runs  map[*node]string
	slots string
}

// whereabouts asks the masters. It fails while slots move, or have no server: keys would be missed.
func (b *Backend) whereabouts(ctx context.Context) (w whereabouts, err error) {
	var top *topology
	var infos, nodes replies
	b.send(ctx, "DeleteStores", func(t *trip) {
		top, infos = t.topology, t.masters("INFO", "server", "replication")
		if b.config.Mode == redisclient.ModeCluster {
			nodes = t.masters("CLUSTER", "NODES")
		}
	})
	w.runs = map[*node]string{}
	for _, r := range infos {
		text, err := r.Text()
		if err != nil {
			return w, err
		}
		if _, err := b.reignOf(r.from, r.Cmd); err != nil && b.config.Mode != redisclient.ModeCluster { // There the slots tell.
			b.fleet.distrust()
			return w, err
		}
		fields := parseInfo(text)
		w.runs[r.from] = fields["run_id"] + "/" + fields["master_replid"]
	}
	if w.slots, err = ownSlots(nodes); err != nil {
		return w, err
	}
	if missing := slotCount - top.served(); top.slots != nil && missing > 0 {
		return w, dataError{fmt.Errorf("%d of %d slots of the cluster have no server, so that keys can be missed: look at CLUSTER NODES", missing, slotCount)}
	}
	if strings.Contains(w.slots, "[") {
		b.fleet.distrust()
		return w, errMoving
	}
	return w, nil
}

// ownSlots returns what each master says of its own slots; in brackets those that come or go.
func ownSlots(nodes replies) (string, error) {
	var own []string
	for _, n := range nodes {
		text, err := n.Text()
		if err != nil {
			return "", err
		}
		for line := range strings.Lines(text) {
			if f := strings.Fields(line); len(f) >= 8 && strings.Contains(f[2], "myself") {
				own = append(own, f[0]+" "+strings.Join(f[8:], " "))
			}
		}
	}
	slices.Sort(own)
	return strings.Join(own, "\n"), nil
}

// searched remembers how far the keys were looked through for stores that could not be deleted in one go.
type searched struct {
	mu sync.Mutex
	of map[string]*progress
}

// take returns the progress that was made for a store, which whoever takes it must put back; nil if there is none. It is
// shared by stores that were looked for together, and must not be changed.
func (s *searched) take(store string) *progress {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.of[store]
	delete(s.of, store)
	return p
}

func (s *searched) put(store string, p *progress) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of == nil {
		s.of = map[string]*progress{}
	}
	s.of[store] = p
}

var (
	// errMoving means that nobody can tell whether all keys were found.
	errMoving error = dataError{errors.New("slots of the cluster are moving, or servers restart, so that keys can be missed: it is tried again until they stay")}

	// errUnfinished means that there are more keys to look at.
	errUnfinished error = dataError{errors.New("the servers have too many keys to look through all of them at once: it goes on where it stopped")}
)
