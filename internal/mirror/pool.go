package mirror

import (
	"context"
	"sync"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect/broker"
)

// A Pool keeps one mirror for each way to reach a broker: for everything that went into the connection, credentials
// included. It may be used concurrently.
type Pool struct {
	open func(broker.Config) (backend.Backend, error)
	o    Options

	retired chan struct{} // Holds one: something was retired.

	mu      sync.Mutex
	mirrors map[string]*pooled
}

// retirement is for how long a retired mirror goes on, for those who are in the middle of using it.
const retirement = 5 * time.Second

type pooled struct {
	mirror *Mirror
	used   time.Time
}

// NewPool returns an empty pool, whose mirrors get their backends from open.
func NewPool(open func(broker.Config) (backend.Backend, error), o Options) *Pool {
	return &Pool{open: open, o: o.withDefaults(), retired: make(chan struct{}, 1), mirrors: map[string]*pooled{}}
}

// Get returns the mirror for c. It does not wait for the broker.
func (p *Pool) Get(c broker.Config) (*Mirror, error) {
	digest := c.Digest()
	p.mu.Lock()
	defer p.mu.Unlock()
	if m, ok := p.mirrors[digest]; ok {
		m.used = time.Now()
		return m.mirror, nil
	}
	b, err := p.open(c)
	if err != nil {
		return nil, err
	}
	m := New(b, p.o)
	p.mirrors[digest] = &pooled{mirror: m, used: time.Now()}
	return m, nil
}

// Retire has the mirror for c closed soon, unless somebody asks for it again: its credentials have been replaced.
func (p *Pool) Retire(c broker.Config) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if m, ok := p.mirrors[c.Digest()]; ok {
		m.used = time.Time{}
		select {
		case p.retired <- struct{}{}:
		default:
		}
	}
}

// Start closes mirrors that nobody asked for in a while, and those that were retired, until ctx ends; then it closes them
// all.
func (p *Pool) Start(ctx context.Context) error {
	pause := p.o.Idle / 3
	for {
		select {
		case <-time.After(pause):
			p.close(time.Now().Add(-p.o.Idle))
			pause = p.o.Idle / 3
		case <-p.retired:
			pause = min(retirement, p.o.Idle/3)
		case <-ctx.Done():
			p.close(time.Now())
			return nil
		}
	}
}

// close closes the mirrors that were not asked for since t.
func (p *Pool) close(t time.Time) {
	p.mu.Lock()
	var unused []*Mirror
	for digest, m := range p.mirrors {
		if !m.used.After(t) {
			unused = append(unused, m.mirror)
			delete(p.mirrors, digest)
		}
	}
	p.mu.Unlock()
	for _, m := range unused {
		// Nobody waits for this backend any more, and there is nobody to tell.
		_ = m.Close()
	}
}
