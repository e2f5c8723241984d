package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect/kafkaclient"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

func TestIterations(t *testing.T) {
	seen := map[int32]bool{}
	for i := range 2000 {
		n := iterations("es:orders", strings.Repeat("x", i))
		if n <= 4096 || n > maxIterations {
			t.Fatalf("a password has %d iterations", n)
		}
		seen[n] = true
	}
	if len(seen) < 800 {
		t.Errorf("2,000 passwords have only %d numbers of iterations", len(seen))
	}
	if iterations("es:a", "p") == iterations("es:b", "p") && shortDigest("es:a", "p") == shortDigest("es:b", "p") {
		t.Error("the same password of two users looks the same")
	}
}

// TestUsersSurviveRestart deletes users and restarts the broker, which must not forget the others for that.
func TestUsersSurviveRestart(t *testing.T) {
	var hash int32 // Java's String.hashCode.
	for _, c := range keeper {
		hash = 31*hash + c
	}
	if hash != 0 {
		t.Fatalf("the hash of %q is %d, want 0", keeper, hash)
	}
	f := startOwn(t, broker.KafkaOptions{})
	var names []string
	for i := range 12 {
		names = append(names, fmt.Sprintf("survive.s%d", i))
		d, c := f.store(names[i])
		f.applyStore(t, d, c)
	}
	f.scram(t, layout.StorePrincipal(names[0]), scramSHA256, 4096) // Which is taken away again.
	d, c := f.store(names[0])
	f.applyStore(t, d, c)
	for i, n := range names[1:] {
		if err := f.backend.DeleteStores(t.Context(), stores(n))[0]; err != nil {
			t.Fatal(err)
		}
		if i%6 > 0 {
			continue
		}
		if err := f.Restart(context.WithoutCancel(t.Context())); err != nil {
			t.Fatal(err)
		}
		for _, m := range []string{kafkaclient.ScramSHA256, kafkaclient.ScramSHA512} {
			config := f.config(t)
			config.Mechanism = m
			eventually(t, "the administrator to be known by "+m, func() bool { return said(t, m, second(f.open(t, config).Health(t.Context()))) })
		}
		eventually(t, "the store's user to be known", func() bool {
			return said(t, names[0], f.login(t.Context(), layout.StorePrincipal(names[0]), passwordOf(names[0])))
		})
	}
}

func second[T any](_ T, err error) error { return err }

// provide makes the store of a user that exists already.
func (f *fixture) provide(name, user string) (plan.DesiredStore, plan.Context) {
	d, c := f.store(name)
	d.Principal = f.backend.StorePrincipal(name, user, "")
	return d, c
}

// TestProvided gives rights to users that the provider did not make, as where they authenticate by certificate: they get
// what a store's user gets, and keep what they have elsewhere.
func TestProvided(t *testing.T) {
	f := start(t)
	anybody, c := f.store("provided.anybody")
	f.applyStore(t, anybody, c) // There is a keeper from now on.
	const ann, ben = "CN=ann,O=shop", "ben"
	elsewhere := right(ann, layout.KafkaACL{Type: "TOPIC", Name: "provided.else", Operation: "READ"})
	f.rights(t, elsewhere, true)
	d, c := f.provide("provided.orders", ann)
	o := f.applyStore(t, d, c)
	if o.Principal.Name != ann || o.Principal.Digest != "" {
		t.Errorf("principal: %+v", o.Principal)
	}
	access := func() *access {
		a, err := f.backend.access(t.Context(), interest{users: []string{ann, ben, layout.StorePrincipal(d.Name)}})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	if got := len(access().of(ann)); got != 1+len(layout.KafkaStoreACL(d.Name)) {
		t.Errorf("%s has %d rights", ann, got)
	}
	passwords := func() int { return len(access().users) - 1 } // That of the keeper is no user's.
	if passwords() > 0 {
		t.Errorf("somebody got a password: %v", access().users)
	}

	f.rights(t, right(ann, layout.KafkaStoreACL(d.Name)[0]), false) // Drift of what is ours is repaired,
	f.applyStore(t, d, c)
	more := right(ann, layout.KafkaACL{Type: "TOPIC", Name: layout.KafkaEvents(d.Name), Operation: "DELETE"})
	f.rights(t, more, true) // and what somebody else has given her is none.
	if _, p := f.change(t, d, c); len(p.Changes) > 0 {
		t.Errorf("plan: %v", p.Changes)
	}

	if err := f.backend.FenceStores(t.Context(), []string{d.Name})[0]; err != nil {
		t.Fatal(err)
	}
	if _, p := f.change(t, d, c); len(p.Changes) != 1 || p.Changes[0].Field != plan.FieldPrincipal {
		t.Errorf("plan of a fenced store: %v", p.Changes)
	}
	d.Principal = f.backend.StorePrincipal(d.Name, ben, "")
	f.applyStore(t, d, c)
	if a := access(); len(a.of(ann)) != 2 || !a.rights.has(more) || len(a.of(ben)) != len(layout.KafkaStoreACL(d.Name)) {
		t.Errorf("after ben took over: ann has %v, ben %v", a.of(ann), a.of(ben))
	}
	f.rights(t, more, false)
	managed, c := f.store(d.Name)
	if o := f.applyStore(t, managed, c); o.Principal != managed.Principal || len(access().of(ben)) > 0 {
		t.Errorf("after a user of the store's own came: %+v, ben has %v", o.Principal, access().of(ben))
	}
	d.Principal = f.backend.StorePrincipal(d.Name, ben, "")
	f.applyStore(t, d, c)
	if a := access(); passwords() > 0 || len(a.of(layout.StorePrincipal(d.Name))) > 0 {
		t.Errorf("after ben came back, the store's own user has %v, %v", a.users, a.of(layout.StorePrincipal(d.Name)))
	}

	s, sc := f.subscription(d.Name, "reader")
	s.Principal = f.backend.SubscriptionPrincipal(backend.SubscriptionID{Store: d.Name, Name: "reader"}, ann, "")
	f.applySubscription(t, s, sc)
	if err := f.backend.DeleteSubscriptions(t.Context(), subscriptions(backend.SubscriptionID{Store: d.Name, Name: "reader"}))[0]; err != nil {
		t.Error(err)
	}
	if err := f.backend.DeleteStores(t.Context(), stores(d.Name))[0]; err != nil {
		t.Error(err)
	}
	if a := access(); len(a.of(ben)) > 0 || len(a.of(ann)) != 1 {
		t.Errorf("after deletion: ann has %v, ben %v", a.of(ann), a.of(ben))
	}
	f.rights(t, elsewhere, false)
}

// TestNoAuthorizer runs on a cluster where everybody may do anything.
func TestNoAuthorizer(t *testing.T) {
	f := startOwn(t, broker.KafkaOptions{Config: map[string]string{"authorizer.class.name": "", "super.users": ""}})
	d, c := f.provide("orders", "ann")
	f.readStore(t, d.Name) // As Observe does first.
	d.Principal = f.backend.StorePrincipal(d.Name, "ann", "")
	if o := f.applyStore(t, d, c); o.Principal != (plan.Principal{}) || !o.Marked {
		t.Errorf("a store with a user that was provided: %+v", o)
	}
	s, sc := f.subscription(d.Name, "reader")
	s.Principal = f.backend.SubscriptionPrincipal(backend.SubscriptionID{Store: d.Name, Name: "reader"}, "ann", "")
	f.applySubscription(t, s, sc)
	managed, mc := f.store("managed")
	change, _ := f.change(t, managed, mc)
	if err := f.backend.ApplyStores(t.Context(), []backend.StoreChange{change})[0]; err == nil || !strings.Contains(err.Error(), "authorizer.class.name") || !strings.Contains(err.Error(), "principals: Provided") {
		t.Errorf("a store with a user of its own: %v, want what to do", err)
	}
	errs := f.backend.FenceStores(t.Context(), []string{"orders"})
	errs = append(errs, f.backend.UnfenceStores(t.Context(), []string{"orders"})...)
	errs = append(errs, f.backend.DeleteSubscriptions(t.Context(), subscriptions(backend.SubscriptionID{Store: d.Name, Name: "reader"}))...)
	errs = append(errs, f.backend.DeleteStores(t.Context(), stores("orders"))...)
	for i, err := range errs {
		if err != nil {
			t.Errorf("operation %d: %v", i, err)
		}
	}
}

// TestLimitedAdministrator administers as somebody who may do anything with topics and groups, and nothing with the
// cluster, as on services that manage users themselves.
func TestLimitedAdministrator(t *testing.T) {
	f := start(t)
	const user = "limited-admin"
	errs := make([]error, 1)
	grants := []grantChange{{managed: user, user: user, password: "p", renew: true, list: []layout.KafkaACL{
		{Type: "TOPIC", Name: "*", Operation: "ALL"}, {Type: "GROUP", Name: "*", Operation: "ALL"},
	}}}
	f.backend.grant(t, grants, errs)
	if errs[0] != nil {
		t.Fatal(errs[0])
	}
	config := f.config(t)
	config.Username, config.Password = user, "p"
	super := f.backend
	defer func() { f.backend = super }()
	f.backend = f.open(t, config)

	f.readStore(t, "limited.orders")
	d, c := f.provide("limited.orders", "ann")
	if o := f.applyStore(t, d, c); o.Principal != (plan.Principal{}) {
		t.Errorf("principal: %+v", o.Principal)
	}
	s, sc := f.subscription(d.Name, "reader")
	s.Principal = plan.Principal{}
	f.applySubscription(t, s, sc)
	managed, mc := f.store("limited.managed")
	change, _ := f.change(t, managed, mc)
	err := f.backend.ApplyStores(t.Context(), []backend.StoreChange{change})[0]
	if err == nil || !strings.Contains(err.Error(), "principals: Provided") {
		t.Errorf("a store with a user of its own: %v, want what to do", err)
	}
	for i, err := range slices.Concat(
		f.backend.FenceStores(t.Context(), []string{d.Name}),
		f.backend.DeleteSubscriptions(t.Context(), subscriptions(backend.SubscriptionID{Store: d.Name, Name: "reader"})),
		f.backend.DeleteStores(t.Context(), stores(d.Name)),
	) {
		if err != nil {
			t.Errorf("operation %d: %v", i, err)
		}
	}
	if h, err := f.backend.Health(t.Context()); err != nil {
		t.Errorf("health: %+v, %v", h, err)
	}

	grants[0].list = nil // Now it may do nothing at all.
	errs = make([]error, 1)
	super.grant(t, grants, errs)
	if err := f.backend.ReadStores(t.Context(), []string{"orders"})[0].Err; !errors.Is(err, backend.ErrUnauthorized) {
		t.Errorf("reading without any right: %v, want ErrUnauthorized", err)
	}
}

func (b *Backend) grant(t *testing.T, grants []grantChange, errs []error) {
	t.Helper()
	grants = b.applyUsers(t.Context(), grants, errs)
	b.applyRights(t.Context(), grants, errs)
	b.awaitGrants(t.Context(), grants, errs)
}

// TestNobodyIsFirst has a user write as fast as it can to a topic that is deleted out of band and made again: the first record
// of every partition is the genesis all the same.
func TestNobodyIsFirst(t *testing.T) {
	f := start(t)
	d, c := f.store("first.come")
	d.Partitions = 1
	f.applyStore(t, d, c)
	cl := f.as(t, d.Principal.Name, passwordOf(d.Name))
	ctx, cancel := context.WithCancel(t.Context())
	written := make(chan int)
	go func() {
		n := 0
		for ctx.Err() == nil {
			p := place{layout.KafkaEvents(d.Name), 0}
			results, err := produce(ctx, cl, []batch{{p, []message{event(n)}}})
			if first(err, results[p].err) == nil {
				n++
			}
		}
		written <- n
	}()
	for range 3 {
		f.deleteTopic(t, layout.KafkaEvents(d.Name))
		change, p := f.change(t, d, c)
		if len(p.Refusals) > 0 {
			t.Fatalf("plan: %+v", p)
		}
		if err := f.backend.ApplyStores(t.Context(), []backend.StoreChange{change})[0]; err != nil {
			t.Fatal(err)
		}
		eventually(t, "the user to write", func() bool { return f.readStore(t, d.Name).Records() > 0 })
		r := f.fetch(t, place{layout.KafkaEvents(d.Name), 0}, 0)
		if len(r) == 0 || len(r[0].Headers) == 0 || string(r[0].Headers[0].Value) != layout.KafkaGenesisType {
			t.Fatalf("the first record: %+v", r[0])
		}
	}
	cancel()
	if <-written == 0 {
		t.Error("nothing was written")
	}
}

// TestFenceHolds writes as fast as it can while the store is fenced: what is counted afterwards is everything that was ever
// acknowledged, and nothing comes after it.
func TestFenceHolds(t *testing.T) {
	f := start(t)
	d, c := f.store("fence.orders")
	d.Partitions = 1
	f.applyStore(t, d, c)
	cl := f.as(t, d.Principal.Name, passwordOf(d.Name))
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	acknowledged, refused := make(chan int, 1), make(chan error, 1)
	begun := make(chan struct{})
	go func() {
		n := 0
		for ctx.Err() == nil {
			p := place{layout.KafkaEvents(d.Name), 0}
			results, err := produce(ctx, cl, []batch{{p, []message{event(n)}}})
			if err := first(err, results[p].err); err != nil {
				acknowledged <- n
				refused <- err
				return
			}
			if n++; n == 20 {
				close(begun)
			}
		}
		acknowledged <- n
		refused <- ctx.Err()
	}()
	select {
	case <-begun:
	case <-ctx.Done():
		t.Fatal("nothing was written")
	}
	if err := f.backend.FenceStores(t.Context(), []string{d.Name})[0]; err != nil {
		t.Fatal(err)
	}
	counted := f.readStore(t, d.Name).Records()
	if err := <-refused; !errors.Is(err, kerr.TopicAuthorizationFailed) {
		t.Errorf("the writer was stopped by: %v", err)
	}
	if n := <-acknowledged; counted != int64(n) {
		t.Errorf("%d records were counted behind the fence, and %d acknowledged", counted, n)
	}
	if again := f.readStore(t, d.Name).Records(); again != counted {
		t.Errorf("%d records, and then %d", counted, again)
	}
}

// TestSubscriberPutOut deletes a subscription that somebody reads from.
func TestSubscriberPutOut(t *testing.T) {
	f := start(t)
	d, c := f.store("putout.orders")
	f.applyStore(t, d, c)
	s, sc := f.subscription(d.Name, "reader")
	f.applySubscription(t, s, sc)
	id := backend.SubscriptionID{Store: d.Name, Name: "reader"}
	config := f.config(t)
	config.Username, config.Password = s.Principal.Name, passwordOf(d.Name+"reader")
	opts, err := config.Options(nil)
	if err != nil {
		t.Fatal(err)
	}
	cl, err := kgo.NewClient(append(opts, kgo.ClientID("reader-1"), kgo.ConsumerGroup(layout.KafkaGroup(d.Name, "reader")), kgo.ConsumeTopics(layout.KafkaEvents(d.Name)))...)
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	eventually(t, "the consumer to join", func() bool {
		o := f.readSubscription(t, d.Name, "reader")
		return len(o.Consumers) == 1 && o.Consumers[0] == "reader-1"
	})
	eventually(t, "the deletion", func() bool {
		err := f.backend.DeleteSubscriptions(t.Context(), subscriptions(id))[0]
		return err == nil
	})
	if o := f.readSubscription(t, d.Name, "reader"); o.Exists() {
		t.Errorf("after deletion: %+v", o)
	}
}
