// Package kafka administers stores and subscriptions on an Apache Kafka cluster: topics, groups, users, rights and quotas,
// by the names in [layout]. It implements [backend.Backend], which [New] returns.
//
// What Kafka does not know of a store, such as whose it is, is in a marker: a record of the compacted registry topic. See
// [fold] for how two who claim the same store are told apart, and docs/layout.md for the format.
//
// # Requests
//
// Reading any number of stores takes one request each to read on in the registry, for metadata, configurations, rights,
// users and quotas, and two to every broker that leads a partition, for offsets. Reading subscriptions takes the last
// two as well, and two to every broker that coordinates a group, for positions and for who is active. If subscriptions are
// read right after stores, as the mirror does, they share what was listed; see [Backend.look]. Writing takes as many requests
// as a plan has kinds of changes, whatever the number of stores or partitions; only positions are committed group by group.
package kafka

import (
	"context"
	"maps"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect/kafkaclient"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// adminTimeout is how long the controllers may take for one request.
const adminTimeout = 5 * time.Second

var (
	_ backend.Backend    = &Backend{}
	_ backend.Maintainer = &Backend{}
)

// A Backend administers one Kafka cluster. It may be used concurrently.
type Backend struct {
	config   kafkaclient.Config
	cluster  *cluster
	registry *registry

	coordinators coordinators

	times   times
	sizes   sizes
	limits  limits
	guard   guard
	release release
	shared  shared

	// noRights means that the cluster has no authorizer, or does not let us see what it allows.
	noRights atomic.Bool
}

type options struct {
	observe func(kind string, requests int)
	aws     connect.AWSTokens
}

// An Option changes how a Backend behaves.
type Option func(*options)

// WithObserver calls f for every request, with the name that Kafka's protocol has for it. f is called concurrently.
// Default: nobody is told.
func WithObserver(f func(kind string, requests int)) Option {
	return func(o *options) { o.observe = f }
}

// WithAWS has tokens for AWS_MSK_IAM made by f. Default: that mechanism is refused.
func WithAWS(f connect.AWSTokens) Option {
	return func(o *options) { o.aws = f }
}

// New returns a backend for the cluster. It connects when it is first used.
func New(c kafkaclient.Config, opts ...Option) (*Backend, error) {
	var o options
	for _, f := range opts {
		f(&o)
	}
	clientOpts, err := c.Options(o.aws)
	if err != nil {
		return nil, err
	}
	clientOpts = append(clientOpts,
		// Whoever calls tries again, and wants to know soon why it failed.
		kgo.RequestRetries(len(c.BootstrapServers)+2), kgo.RetryTimeout(5*time.Second),
		kgo.RetryBackoffFn(func(tries int) time.Duration { return min(20*time.Millisecond<<min(tries, 10), 500*time.Millisecond) }),
	)
	if o.observe != nil {
		clientOpts = append(clientOpts, kgo.WithHooks(observer(o.observe)))
	}
	client, err := kgo.NewClient(clientOpts...)
	if err != nil {
		return nil, err
	}
	b := &Backend{config: c, cluster: &cluster{client: client}}
	if b.config.RegistryTopic == "" {
		b.config.RegistryTopic = "eventstore.registry"
	}
	b.registry = newRegistry(b.cluster, b.config.RegistryTopic)
	b.registry.created = func(ctx context.Context) { _, _ = b.closeRegistry(ctx) } // Health says what came of it.
	return b, nil
}

// An observer is told of every request that is written.
type observer func(kind string, requests int)

// OnBrokerWrite implements [kgo.HookBrokerWrite].
func (o observer) OnBrokerWrite(_ kgo.BrokerMetadata, key int16, _ int, _, _ time.Duration, _ error) {
	o(kmsg.NameForKey(key), 1)
}

// Close closes the connections.
func (b *Backend) Close() error {
	b.cluster.client.Close()
	return nil
}

// Connection returns how to reach the cluster. The provider's own credentials are not part of it.
func (b *Backend) Connection() map[string][]byte {
	servers := strings.Join(b.config.BootstrapServers, ",")
	host, port, err := net.SplitHostPort(b.config.BootstrapServers[0])
	if err != nil {
		host, port = b.config.BootstrapServers[0], "9092"
	}
	protocol, mechanism := b.protocol()
	c := map[string][]byte{
		layout.SecretType:             []byte(layout.SecretTypeEventStore),
		layout.SecretProvider:         []byte(name),
		layout.SecretHost:             []byte(host),
		layout.SecretPort:             []byte(port),
		layout.SecretURI:              []byte("kafka://" + net.JoinHostPort(host, port)),
		layout.SecretEndpoints:        []byte(servers),
		layout.SecretTLS:              []byte(strconv.FormatBool(b.config.TLS != nil)),
		layout.SecretBootstrap:        []byte(servers),
		layout.SecretSecurityProtocol: []byte(protocol),
	}
	if mechanism != "" {
		c[layout.SecretSASLMechanism] = []byte(mechanism)
	}
	if mechanism == kafkaclient.OAuthBearer {
		maps.Copy(c, b.config.OAuth.Details())
	}
	if mechanism == kafkaclient.AWSMSKIAM && b.config.AWS != nil {
		c[layout.SecretAWSRegion] = []byte(b.config.AWS.Region)
	}
	if b.config.TLS != nil && len(b.config.TLS.CA) > 0 {
		c[layout.SecretCA] = b.config.TLS.CA
	}
	return c
}

// protocol returns how applications authenticate: users that the provider makes, as it makes them, and others as the provider
// does.
func (b *Backend) protocol() (protocol, mechanism string) {
	protocol, mechanism = "PLAINTEXT", kafkaclient.ScramSHA512
	if b.config.TLS != nil {
		protocol = "SSL"
	}
	if b.config.Provided {
		mechanism = b.config.Mechanism
	}
	if mechanism == "" {
		return protocol, ""
	}
	return "SASL_" + protocol, mechanism
}

// Maintain writes once more what lost claims hide in the registry. See [fold].
func (b *Backend) Maintain(ctx context.Context, _ []string) error {
	var hidden bool
	if err := b.registry.known(ctx, func(f *fold) { hidden = len(f.unhealed()) > 0 }); err != nil || !hidden {
		return err
	}
	return b.explain(b.registry.mend(ctx))
}
