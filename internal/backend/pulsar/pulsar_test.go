package pulsar

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apache/pulsar-client-go/pulsar"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect/pulsarclient"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// shared is a broker for all tests that need no options: each has a tenant of its own.
var shared struct {
	once   sync.Once
	dir    string
	broker *broker.Pulsar
	err    error
	tests  atomic.Int64
}

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.broker != nil {
		_ = shared.broker.Stop()
	}
	_ = os.RemoveAll(shared.dir)
	os.Exit(code)
}

// A fixture is a real broker, a backend that administers it, and a client of its administrator.
type fixture struct {
	*broker.Pulsar

	tenant   string
	backend  *Backend
	client   pulsar.Client
	requests *counter

	mu      sync.Mutex
	clients map[string]pulsar.Client // Of applications, by token.
}

// counter counts requests.
type counter struct {
	mu sync.Mutex
	n  map[string]int
}

func (c *counter) observe(kind string, requests int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[string]int{}
	}
	c.n[kind] += requests
}

// take returns how many requests there were since it was last called.
func (c *counter) take() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, v := range c.n {
		n += v
	}
	c.n = nil
	return n
}

// start returns a fixture with a broker of its own, or, without options, with the one that tests share.
func start(t testing.TB, o broker.PulsarOptions) *fixture {
	t.Helper()
	f := &fixture{Pulsar: running(t, o), requests: &counter{}, clients: map[string]pulsar.Client{}}
	f.tenant = fmt.Sprintf("tenant-%d", shared.tests.Add(1))
	f.backend = f.connect(t, f.config())
	var err error
	if f.client, err = f.config().Client(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.client.Close)
	return f
}

func running(t testing.TB, o broker.PulsarOptions) *broker.Pulsar {
	t.Helper()
	if !reflect.DeepEqual(o, broker.PulsarOptions{}) {
		o.Dir = t.TempDir()
		p, err := broker.StartPulsar(t.Context(), o)
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

func (f *fixture) config() pulsarclient.Config {
	return pulsarclient.Config{
		ServiceURL: f.ServiceURL, AdminURL: f.AdminURL, Token: f.AdminToken, SigningKey: f.SecretKey,
		Tenant: f.tenant, CreateTenant: true,
	}
}

func (f *fixture) connect(t testing.TB, c pulsarclient.Config) *Backend {
	t.Helper()
	b, err := New(c, WithObserver(f.requests.observe))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

// as returns a client of a role, by its token. It is closed with the test that asks first.
func (f *fixture) as(t testing.TB, token string) pulsar.Client {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if c, ok := f.clients[token]; ok {
		return c
	}
	c, err := pulsarclient.Config{ServiceURL: f.ServiceURL, Token: token}.Client()
	if err != nil {
		t.Fatal(err)
	}
	f.clients[token] = c
	t.Cleanup(func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.clients, token)
		c.Close()
	})
	return c
}

// produce sends records to a topic, by its local name.
func produceTo(ctx context.Context, c pulsar.Client, topic string, records int) error {
	p, err := c.CreateProducer(pulsar.ProducerOptions{Topic: topic, DisableBatching: true, SendTimeout: 30 * time.Second})
	if err != nil {
		return err
	}
	defer p.Close()
	for range records {
		if _, err := p.Send(ctx, &pulsar.ProducerMessage{Key: "order/1", Payload: []byte("x")}); err != nil {
			return err
		}
	}
	return nil
}

func (f *fixture) append(t *testing.T, store string, partition, records int) {
	t.Helper()
	topic := f.backend.fullName(store, layout.PulsarPartition(layout.PulsarEvents, partition))
	if err := produceTo(t.Context(), f.client, topic, records); err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) deadLetter(t *testing.T, id backend.SubscriptionID, _, records int) {
	t.Helper()
	if err := produceTo(t.Context(), f.client, f.backend.fullName(id.Store, layout.PulsarDeadLetters(id.Name)), records); err != nil {
		t.Fatal(err)
	}
}

// subscribe opens the subscription in one partition, as its consumers do.
func (f *fixture) subscribe(id backend.SubscriptionID, partition int, name string) (pulsar.Consumer, error) {
	return f.client.Subscribe(pulsar.ConsumerOptions{
		Topic:            f.backend.fullName(id.Store, layout.PulsarPartition(layout.PulsarEvents, partition)),
		SubscriptionName: id.Name, Type: pulsar.Exclusive, Name: name, AckWithResponse: true,
	})
}

// read takes no more records than it is asked for: those that the client has fetched beyond come again. Whether there are any
// left, the backlog says.
func (f *fixture) read(t *testing.T, id backend.SubscriptionID, partition, records int, ack bool) (positions []string) {
	t.Helper()
	c, err := f.subscribe(id, partition, "")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	left := func() int64 {
		stats, err := f.backend.readLogs(t.Context(), "test", id.Store, true)
		if err != nil {
			t.Fatal(err)
		}
		return stats[partition].Subscriptions[id.Name].Backlog
	}
	for n := left(); n > 0 && len(positions) < records; n-- {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		m, err := c.Receive(ctx)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		genesis := m.Properties()[layout.ContentType] == layout.GenesisType
		if genesis || ack {
			if err := c.AckID(m.ID()); err != nil {
				t.Fatal(err)
			}
		}
		if !genesis {
			positions = append(positions, position{m.ID().LedgerID(), m.ID().EntryID()}.String())
		}
	}
	return positions
}

func (f *fixture) occupy(t *testing.T, id backend.SubscriptionID, partition int, name string) func() {
	t.Helper()
	c, err := f.subscribe(id, partition, name)
	if err != nil {
		t.Fatal(err)
	}
	return c.Close
}

// login opens a producer of the store that the user belongs to.
func (f *fixture) login(ctx context.Context, t *testing.T, user, password string) error {
	t.Helper()
	store := user[len(layout.StorePrincipal("")):]
	c, err := pulsarclient.Config{ServiceURL: f.ServiceURL, Token: password}.Client()
	if err != nil {
		return err
	}
	defer c.Close()
	done := make(chan error, 1)
	go func() {
		p, err := c.CreateProducer(pulsar.ProducerOptions{Topic: f.backend.fullName(store, layout.PulsarPartition(layout.PulsarEvents, 0))})
		if err == nil {
			p.Close()
		}
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func owner(kind, name string) plan.Owner {
	return plan.Owner{
		ControlPlane: "0f0e0d0c-0000-4000-8000-000000000001", Group: "eventstore.m.crossplane.io", Kind: kind,
		Namespace: "shop", Name: name, UID: "uid-of-" + name,
	}
}

// store returns what a resource of that name asks for, and the context of its plans.
func (f *fixture) store(t testing.TB, name string) (plan.DesiredStore, plan.Context) {
	t.Helper()
	d := plan.DesiredStore{
		StoreSettings: plan.StoreSettings{Owner: owner("EventStore", name), Partitions: 3},
		Name:          name,
		Principal:     f.backend.StorePrincipal(name, "", f.password(t, layout.StorePrincipal(name))),
		Protection:    plan.ProtectWhenNotEmpty,
	}
	return d, plan.Context{Capabilities: Capabilities(), UID: "uid-of-" + name}
}

func (f *fixture) password(t testing.TB, principal string) string {
	t.Helper()
	p, err := f.backend.Issue(principal, "")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// planStore plans what makes the store what it should be.
func (f *fixture) planStore(t testing.TB, d plan.DesiredStore, c plan.Context) (backend.StoreChange, plan.Plan) {
	t.Helper()
	o := f.readStore(t, d.Name)
	d.Settings, d.Invalid = f.backend.StoreSettings(d)
	p := plan.Store(d, o, c)
	return backend.StoreChange{Desired: d, Observed: o, Changes: p.Changes, Password: f.password(t, layout.StorePrincipal(d.Name))}, p
}

// applyStore makes the store what it should be, and proves that nothing is left to do.
func (f *fixture) applyStore(t testing.TB, d plan.DesiredStore, c plan.Context) plan.ObservedStore {
	t.Helper()
	change, p := f.planStore(t, d, c)
	if len(p.Refusals) > 0 {
		t.Fatalf("the plan refuses: %+v", p.Refusals)
	}
	if err := f.backend.ApplyStores(t.Context(), []backend.StoreChange{change})[0]; err != nil {
		t.Fatal(err)
	}
	change, p = f.planStore(t, d, c)
	if len(p.Changes)+len(p.Refusals) > 0 {
		t.Fatalf("after everything was applied the plan is not empty: %+v", p)
	}
	return change.Observed
}

func (f *fixture) readStore(t testing.TB, name string) plan.ObservedStore {
	t.Helper()
	r := f.backend.ReadStores(t.Context(), []string{name})[0]
	if r.Err != nil {
		t.Fatal(r.Err)
	}
	return r.Value
}

func (f *fixture) subscription(t testing.TB, store, name string) (plan.DesiredSubscription, plan.Context) {
	t.Helper()
	id := backend.SubscriptionID{Store: store, Name: name}
	return plan.DesiredSubscription{
		SubscriptionSettings: plan.SubscriptionSettings{Owner: owner("Subscription", store+"-"+name)},
		Store:                store, Name: name, DeadLetter: true,
		StartFrom: plan.Start{Earliest: true},
		Principal: f.backend.SubscriptionPrincipal(id, "", f.password(t, layout.SubscriptionPrincipal(store, name))),
	}, plan.Context{Capabilities: Capabilities(), UID: "uid-of-" + store + "-" + name}
}

func (f *fixture) planSubscription(t testing.TB, d plan.DesiredSubscription, c plan.Context) (backend.SubscriptionChange, plan.Plan) {
	t.Helper()
	o := f.readSubscription(t, d.Store, d.Name)
	d.Settings = f.backend.SubscriptionSettings(d)
	p := plan.Subscription(d, o, c)
	return backend.SubscriptionChange{Desired: d, Observed: o, Changes: p.Changes, Restore: c.KnownPositions, Password: "a token"}, p
}

// applySubscription makes the subscription what it should be, and proves that nothing is left to do.
func (f *fixture) applySubscription(t testing.TB, d plan.DesiredSubscription, c plan.Context) plan.ObservedSubscription {
	t.Helper()
	change, p := f.planSubscription(t, d, c)
	if len(p.Refusals) > 0 {
		t.Fatalf("the plan refuses: %+v", p.Refusals)
	}
	if err := f.backend.ApplySubscriptions(t.Context(), []backend.SubscriptionChange{change})[0]; err != nil {
		t.Fatal(err)
	}
	change, p = f.planSubscription(t, d, c)
	if len(p.Changes)+len(p.Refusals) > 0 {
		t.Fatalf("after everything was applied the plan is not empty: %+v", p)
	}
	return change.Observed
}

func (f *fixture) readSubscription(t testing.TB, store, name string) plan.ObservedSubscription {
	t.Helper()
	r := f.backend.ReadSubscriptions(t.Context(), []backend.SubscriptionID{{Store: store, Name: name}})[0]
	if r.Err != nil {
		t.Fatal(r.Err)
	}
	return r.Value
}

// eventually polls until ok, and fails the test if that takes more than a minute.
func eventually(t testing.TB, what string, ok func() error) {
	t.Helper()
	deadline := time.After(5 * time.Minute)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	err := errors.New("not tried")
	for err != nil {
		if err = ok(); err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited in vain for %s: %v", what, err)
		}
	}
}

// produceLarge sends one record of so many bytes.
func produceLarge(t testing.TB, c pulsar.Client, topic string, bytes int) error {
	t.Helper()
	p, err := c.CreateProducer(pulsar.ProducerOptions{Topic: topic, DisableBatching: true, SendTimeout: 30 * time.Second})
	if err != nil {
		return err
	}
	defer p.Close()
	_, err = p.Send(t.Context(), &pulsar.ProducerMessage{Payload: make([]byte, bytes)})
	return err
}
