package kafkaclient

import (
	"context"
	"net"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"

	"github.com/crossplane-contrib/provider-eventstore/internal/connect"
)

// renewal makes each connection of the clients that share its options with the settings of the moment. Clients tell it
// of themselves: it implements [kgo.HookNewClient] and [kgo.HookClientClosed].
type renewal struct {
	renew func() (Config, error)
	aws   connect.AWSTokens
	began []string // The bootstrap servers at first.
	name  string   // Of the mechanism.

	mu        sync.Mutex
	digest    string // Of the settings that mechanism was made of.
	mechanism sasl.Mechanism
	seeds     []string
	clients   map[*kgo.Client]bool
}

func (k Config) renewal(aws connect.AWSTokens) *renewal {
	return &renewal{renew: k.Renew, aws: aws, began: k.BootstrapServers, seeds: k.BootstrapServers, clients: map[*kgo.Client]bool{}}
}

// OnNewClient implements [kgo.HookNewClient].
func (r *renewal) OnNewClient(c *kgo.Client) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clients[c] = true
	if !slices.Equal(r.seeds, r.began) { // Its options have those of the beginning.
		_ = c.UpdateSeedBrokers(r.seeds...)
	}
}

// OnClientClosed implements [kgo.HookClientClosed].
func (r *renewal) OnClientClosed(c *kgo.Client) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.clients, c)
}

// dial is called for seeds and for brokers that the cluster has named.
func (r *renewal) dial(ctx context.Context, _, address string) (net.Conn, error) {
	now, err := r.renew()
	if err != nil {
		return nil, err // Not one of the network's, which the client would try again.
	}
	r.moved(now.BootstrapServers)
	return connect.Dial(ctx, address, now.TLS)
}

// moved tells the clients that the cluster is to be found elsewhere. They ask there when no broker that they know answers.
func (r *renewal) moved(seeds []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(seeds) == 0 || slices.Equal(seeds, r.seeds) {
		return
	}
	r.seeds = seeds
	for c := range r.clients {
		_ = c.UpdateSeedBrokers(seeds...)
	}
}

// Name implements [sasl.Mechanism].
func (r *renewal) Name() string { return r.name }

// Authenticate implements [sasl.Mechanism].
func (r *renewal) Authenticate(ctx context.Context, host string) (sasl.Session, []byte, error) {
	now, err := r.renew()
	if err != nil {
		return nil, nil, err
	}
	m, err := r.login(now)
	if err != nil {
		return nil, nil, err
	}
	return m.Authenticate(ctx, host)
}

// login returns the mechanism of the settings: while these stay the same, the same, which keeps its token until it expires.
func (r *renewal) login(now Config) (sasl.Mechanism, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if digest := connect.Digest(now); digest != r.digest {
		m, err := now.mechanism(r.aws)
		if err != nil {
			return nil, err
		}
		r.mechanism, r.digest = m, digest
	}
	return r.mechanism, nil
}
