package provider_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	xpv2 "github.com/crossplane/crossplane/apis/v2/core/v2"
	"github.com/twmb/franz-go/pkg/kerr"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
	namespacedv1alpha1 "github.com/crossplane-contrib/provider-eventstore/apis/namespaced/v1alpha1"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect/kafkaclient"
	"github.com/crossplane-contrib/provider-eventstore/test/bench/backdoor"
)

// backends are those that every test runs on that knows no broker.
var backends = []v1alpha1.Backend{v1alpha1.BackendRedis, v1alpha1.BackendKafka, v1alpha1.BackendPulsar}

// backdoorTenant is the one that package backdoor looks into.
const backdoorTenant = "events"

// anyBroker is a running broker of any kind. What it embeds goes to it past the provider, and past the proxies, with all
// rights.
type anyBroker struct {
	backdoor.Broker

	backend v1alpha1.Backend
	spec    v1alpha1.BrokerSpec
	secret  map[string]string // That of its ProviderConfig: see the constants.
	proxies []*broker.Proxy   // That clients go through, the provider among them.

	redis  *broker.Redis // One of the three.
	kafka  *broker.Kafka
	pulsar *broker.Pulsar
}

// Keys of anyBroker.secret.
const (
	secretCredentials = "credentials"
	secretSigningKey  = "key"
)

// sharedBrokers are started when a test first asks for them, and stopped after the last one.
var sharedBrokers = map[v1alpha1.Backend]*sharedBroker{
	v1alpha1.BackendRedis: {}, v1alpha1.BackendKafka: {}, v1alpha1.BackendPulsar: {},
}

type sharedBroker struct {
	once   sync.Once
	broker *anyBroker
	err    error
}

// shared returns the broker of a kind that all tests share. Its ClusterProviderConfig has the name of the backend. Nobody
// stops it, and what a test makes there is in a namespace of its own.
func shared(t *testing.T, backend v1alpha1.Backend) *anyBroker {
	t.Helper()
	s := sharedBrokers[backend]
	s.once.Do(func() {
		ctx := context.Background() //nolint:usetesting // It outlives the test.
		if s.broker, s.err = startBroker(ctx, backend, filepath.Join(world.dir, "shared-"+string(backend)), false); s.err != nil {
			return
		}
		secret, pc := s.broker.config("crossplane-system", "shared-"+string(backend), string(backend))
		for _, o := range []client.Object{secret, pc} {
			s.err = errors.Join(s.err, world.kube.Create(ctx, o))
		}
	})
	if s.err != nil {
		t.Fatal(s.err)
	}
	return s.broker
}

// stopBrokers ends the shared brokers.
func stopBrokers() {
	for _, s := range sharedBrokers {
		if s.broker != nil {
			_ = s.broker.stop()
		}
	}
}

// leftovers lists what the shared brokers have of the tests' namespaces.
func leftovers(ctx context.Context) (all []string, err error) {
	for _, s := range sharedBrokers {
		if s.broker == nil {
			continue
		}
		traces, err := s.broker.Traces(ctx, "team-")
		if err != nil && !errors.Is(err, kerr.UnknownTopicOrPartition) { // No registry, as nobody ever had a store there.
			return nil, fmt.Errorf("cannot look for traces on %s: %w", s.broker.backend, err)
		}
		all = append(all, traces...)
	}
	return all, nil
}

// behindProxies starts a broker of a test's own, which clients reach through proxies alone, and a ClusterProviderConfig for
// it with the name of the namespace.
func behindProxies(t *testing.T, backend v1alpha1.Backend, namespace string) (*anyBroker, *namespacedv1alpha1.ClusterProviderConfig) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context()) // What waits for it is still deleted when the test has ended.
	b, err := startBroker(ctx, backend, t.TempDir(), true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.stop(); err != nil {
			t.Error(err)
		}
	})
	secret, pc := b.config(namespace, "broker", namespace)
	create(t, secret, pc)
	return b, pc
}

// startBroker starts a broker, with or without proxies.
func startBroker(ctx context.Context, backend v1alpha1.Backend, dir string, proxied bool) (*anyBroker, error) {
	b := &anyBroker{backend: backend, secret: map[string]string{}}
	start := map[v1alpha1.Backend]func(ctx context.Context, dir string, proxied bool) error{
		v1alpha1.BackendRedis: b.startRedis, v1alpha1.BackendKafka: b.startKafka, v1alpha1.BackendPulsar: b.startPulsar,
	}[backend]
	if err := start(ctx, dir, proxied); err != nil {
		return nil, errors.Join(err, b.stop())
	}
	for _, s := range b.secret {
		audit.secret(s)
	}
	return b, nil
}

// proxy puts a proxy in front of addr, and returns where it listens.
func (b *anyBroker) proxy(addr string) (string, error) {
	p, err := broker.NewProxy(addr)
	if err != nil {
		return "", err
	}
	b.proxies = append(b.proxies, p)
	return p.Addr, nil
}

func (b *anyBroker) startRedis(ctx context.Context, dir string, proxied bool) (err error) {
	if b.redis, err = broker.StartRedis(ctx, broker.RedisOptions{Dir: dir, AppendOnly: true, ACLFile: true}); err != nil {
		return err
	}
	addr := b.redis.Addr
	if proxied {
		if addr, err = b.proxy(addr); err != nil {
			return err
		}
	}
	b.Broker, b.spec, b.secret[secretCredentials] = backdoor.Redis(b.redis), brokerSpec(addr), b.redis.AdminPassword
	return nil
}

func (b *anyBroker) startKafka(ctx context.Context, dir string, proxied bool) (err error) {
	o := broker.KafkaOptions{Dir: dir, TieredStorage: true}
	if proxied {
		o.Advertise = func(_ int, addr string) (string, error) { return b.proxy(addr) }
	}
	if b.kafka, err = broker.StartKafka(ctx, o); err != nil {
		return err
	}
	direct, err := b.kafkaDirect()
	if err != nil {
		return err
	}
	if b.Broker, err = backdoor.KafkaBy(direct); err != nil {
		return err
	}
	b.spec.Kafka = &v1alpha1.KafkaSettings{
		BootstrapServers: []string{b.kafka.Addr},
		Authentication:   &v1alpha1.KafkaAuthentication{Mechanism: v1alpha1.KafkaScramSHA256, Username: b.kafka.AdminUser},
	}
	b.secret[secretCredentials] = b.kafka.AdminPassword
	return nil
}

// kafkaDirect leads to the listener that no proxy is in front of. It is by SHA-256, and so is the ProviderConfig: Kafka may
// forget the users of the other mechanism at a restart, and the provider is to restore its own.
func (b *anyBroker) kafkaDirect() (kafkaclient.Config, error) {
	ca, err := os.ReadFile(b.kafka.CAFile)
	return kafkaclient.Config{
		BootstrapServers: []string{b.kafka.TLSAddr}, TLS: &connect.TLS{CA: ca},
		Mechanism: kafkaclient.ScramSHA256, Username: b.kafka.AdminUser, Password: b.kafka.AdminPassword,
	}, err
}

func (b *anyBroker) startPulsar(ctx context.Context, dir string, proxied bool) (err error) {
	o := broker.PulsarOptions{Dir: dir}
	if proxied {
		o.Advertise = b.proxy
	}
	if b.pulsar, err = broker.StartPulsar(ctx, o); err != nil {
		return err
	}
	if b.Broker, err = backdoor.Pulsar(b.pulsar); err != nil {
		return err
	}
	admin := b.pulsar.AdminURL
	if proxied {
		u, err := url.Parse(admin)
		if err != nil {
			return err
		}
		if u.Host, err = b.proxy(u.Host); err != nil {
			return err
		}
		admin = u.String()
	}
	b.spec.Pulsar = &v1alpha1.PulsarSettings{
		ServiceURL: b.pulsar.ServiceURL, AdminURL: admin, Tenant: backdoorTenant, CreateTenant: true,
		Authentication: &v1alpha1.PulsarAuthentication{Method: v1alpha1.PulsarToken},
	}
	b.secret[secretCredentials], b.secret[secretSigningKey] = b.pulsar.AdminToken, string(b.pulsar.SecretKey)
	return nil
}

// restart stops the broker and starts it again, with its data, and through the same proxies.
func (b *anyBroker) restart(ctx context.Context) error {
	switch {
	case b.redis != nil:
		return b.redis.Restart(ctx)
	case b.kafka != nil:
		return b.kafka.Restart(ctx)
	default:
		return b.pulsar.Restart(ctx)
	}
}

// halt stops the broker, which restart starts again.
func (b *anyBroker) halt() error {
	switch {
	case b.redis != nil:
		return b.redis.Stop()
	case b.kafka != nil:
		return b.kafka.Stop()
	default:
		return b.pulsar.Stop()
	}
}

// stop ends the broker for good, and what is in front of it.
func (b *anyBroker) stop() (err error) {
	if b.Broker != nil {
		err = b.Broker.Close()
	}
	for _, p := range b.proxies {
		err = errors.Join(err, p.Close())
	}
	switch { // Nobody needs its data any more.
	case b.redis != nil:
		return errors.Join(err, b.redis.Kill())
	case b.kafka != nil:
		return errors.Join(err, b.kafka.Kill())
	case b.pulsar != nil:
		return errors.Join(err, b.pulsar.Kill())
	}
	return err
}

// config returns a ClusterProviderConfig for the broker, and its Secret.
func (b *anyBroker) config(namespace, secret, name string) (*corev1.Secret, *namespacedv1alpha1.ClusterProviderConfig) {
	from := func(key string) *v1alpha1.Credentials {
		return &v1alpha1.Credentials{Source: xpv2.CredentialsSourceSecret, SecretRef: &xpv2.SecretKeySelector{
			SecretReference: xpv2.SecretReference{Namespace: namespace, Name: secret}, Key: key,
		}}
	}
	pc := &namespacedv1alpha1.ClusterProviderConfig{}
	pc.SetName(name)
	pc.Spec.BrokerSpec, pc.Spec.Credentials = b.spec, from(secretCredentials)
	if b.secret[secretSigningKey] != "" {
		pc.Spec.TokenSigningKey = from(secretSigningKey)
	}
	return &corev1.Secret{ObjectMeta: objectMeta(namespace, secret), StringData: maps.Clone(b.secret)}, pc
}

// application connects as whom a connection Secret is for.
func (b *anyBroker) application(t *testing.T, namespace, secret string) backdoor.Application {
	t.Helper()
	a, err := b.Connect(t.Context(), eventstore.Secret(connection(t, namespace, secret)))
	if err != nil {
		t.Fatalf("cannot connect with the Secret %s/%s: %v", namespace, secret, err)
	}
	t.Cleanup(func() { _ = a.Close() })
	return a
}

// write appends records with these ids.
func write(t *testing.T, a backdoor.Application, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if err := a.Write(t.Context(), id); err != nil {
			t.Fatalf("cannot append %s: %v", id, err)
		}
	}
}

// holds checks that the store holds each of the records once, and nothing else.
func holds(t *testing.T, a backdoor.Application, ids ...string) {
	t.Helper()
	eventually(t, "the store can be read, and holds each record once", func() (bool, string) {
		got, err := a.Records(t.Context())
		if err != nil {
			return false, err.Error()
		}
		ok := len(got) == len(ids)
		for _, id := range ids {
			ok = ok && got[id] == 1
		}
		return ok, fmt.Sprint(got)
	})
}

// traces returns what the broker has of names that begin with prefix, sorted.
func (b *anyBroker) traces(t *testing.T, prefix string) []string {
	t.Helper()
	l, err := b.Traces(t.Context(), prefix)
	if err != nil && !errors.Is(err, kerr.UnknownTopicOrPartition) { // No registry: nobody ever had a store there.
		t.Fatalf("cannot look for traces on %s: %v", b.backend, err)
	}
	slices.Sort(l)
	return l
}

// lostPrincipal is the change by which the user of a store or subscription is gone, or can do nothing any more: Pulsar has
// no users, but permissions.
func (b *anyBroker) lostPrincipal(t *testing.T, subscription bool) backdoor.Change {
	t.Helper()
	return b.change(t, subscription, "user deleted", "permission revoked")
}

// lostPosition is the change by which a subscription has no position any more.
func (b *anyBroker) lostPosition(t *testing.T) backdoor.Change {
	t.Helper()
	return b.change(t, true, "group destroyed", "group deleted", "subscription deleted")
}

// change returns the first change that has one of the names.
func (b *anyBroker) change(t *testing.T, subscription bool, names ...string) backdoor.Change {
	t.Helper()
	for _, c := range b.Changes() {
		if c.Subscription == subscription && slices.Contains(names, c.Name) {
			return c
		}
	}
	t.Fatalf("nobody knows how to make any of the changes %q on %s", names, b.backend)
	return backdoor.Change{}
}

// onEach runs a test on every backend, each beside the others.
func onEach(t *testing.T, test func(t *testing.T, backend v1alpha1.Backend)) {
	t.Helper()
	for _, backend := range backends {
		t.Run(string(backend), func(t *testing.T) {
			t.Parallel()
			test(t, backend)
		})
	}
}

// on has a store or subscription use the shared broker of a backend.
func on[T interface {
	SetProviderConfigReference(r *xpv2.ProviderConfigReference)
}](b *anyBroker, o T) T {
	return use(o, "ClusterProviderConfig", string(b.backend))
}
