// Package pulsartest makes stores on a real Pulsar for tests, with the provider's own backend: with topics, genesis, marker,
// and a role for each principal that can do what package layout says and nothing else.
package pulsartest

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	apache "github.com/apache/pulsar-client-go/pulsar"
	"github.com/golang-jwt/jwt/v5"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/backend/pulsar"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect/pulsarclient"
	"github.com/crossplane-contrib/provider-eventstore/internal/controller/binding"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// Partitions is how many partitions the stores have.
const Partitions = 4

// tenant is where the stores are.
const tenant = "shops"

// Server is a cluster, and the provider's backend for it.
type Server struct {
	*broker.Pulsar

	config  pulsarclient.Config
	backend *pulsar.Backend
	stores  *atomic.Int64
}

// shared is a broker for all tests of a package that need no options.
var shared struct {
	once   sync.Once
	dir    string
	broker *broker.Pulsar
	err    error
	stores atomic.Int64
}

// Main runs the tests of a package, and stops the broker that they share.
func Main(m *testing.M) {
	if err := knowRaces(); err != nil {
		fmt.Fprintln(os.Stderr, "cannot start the tests anew:", err)
		os.Exit(1)
	}
	code := m.Run()
	if shared.broker != nil {
		_ = shared.broker.Stop()
	}
	_ = os.RemoveAll(shared.dir)
	os.Exit(code)
}

// Start returns the broker that tests share, or, with options, one that ends with the test.
func Start(t testing.TB, o broker.PulsarOptions) *Server {
	t.Helper()
	if testing.Short() {
		t.Skip("starts Pulsar")
	}
	p := running(t, o)
	s := &Server{Pulsar: p, stores: &shared.stores, config: pulsarclient.Config{
		ServiceURL: p.ServiceURL, AdminURL: p.AdminURL, Token: p.AdminToken, SigningKey: p.SecretKey, Tenant: tenant, CreateTenant: true,
	}}
	var err error
	if p.Issuer != nil {
		if s.config.SigningKey, err = p.Issuer.PrivateKey(); err != nil {
			t.Fatal(err)
		}
	}
	if s.backend, err = pulsar.New(s.config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.backend.Close() })
	return s
}

func running(t testing.TB, o broker.PulsarOptions) *broker.Pulsar {
	t.Helper()
	if !reflect.DeepEqual(o, broker.PulsarOptions{}) {
		o.Dir = t.TempDir()
		p, err := broker.StartPulsar(context.WithoutCancel(t.Context()), o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = p.Stop() })
		return p
	}
	shared.once.Do(func() {
		if shared.dir, shared.err = os.MkdirTemp("", "pulsar-test-"); shared.err == nil { //nolint:usetesting // It outlives the test.
			shared.broker, shared.err = broker.StartPulsar(context.Background(), broker.PulsarOptions{Dir: shared.dir, Heap: "384m"})
		}
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.broker
}

func owner(kind, name string) plan.Owner {
	return plan.Owner{
		ControlPlane: "0f0e0d0c-0000-4000-8000-000000000001", Group: "eventstore.m.crossplane.io", Kind: kind,
		Namespace: "shop", Name: name, UID: "uid-of-" + name,
	}
}

func (s *Server) token(t testing.TB, principal string) string {
	t.Helper()
	token, err := s.backend.Issue(principal, "")
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// Store makes a store with a new name, and returns its Secret. Extra overrides keys of the Secret.
func (s *Server) Store(t testing.TB, kind layout.Kind, extra map[string]string) eventstore.Secret {
	t.Helper()
	name := fmt.Sprintf("shop.orders-%d", s.stores.Add(1))
	settings := plan.StoreSettings{Owner: owner("EventStore", name), Partitions: Partitions, Snapshots: true}
	if kind == layout.Streaming {
		settings.Retention.Duration = time.Hour
	}
	token := s.token(t, layout.StorePrincipal(name))
	d := plan.DesiredStore{StoreSettings: settings, Name: name, Principal: s.backend.StorePrincipal(name, "", token)}
	var refused []plan.Refusal
	d.Settings, refused = s.backend.StoreSettings(d)
	observed := s.backend.ReadStores(t.Context(), []string{name})[0]
	if observed.Err != nil || len(refused) > 0 {
		t.Fatal(observed.Err, refused)
	}
	p := plan.Store(d, observed.Value, plan.Context{Capabilities: pulsar.Capabilities(), UID: "uid-of-" + name})
	change := backend.StoreChange{Desired: d, Observed: observed.Value, Changes: p.Changes, Password: token}
	if err := s.backend.ApplyStores(t.Context(), []backend.StoreChange{change})[0]; err != nil || len(p.Refusals) > 0 {
		t.Fatal(err, p.Refusals)
	}
	details := binding.Details(s.backend.Connection(), binding.Store(name, settings, kind),
		binding.Credentials{Managed: true, Password: token}.Details(layout.StorePrincipal(name)))
	for k, v := range extra {
		details[k] = []byte(v)
	}
	return details
}

// Subscription makes a subscription that begins with the first event, and returns its Secret.
func (s *Server) Subscription(t testing.TB, store eventstore.Secret, name string) eventstore.Secret {
	t.Helper()
	id := backend.SubscriptionID{Store: store.Get(layout.SecretStore), Name: name}
	token := s.token(t, layout.SubscriptionPrincipal(id.Store, name))
	d := plan.DesiredSubscription{
		SubscriptionSettings: plan.SubscriptionSettings{Owner: owner("Subscription", id.Store+"-"+name)},
		Store:                id.Store, Name: name, StartFrom: plan.Start{Earliest: true}, DeadLetter: true,
		Principal: s.backend.SubscriptionPrincipal(id, "", token),
	}
	d.Settings = s.backend.SubscriptionSettings(d)
	observed := s.backend.ReadSubscriptions(t.Context(), []backend.SubscriptionID{id})[0]
	if observed.Err != nil {
		t.Fatal(observed.Err)
	}
	p := plan.Subscription(d, observed.Value, plan.Context{Capabilities: pulsar.Capabilities(), UID: "uid-of-" + name})
	change := backend.SubscriptionChange{Desired: d, Observed: observed.Value, Changes: p.Changes, Password: token}
	if err := s.backend.ApplySubscriptions(t.Context(), []backend.SubscriptionChange{change})[0]; err != nil || len(p.Refusals) > 0 {
		t.Fatal(err, p.Refusals)
	}
	secret := maps.Clone(store)
	secret[layout.SecretUsername] = []byte(layout.SubscriptionPrincipal(id.Store, name))
	secret[layout.SecretPassword] = []byte(token)
	secret[layout.SecretSubscription] = []byte(name)
	return secret
}

// Expiring returns a Secret of the same principal whose token is refused after a while.
func (s *Server) Expiring(t testing.TB, secret eventstore.Secret, after time.Duration) eventstore.Secret {
	t.Helper()
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.RegisteredClaims{
		Subject: secret.Get(layout.SecretUsername), ExpiresAt: jwt.NewNumericDate(time.Now().Add(after)),
	}).SignedString(s.SecretKey)
	if err != nil {
		t.Fatal(err)
	}
	secret = maps.Clone(secret)
	secret[layout.SecretPassword] = []byte(token)
	return secret
}

// Expired returns when the token of a Secret is refused.
func (s *Server) Expired(t testing.TB, secret eventstore.Secret) {
	t.Helper()
	var claims jwt.RegisteredClaims
	if _, _, err := jwt.NewParser().ParseUnverified(secret.Get(layout.SecretPassword), &claims); err != nil {
		t.Fatal(err)
	}
	select {
	case <-time.After(time.Until(claims.ExpiresAt.Add(time.Second))):
	case <-t.Context().Done():
	}
}

// Client returns a client of the administrator.
func (s *Server) Client(t testing.TB) apache.Client {
	t.Helper()
	c, err := s.config.Client()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// Events is the topic with one partition of the events of a store.
func (s *Server) Events(secret eventstore.Secret, partition int) string {
	return layout.PulsarTopic(tenant, secret.Get(layout.SecretStore), layout.PulsarPartition(layout.PulsarEvents, partition))
}

// Admin makes a request to the admin API about a topic, which Events and the like name.
func (s *Server) Admin(t testing.TB, method, topic, what string) {
	t.Helper()
	path := "/admin/v2/" + strings.Replace(topic, "://", "/", 1) + what
	r, err := http.NewRequestWithContext(t.Context(), method, s.AdminURL+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.AdminToken)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, _ := io.ReadAll(resp.Body); resp.StatusCode >= http.StatusBadRequest {
		t.Fatalf("%s %s: %s: %.300s", method, path, resp.Status, text)
	}
}

// TLS returns a Secret of the same principal at the port with TLS.
func (s *Server) TLS(t testing.TB, secret eventstore.Secret) eventstore.Secret {
	t.Helper()
	ca, err := os.ReadFile(s.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	out := maps.Clone(secret)
	maps.Copy(out, eventstore.Secret{
		layout.SecretURI: []byte(s.TLSServiceURL), layout.SecretTLS: []byte("true"), layout.SecretCA: ca,
	})
	return out
}

// MutualTLS returns a Secret of the same principal, who is known by a certificate.
func (s *Server) MutualTLS(t testing.TB, secret eventstore.Secret) eventstore.Secret {
	t.Helper()
	pair, err := s.ClientCert(secret.Get(layout.SecretUsername))
	if err != nil {
		t.Fatal(err)
	}
	out := s.TLS(t, secret)
	delete(out, layout.SecretPassword)
	out[layout.SecretCertificate], out[layout.SecretPrivateKey] = pair.Cert, pair.Key
	return out
}
