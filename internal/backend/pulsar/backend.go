// Package pulsar administers stores and subscriptions on Apache Pulsar: the namespaces and topics of [layout], their
// policies and permissions, and the tokens of their principals. It implements [backend.Backend], which [New] returns.
//
// # The marker
//
// A store is a namespace, and its properties are the marker of the store and of its subscriptions. Pulsar creates a
// namespace once, with its properties, so that of two claimants one loses before anything exists. It changes properties
// one by one and without conditions, so that whoever takes over first creates a topic whose name has the number of the
// takeover, which again Pulsar does once; see claim.go.
//
// # Requests
//
// The admin API knows one namespace or topic at a time, and has no versions to ask for what changed. Reading a store takes
// three requests, and one for each subscription that keeps dead letters; reading a subscription takes three, which those of
// one store share, and two of its own. A partition of which that shows that something has changed takes two more. Requests go
// out over up to [pulsarclient.Config.Connections] connections at a time, which are kept.
package pulsar

import (
	"context"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/apache/pulsar-client-go/pulsar"
	"github.com/apache/pulsar-client-go/pulsaradmin/pkg/rest"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect/pulsarclient"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

const (
	// parallelism is how many resources are worked on at a time in one call.
	parallelism = 16

	// requestTimeout is how long one request may take, whatever the caller's context says, and readTimeout how long one that
	// changes nothing may: what one topic keeps waiting is read with many others.
	requestTimeout = 30 * time.Second
	readTimeout    = 5 * time.Second

	// maxPartitions is how many partitions a marker may claim. More is damage.
	maxPartitions = 1024
)

var (
	_ backend.Backend = &Backend{}
	_ backend.Issuer  = &Backend{}
)

// A Backend administers one tenant of a Pulsar cluster. It may be used concurrently.
type Backend struct {
	config  pulsarclient.Config
	admin   *rest.Client
	key     *signingKey // nil: no tokens are issued.
	observe func(kind string, requests int)

	exclusion  exclusion
	entries    entryCache
	ledgers    ledgerCache
	overrides  overrideCache
	configured configCache

	clientMu sync.Mutex
	client   pulsar.Client // nil until it is needed: it asks for a token when it is made.
	closed   bool

	// tenant is created once, if the settings say so.
	tenantMu    sync.Mutex
	tenantKnown bool
}

// An Option changes how a Backend behaves.
type Option func(*Backend)

// WithObserver calls f for every request, with the operation that it is for. f is called concurrently. Default: nobody is
// told.
func WithObserver(f func(kind string, requests int)) Option {
	return func(b *Backend) { b.observe = f }
}

// New returns a backend for the cluster. It connects when it is first used.
func New(c pulsarclient.Config, opts ...Option) (*Backend, error) {
	transport, err := c.Transport()
	if err != nil {
		return nil, err
	}
	key, err := newSigningKey(c.SigningKey)
	if err != nil {
		return nil, err
	}
	b := &Backend{
		config:  c,
		admin:   &rest.Client{ServiceURL: c.AdminURL, HTTPClient: &http.Client{Transport: transport, Timeout: requestTimeout}, VersionInfo: "provider-eventstore"},
		key:     key,
		observe: func(string, int) {},

		configured: configCache{busy: make(chan struct{}, 1)},
	}
	for _, o := range opts {
		o(b)
	}
	return b, nil
}

// Close closes the connections.
func (b *Backend) Close() error {
	b.clientMu.Lock()
	defer b.clientMu.Unlock()
	b.closed = true
	if b.client != nil {
		b.client.Close()
	}
	b.admin.HTTPClient.CloseIdleConnections()
	return nil
}

// producerClient returns the client of the binary protocol.
func (b *Backend) producerClient() (pulsar.Client, error) {
	b.clientMu.Lock()
	defer b.clientMu.Unlock()
	if b.closed {
		return nil, net.ErrClosed
	}
	var err error
	if b.client == nil {
		b.client, err = b.config.Client()
	}
	return b.client, err
}

// Connection returns how to reach the cluster. The provider's own token and certificate are not part of it.
func (b *Backend) Connection() map[string][]byte {
	endpoints, secure := b.brokers(), strings.HasPrefix(b.config.ServiceURL, "pulsar+ssl:")
	host, port, err := net.SplitHostPort(endpoints[0])
	if err != nil {
		host = endpoints[0]
	}
	c := map[string][]byte{
		layout.SecretType:      []byte(layout.SecretTypeEventStore),
		layout.SecretProvider:  []byte(name),
		layout.SecretHost:      []byte(host),
		layout.SecretPort:      []byte(port),
		layout.SecretURI:       []byte(b.config.ServiceURL),
		layout.SecretEndpoints: []byte(strings.Join(endpoints, ",")),
		layout.SecretTLS:       []byte(strconv.FormatBool(secure)),
		layout.SecretAdminURL:  []byte(b.config.AdminURL),
		layout.SecretTenant:    []byte(b.config.Tenant),
	}
	maps.Copy(c, b.config.OAuth.Details())
	if b.config.TLS != nil && len(b.config.TLS.CA) > 0 {
		c[layout.SecretCA] = b.config.TLS.CA
	}
	return c
}

// brokers returns the brokers of the service URL as host:port.
func (b *Backend) brokers() (endpoints []string) {
	scheme, hosts, _ := strings.Cut(b.config.ServiceURL, "://")
	defaultPort := "6650"
	if scheme == "pulsar+ssl" {
		defaultPort = "6651"
	}
	hosts, _, _ = strings.Cut(hosts, "/")
	for h := range strings.SplitSeq(hosts, ",") {
		if u, err := url.Parse("pulsar://" + h); err == nil && u.Port() == "" {
			h = net.JoinHostPort(u.Hostname(), defaultPort)
		}
		endpoints = append(endpoints, h)
	}
	return endpoints
}

// parallel calls f with 0 to n-1, several at a time, and returns when all calls have.
func parallel(n int, f func(i int)) {
	if n == 1 {
		f(0)
		return
	}
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(n, parallelism) {
		wg.Go(func() {
			for i := range next {
				f(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
}

// first returns the first error that is not nil.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// ensureTenant creates the tenant if it is not there, and the settings say so.
func (b *Backend) ensureTenant(ctx context.Context) error {
	if !b.config.CreateTenant {
		return nil
	}
	b.tenantMu.Lock()
	defer b.tenantMu.Unlock()
	if b.tenantKnown {
		return nil
	}
	err := b.get(ctx, "ApplyStores", "tenants/"+b.config.Tenant, nil)
	if isAbsent(err) {
		var clusters []string
		if err = b.get(ctx, "ApplyStores", "clusters", &clusters); err != nil {
			return err
		}
		err = b.put(ctx, "ApplyStores", "tenants/"+b.config.Tenant, map[string]any{"adminRoles": []string{}, "allowedClusters": clusters})
		if isConflict(err) {
			err = nil
		}
	}
	b.tenantKnown = err == nil
	return err
}
