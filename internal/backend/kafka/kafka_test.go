package kafka

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect/kafkaclient"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// A fixture is a real cluster, and a backend that administers it.
type fixture struct {
	*broker.Kafka

	backend  *Backend
	requests *counter
}

// A counter counts requests, by their names.
type counter struct {
	mu   sync.Mutex
	seen map[string]int
}

func (c *counter) observe(kind string, requests int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen == nil {
		c.seen = map[string]int{}
	}
	c.seen[kind] += requests
}

// take returns what was counted since it was called last.
func (c *counter) take() (seen map[string]int, total int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	seen, c.seen = c.seen, nil
	for _, n := range seen {
		total += n
	}
	return seen, total
}

// everyone is one cluster for all tests that do no harm to it. They use names of their own.
var everyone struct {
	once  sync.Once
	kafka *broker.Kafka
	err   error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if everyone.kafka != nil {
		if err := everyone.kafka.Kill(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
		_ = os.RemoveAll(everyone.kafka.Dir)
	}
	os.Exit(code)
}

// start returns the shared cluster, with a registry topic and so a world of its own.
func start(t testing.TB) *fixture {
	t.Helper()
	if testing.Short() {
		t.Skip("starts Kafka")
	}
	everyone.once.Do(func() {
		dir, err := os.MkdirTemp("", "kafka-backend-") //nolint:usetesting // It outlives the first test that needs it.
		if err != nil {
			everyone.err = err
			return
		}
		everyone.kafka, everyone.err = broker.StartKafka(context.Background(), broker.KafkaOptions{Dir: dir})
	})
	if everyone.err != nil {
		t.Fatal(everyone.err)
	}
	return fix(t, everyone.kafka)
}

// startOwn returns a cluster that nobody else uses.
func startOwn(t testing.TB, o broker.KafkaOptions) *fixture {
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
	return fix(t, k)
}

func fix(t testing.TB, k *broker.Kafka) *fixture {
	t.Helper()
	f := &fixture{Kafka: k, requests: &counter{}}
	f.backend = f.open(t, f.config(t), WithObserver(f.requests.observe))
	return f
}

// config is the administrator's, with a registry of the test's own.
func (f *fixture) config(t testing.TB) kafkaclient.Config {
	t.Helper()
	return kafkaclient.Config{
		BootstrapServers: strings.Split(f.Addr, ","), Mechanism: kafkaclient.ScramSHA512, Username: f.AdminUser, Password: f.AdminPassword,
		RegistryTopic: "registry." + strings.NewReplacer("/", ".", "#", ".").Replace(t.Name()),
	}
}

func (f *fixture) open(t testing.TB, c kafkaclient.Config, opts ...Option) *Backend {
	t.Helper()
	b, err := New(c, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

// as returns a client of a user.
func (f *fixture) as(t testing.TB, user, password string) *kgo.Client {
	t.Helper()
	c := f.config(t)
	c.Username, c.Password = user, password
	opts, err := c.Options(nil)
	if err != nil {
		t.Fatal(err)
	}
	cl, err := kgo.NewClient(append(opts, kgo.RequestRetries(1))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// must sends a request as administrator.
func must[T kmsg.Response](t testing.TB, resp T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

func (f *fixture) admin() kmsg.Requestor { return f.backend.cluster.client }

// produce appends messages to a place, one after the other, as soon as it has a leader.
func (f *fixture) produce(t testing.TB, p place, messages ...message) {
	t.Helper()
	for _, m := range messages {
		eventually(t, "the leader of "+p.topic, func() bool {
			topics, err := f.backend.cluster.metadata(t.Context(), []string{p.topic})
			if err != nil {
				t.Fatal(err)
			}
			leader, ok := leaders(topics, []place{p})[p]
			if !ok {
				return false
			}
			results, err := produce(t.Context(), f.backend.cluster.at(leader), []batch{{p, []message{m}}})
			err = first(err, results[p].err)
			if err != nil && !movedLeader(err) {
				t.Fatal(err)
			}
			return err == nil
		})
	}
}

// eventually polls until ok, which must be within 90 seconds.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(5 * time.Minute)
	for !ok() {
		select {
		case <-time.After(5 * time.Millisecond):
		case <-deadline:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func ownerOf(kind, name string) plan.Owner {
	return plan.Owner{
		ControlPlane: "0f0e0d0c-0000-4000-8000-000000000001", Group: "eventstore.m.crossplane.io", Kind: kind,
		Namespace: "shop", Name: name, UID: "uid-of-" + name,
	}
}

func passwordOf(name string) string { return "correct horse " + name }

// store returns what a resource of that name asks for, and the context of its plans.
func (f *fixture) store(name string) (plan.DesiredStore, plan.Context) {
	return plan.DesiredStore{
		StoreSettings: plan.StoreSettings{Owner: ownerOf("EventStore", name), Partitions: 3},
		Name:          name,
		Principal:     f.backend.StorePrincipal(name, "", passwordOf(name)),
		Protection:    plan.ProtectWhenNotEmpty,
	}, plan.Context{Capabilities: Capabilities(), UID: "uid-of-" + name}
}

func (f *fixture) subscription(store, name string) (plan.DesiredSubscription, plan.Context) {
	return plan.DesiredSubscription{
		SubscriptionSettings: plan.SubscriptionSettings{Owner: ownerOf("Subscription", store+"-"+name)},
		Store:                store, Name: name,
		StartFrom:  plan.Start{Earliest: true},
		DeadLetter: true,
		Principal:  f.backend.SubscriptionPrincipal(backend.SubscriptionID{Store: store, Name: name}, "", passwordOf(store+name)),
	}, plan.Context{Capabilities: Capabilities(), UID: "uid-of-" + store + "-" + name}
}

// change plans what makes the store what it should be.
func (f *fixture) change(t testing.TB, d plan.DesiredStore, c plan.Context) (backend.StoreChange, plan.Plan) {
	t.Helper()
	o := f.readStore(t, d.Name)
	d.Settings, d.Invalid = f.backend.StoreSettings(d)
	p := plan.Store(d, o, c)
	return backend.StoreChange{Desired: d, Observed: o, Changes: p.Changes, Password: passwordOf(d.Name)}, p
}

// applyStore plans, applies, and fails the test if something is refused or goes wrong, or is left to do.
func (f *fixture) applyStore(t testing.TB, d plan.DesiredStore, c plan.Context) plan.ObservedStore {
	t.Helper()
	change, p := f.change(t, d, c)
	if len(p.Refusals) > 0 {
		t.Fatalf("plan for store %q refuses: %+v", d.Name, p.Refusals)
	}
	if err := f.backend.ApplyStores(t.Context(), []backend.StoreChange{change})[0]; err != nil {
		t.Fatal(err)
	}
	after, p := f.change(t, d, c)
	if len(p.Changes)+len(p.Refusals) > 0 {
		t.Fatalf("plan for store %q after it was applied: %+v", d.Name, p)
	}
	return after.Observed
}

func (f *fixture) readStore(t testing.TB, name string) plan.ObservedStore {
	t.Helper()
	r := f.backend.ReadStores(t.Context(), []string{name})[0]
	if r.Err != nil {
		t.Fatal(r.Err)
	}
	return r.Value
}

func (f *fixture) changeSubscription(t testing.TB, d plan.DesiredSubscription, c plan.Context) (backend.SubscriptionChange, plan.Plan) {
	t.Helper()
	o := f.readSubscription(t, d.Store, d.Name)
	d.Settings = f.backend.SubscriptionSettings(d)
	p := plan.Subscription(d, o, c)
	return backend.SubscriptionChange{
		Desired: d, Observed: o, Changes: p.Changes, Password: passwordOf(d.Store + d.Name), Restore: c.KnownPositions,
	}, p
}

func (f *fixture) applySubscription(t testing.TB, d plan.DesiredSubscription, c plan.Context) plan.ObservedSubscription {
	t.Helper()
	change, p := f.changeSubscription(t, d, c)
	if len(p.Refusals) > 0 {
		t.Fatalf("plan for subscription %q refuses: %+v", d, p.Refusals)
	}
	if err := f.backend.ApplySubscriptions(t.Context(), []backend.SubscriptionChange{change})[0]; err != nil {
		t.Fatal(err)
	}
	after, p := f.changeSubscription(t, d, c)
	if len(p.Changes)+len(p.Refusals) > 0 {
		t.Fatalf("plan for subscription %q after it was applied: %+v", d, p)
	}
	return after.Observed
}

func (f *fixture) readSubscription(t testing.TB, store, name string) plan.ObservedSubscription {
	t.Helper()
	r := f.backend.ReadSubscriptions(t.Context(), []backend.SubscriptionID{{Store: store, Name: name}})[0]
	if r.Err != nil {
		t.Fatal(r.Err)
	}
	return r.Value
}

// stores returns the deletions of stores on behalf of their resources.
func stores(names ...string) []backend.StoreDeletion {
	deletions := make([]backend.StoreDeletion, len(names))
	for i, n := range names {
		deletions[i] = backend.StoreDeletion{Name: n, Owner: ownerOf("EventStore", n)}
	}
	return deletions
}

// subscriptions returns the deletions of subscriptions on behalf of their resources.
func subscriptions(ids ...backend.SubscriptionID) []backend.SubscriptionDeletion {
	deletions := make([]backend.SubscriptionDeletion, len(ids))
	for i, id := range ids {
		deletions[i] = backend.SubscriptionDeletion{ID: id, Owner: ownerOf("Subscription", id.Store+"-"+id.Name)}
	}
	return deletions
}

// event is a record as an application would append it.
func event(n int) message {
	return message{key: []byte("order/1"), value: []byte(strings.Repeat("x", 100)), headers: []kmsg.Header{{Key: "ce_version", Value: fmt.Append(nil, n)}}}
}

func (f *fixture) append(t *testing.T, store string, partition, records int) {
	t.Helper()
	for i := range records {
		f.produce(t, place{layout.KafkaEvents(store), int32(partition)}, event(i+1))
	}
}

// TestConcurrently does everything at once, for the race detector, and to see that batches do not mix.
func TestConcurrently(t *testing.T) {
	f := start(t)
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			n := fmt.Sprintf("concurrently.s%d", i)
			d, c := f.store(n)
			s, sc := f.subscription(n, "reader")
			id := []backend.SubscriptionID{{Store: n, Name: "reader"}}
			for range 3 {
				f.applyStore(t, d, c)
				f.applySubscription(t, s, sc)
				errs := f.backend.DeleteSubscriptions(t.Context(), subscriptions(id...))
				errs = append(errs, f.backend.FenceStores(t.Context(), []string{n})...)
				errs = append(errs, f.backend.Maintain(t.Context(), []string{n}))
				errs = append(errs, f.backend.DeleteStores(t.Context(), stores(n))...)
				for _, err := range errs {
					if err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	a, err := f.backend.access(t.Context(), interest{users: []string{"a", "b", "c", "d", "e", "f", "g"}}) // All rights, then.
	if err != nil {
		t.Fatal(err)
	}
	for p := range a.rights {
		if strings.HasPrefix(p, "User:es:concurrently.") {
			t.Errorf("%s has rights left", p)
		}
	}
}
