package redis

import (
	"context"
	"errors"
	"sync"

	"github.com/redis/go-redis/v9"
)

// A reign is that of one server as the master: its replication id, which is another after each promotion. A server that was
// demoted goes on answering reads, and one that was cut off goes on calling itself master. So it is not enough that whoever
// is asked is a master: what is destroyed must be on the server that was looked at.
//
// On a cluster, servers send on whoever asks for keys that they do not have any more, and one that was cut off ceases to
// answer.
type reign string

// broken is the reign of nobody.
const broken reign = "broken"

var (
	errDemoted        = errors.New("the server is a replica")
	errReign    error = dataError{errors.New("another server has become the master since applications were locked out: it is tried again")}
	errFailover error = dataError{errors.New("the Sentinels are making another server the master: it is tried again when they are done")}
)

// ruling asks the master for its reign, after all that it is asked by key. On a cluster nobody reigns.
func (t *trip) ruling() *redis.Cmd {
	if t.role == nil && t.topology.slots == nil {
		t.role = redis.NewCmd(t.ctx, "INFO", "replication")
		if t.alone {
			_ = t.Process(t.ctx, t.role)
		}
	}
	return t.role
}

// reignOf reads what a master said. It is empty if the server does not know of reigns, as some services do not.
func (b *Backend) reignOf(n *node, role *redis.Cmd) (reign, error) {
	text, err := role.Text()
	if err != nil {
		return "", err
	}
	fields := parseInfo(text)
	if fields["role"] == "slave" {
		return "", &reachError{address: n.address, text: b.explainReplica("READONLY"), cause: errDemoted}
	}
	return reign(fields["master_replid"]), nil
}

// depose fails what was answered by a server that is not the master any more.
func (b *Backend) depose(t *trip, keyed []redis.Cmder) {
	if t.role == nil || t.alone {
		return
	}
	_, err := b.reignOf(t.topology.servers[0], t.role)
	if err == nil {
		return
	}
	b.fleet.distrust()
	for _, c := range keyed {
		if c.Err() == nil {
			c.SetErr(err)
		}
	}
}

// fences remember in whose reign stores were fenced. A deletion stands if the store was read, and goes, in the same one:
// else records may have been acknowledged, by the new master, of which the old one knew nothing.
type fences struct {
	mu     sync.Mutex
	reigns map[string]reign
}

func (f *fences) put(store string, r reign) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.reigns == nil {
		f.reigns = map[string]reign{}
	}
	if r != "" {
		f.reigns[store] = r
	}
}

func (f *fences) drop(store string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.reigns, store)
}

// of returns in whose reign a store was fenced; nothing if it was not.
func (f *fences) of(store string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r, ok := f.reigns[store]; ok {
		return []string{string(r)}
	}
	return nil
}

func (f *fences) any(stores []string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range stores {
		if _, ok := f.reigns[s]; ok {
			return true
		}
	}
	return false
}

// saw breaks the fences of stores that were read in another reign.
func (f *fences) saw(stores []string, r reign) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range stores {
		if was, ok := f.reigns[s]; ok && was != r {
			f.reigns[s] = broken
		}
	}
}

// sendToRead is send for reading stores. It notes in whose reign those were read that are fenced.
func (b *Backend) sendToRead(ctx context.Context, stores []string, queue func(t *trip)) {
	var role *redis.Cmd
	var from *node
	b.send(ctx, "ReadStores", func(t *trip) {
		if queue(t); b.fences.any(stores) {
			role, from = t.ruling(), t.topology.servers[0]
		}
	})
	if role != nil {
		r, _ := b.reignOf(from, role) // If nobody knows, it is nobody's.
		b.fences.saw(stores, r)
	}
}
