// Package kafkatest makes stores on a real Kafka for tests, with the provider's own backend: with topics, genesis, marker,
// and a user for each principal that can do what package layout says and nothing else.
package kafkatest

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/backend/kafka"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect/kafkaclient"
	"github.com/crossplane-contrib/provider-eventstore/internal/controller/binding"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// Partitions is how many partitions the stores have.
const Partitions = 4

// Server is a cluster, and the provider's backend for it.
type Server struct {
	*broker.Kafka

	config  kafkaclient.Config
	backend *kafka.Backend
	stores  atomic.Int64
}

// Start starts a cluster that ends with the test.
func Start(t testing.TB) *Server {
	t.Helper()
	return StartWith(t, broker.KafkaOptions{})
}

// StartWith starts a cluster with other options.
func StartWith(t testing.TB, o broker.KafkaOptions) *Server {
	t.Helper()
	if testing.Short() {
		t.Skip("starts Kafka")
	}
	o.Dir = t.TempDir()
	k, err := broker.StartKafka(context.WithoutCancel(t.Context()), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Kill(); err != nil {
			t.Error(err)
		}
	})
	s := &Server{Kafka: k, config: kafkaclient.Config{
		BootstrapServers: strings.Split(k.Addr, ","), Mechanism: kafkaclient.ScramSHA512, Username: k.AdminUser, Password: k.AdminPassword,
	}}
	if s.backend, err = kafka.New(s.config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.backend.Close() })
	return s
}

func owner(kind, name string) plan.Owner {
	return plan.Owner{
		ControlPlane: "0f0e0d0c-0000-4000-8000-000000000001", Group: "eventstore.m.crossplane.io", Kind: kind,
		Namespace: "shop", Name: name, UID: "uid-of-" + name,
	}
}

// Store makes a store with a new name, and returns its Secret. Extra overrides keys of the Secret.
func (s *Server) Store(t testing.TB, kind layout.Kind, extra map[string]string) eventstore.Secret {
	t.Helper()
	name := fmt.Sprintf("shop.orders-%d", s.stores.Add(1))
	settings := plan.StoreSettings{Owner: owner("EventStore", name), Partitions: Partitions, Snapshots: true}
	if kind == layout.Streaming {
		settings.Retention.Duration = time.Hour
	}
	password := rand.Text()
	d := plan.DesiredStore{StoreSettings: settings, Name: name, Principal: s.backend.StorePrincipal(name, "", password)}
	var refused []plan.Refusal
	d.Settings, refused = s.backend.StoreSettings(d)
	observed := s.backend.ReadStores(t.Context(), []string{name})[0]
	if observed.Err != nil || len(refused) > 0 {
		t.Fatal(observed.Err, refused)
	}
	p := plan.Store(d, observed.Value, plan.Context{Capabilities: kafka.Capabilities(), UID: "uid-of-" + name})
	change := backend.StoreChange{Desired: d, Observed: observed.Value, Changes: p.Changes, Password: password}
	if err := s.backend.ApplyStores(t.Context(), []backend.StoreChange{change})[0]; err != nil || len(p.Refusals) > 0 {
		t.Fatal(err, p.Refusals)
	}
	details := binding.Details(s.backend.Connection(), binding.Store(name, settings, kind),
		binding.Credentials{Managed: true, Password: password}.Details(layout.StorePrincipal(name)))
	s.awaitUser(t, layout.StorePrincipal(name), password)
	for k, v := range extra {
		details[k] = []byte(v)
	}
	return details
}

// awaitUser waits until the brokers know a user, of whom they hear later than they confirm it.
func (s *Server) awaitUser(t testing.TB, name, password string) {
	t.Helper()
	config := s.config
	config.Username, config.Password = name, password
	opts, err := config.Options(nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		c, err := kgo.NewClient(opts...)
		if err != nil {
			t.Fatal(err)
		}
		err = c.Ping(ctx)
		c.Close()
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("waited in vain for user %q to be known: %v", name, err)
		}
	}
}

// Subscription makes a subscription that begins with the first event, and returns its Secret.
func (s *Server) Subscription(t testing.TB, store eventstore.Secret, name string) eventstore.Secret {
	t.Helper()
	id := backend.SubscriptionID{Store: store.Get(layout.SecretStore), Name: name}
	password := rand.Text()
	d := plan.DesiredSubscription{
		SubscriptionSettings: plan.SubscriptionSettings{Owner: owner("Subscription", id.Store+"-"+name)},
		Store:                id.Store, Name: name, StartFrom: plan.Start{Earliest: true}, DeadLetter: true,
		Principal: s.backend.SubscriptionPrincipal(id, "", password),
	}
	d.Settings = s.backend.SubscriptionSettings(d)
	observed := s.backend.ReadSubscriptions(t.Context(), []backend.SubscriptionID{id})[0]
	if observed.Err != nil {
		t.Fatal(observed.Err)
	}
	p := plan.Subscription(d, observed.Value, plan.Context{Capabilities: kafka.Capabilities(), UID: "uid-of-" + name})
	change := backend.SubscriptionChange{Desired: d, Observed: observed.Value, Changes: p.Changes, Password: password}
	if err := s.backend.ApplySubscriptions(t.Context(), []backend.SubscriptionChange{change})[0]; err != nil || len(p.Refusals) > 0 {
		t.Fatal(err, p.Refusals)
	}
	s.awaitUser(t, layout.SubscriptionPrincipal(id.Store, name), password)
	secret := maps.Clone(store)
	secret[layout.SecretUsername] = []byte(layout.SubscriptionPrincipal(id.Store, name))
	secret[layout.SecretPassword] = []byte(password)
	secret[layout.SecretSubscription] = []byte(name)
	return secret
}

// Rotate gives the user of a Secret another password, and returns the Secret with it.
func (s *Server) Rotate(t testing.TB, secret eventstore.Secret) eventstore.Secret {
	t.Helper()
	password := rand.Text()
	done, err := kadm.NewClient(s.Admin(t)).AlterUserSCRAMs(t.Context(), nil, []kadm.UpsertSCRAM{{
		User: secret.Get(layout.SecretUsername), Mechanism: kadm.ScramSha512, Iterations: 4096, Password: password,
	}})
	if err == nil {
		err = done.Error()
	}
	if err != nil {
		t.Fatal(err)
	}
	secret = maps.Clone(secret)
	secret[layout.SecretPassword] = []byte(password)
	return secret
}

// Admin returns a client of the administrator.
func (s *Server) Admin(t testing.TB, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	all, err := s.config.Options(nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := kgo.NewClient(append(all, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
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
		layout.SecretBootstrap: []byte(s.TLSAddr), layout.SecretEndpoints: []byte(s.TLSAddr), layout.SecretTLS: []byte("true"),
		layout.SecretSecurityProtocol: []byte("SASL_SSL"), layout.SecretCA: ca,
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
	delete(out, layout.SecretSASLMechanism)
	maps.Copy(out, eventstore.Secret{
		layout.SecretBootstrap: []byte(s.MTLSAddr), layout.SecretEndpoints: []byte(s.MTLSAddr), layout.SecretSecurityProtocol: []byte("SSL"),
		layout.SecretCertificate: pair.Cert, layout.SecretPrivateKey: pair.Key,
	})
	return out
}
