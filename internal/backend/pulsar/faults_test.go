package pulsar

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/pulsar-client-go/pulsar"
	"github.com/google/go-cmp/cmp"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// through puts a proxy between the backend and the admin API.
func (f *fixture) through(t *testing.T) (*Backend, *broker.Proxy) {
	t.Helper()
	p, err := broker.NewProxy(strings.TrimPrefix(f.AdminURL, "http://"))
	f.must(t, err)
	t.Cleanup(func() { _ = p.Close() })
	c := f.config()
	c.AdminURL = "http://" + p.Addr
	return f.connect(t, c), p
}

// TestBadNetwork has the network refuse, hang and slow: calls end in time with an error that says so, and the next ones work.
func TestBadNetwork(t *testing.T) {
	f := start(t, broker.PulsarOptions{})
	d, c := f.store(t, "shop.orders")
	f.applyStore(t, d, c)
	b, proxy := f.through(t)
	read := func(patience time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		return b.ReadStores(ctx, []string{d.Name})[0].Err
	}
	works := func() error { return read(30 * time.Second) }
	f.must(t, works())
	for name, tc := range map[string]struct {
		break_ func() error
		want   string
	}{
		"Refuse": {break_: func() error { return proxy.Set(broker.Refuse) }, want: "connection is refused"},
		"Hang":   {break_: func() error { return proxy.Set(broker.Hang) }, want: "does not answer in time"},
		"Cut":    {break_: func() error { proxy.Cut(); return nil }},
	} {
		t.Run(name, func(t *testing.T) {
			f.must(t, tc.break_())
			err := read(300 * time.Millisecond)
			if tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("ReadStores: %v, want %q", err, tc.want)
			}
			f.must(t, proxy.Set(broker.Pass))
			eventually(t, "the store to be read again", works)
		})
	}
	t.Run("Slow", func(t *testing.T) {
		proxy.Slow(50 * time.Millisecond)
		defer proxy.Slow(0)
		f.must(t, works())
	})
}

// TestRestart restarts the broker, in order and by force: everything is as it was, and the same backend goes on.
func TestRestart(t *testing.T) {
	// By default brokers write acknowledgements down once a second, and forget younger ones when they restart.
	f := start(t, broker.PulsarOptions{Config: map[string]string{"managedLedgerDefaultMarkDeleteRateLimit": "0"}})
	d, c := f.store(t, "shop.orders")
	f.applyStore(t, d, c)
	s, sc := f.subscription(t, d.Name, "reader")
	f.applySubscription(t, s, sc)
	f.append(t, d.Name, 0, 3)
	id := backend.SubscriptionID{Store: d.Name, Name: s.Name}
	f.read(t, id, 0, 1, true)
	before, subBefore := f.readStore(t, d.Name), f.readSubscription(t, d.Name, s.Name)
	for name, restart := range map[string]func() error{
		"Stop": func() error { return f.Restart(t.Context()) },
		"Kill": func() error { return errors.Join(f.Kill(), f.Restart(t.Context())) },
	} {
		t.Run(name, func(t *testing.T) {
			f.must(t, restart())
			eventually(t, "the store to be read again", func() error { return f.backend.ReadStores(t.Context(), []string{d.Name})[0].Err })
			o := f.applyStore(t, d, c)
			if diff := cmp.Diff(before.Logs, o.Logs); diff != "" {
				t.Errorf("logs: -before, +after:\n%s", diff)
			}
			// Where nothing is unread, the next record comes into another ledger now.
			if diff := cmp.Diff(subBefore.Groups[0], f.applySubscription(t, s, sc).Groups[0]); diff != "" {
				t.Errorf("position: -before, +after:\n%s", diff)
			}
		})
	}
	another, ac := f.store(t, "shop.another")
	f.applyStore(t, another, ac)
}

// TestInterruptedCalls ends contexts at random moments: what is left is always something that the next plan completes, and
// nothing is created twice.
func TestInterruptedCalls(t *testing.T) {
	f := start(t, broker.PulsarOptions{})
	for i := range 20 {
		name := fmt.Sprintf("interrupted.s%d", i)
		d, c := f.store(t, name)
		d.Snapshots = true
		d.Retention = plan.Retention{Duration: time.Hour}
		change, _ := f.planStore(t, d, c)
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*5*time.Millisecond)
		_ = f.backend.ApplyStores(ctx, []backend.StoreChange{change})
		cancel()
		eventually(t, "store "+name+" to be completed", func() error {
			change, p := f.planStore(t, d, c)
			if len(p.Refusals) > 0 {
				return fmt.Errorf("refused: %v", p.Refusals)
			}
			return f.backend.ApplyStores(t.Context(), []backend.StoreChange{change})[0]
		})
		o := f.applyStore(t, d, c)
		if len(o.Logs) != 3 || o.Records() != 0 {
			t.Errorf("store %q: %+v, want 3 partitions without records", name, o.Logs)
		}
		for p, l := range must2(f.backend.readLogs(t.Context(), "test", name, true)) {
			if l.Entries != 1 {
				t.Errorf("store %q has %d records in partition %d, want the genesis record alone", name, l.Entries, p)
			}
		}
		s, sc := f.subscription(t, name, "reader")
		f.append(t, name, 1, 2)
		subChange, _ := f.planSubscription(t, s, sc)
		ctx, cancel = context.WithTimeout(t.Context(), time.Duration(i)*5*time.Millisecond)
		_ = f.backend.ApplySubscriptions(ctx, []backend.SubscriptionChange{subChange})
		cancel()
		eventually(t, "the subscription to be completed", func() error {
			change, _ := f.planSubscription(t, s, sc)
			return f.backend.ApplySubscriptions(t.Context(), []backend.SubscriptionChange{change})[0]
		})
		if lag := f.applySubscription(t, s, sc).Lag(); lag != 2 {
			t.Errorf("lag is %d, want 2", lag)
		}
		ctx, cancel = context.WithTimeout(t.Context(), time.Duration(i)*5*time.Millisecond)
		deletions := []backend.StoreDeletion{{Name: name, Owner: d.Owner}}
		_ = f.backend.DeleteStores(ctx, deletions)
		cancel()
		eventually(t, "the store to be deleted", func() error { return f.backend.DeleteStores(t.Context(), deletions)[0] })
		eventually(t, "the store to be gone", func() error { // A broker may show for a moment what it has deleted.
			r := f.backend.ReadStores(t.Context(), []string{name})[0]
			if r.Err == nil && r.Value.Exists() {
				r.Err = errors.New("it exists")
			}
			return r.Err
		})
	}
}

func must2[V any](v V, err error) V {
	if err != nil {
		panic(err)
	}
	return v
}

// TestFenceCutsProducers keeps an application writing, which must not get another record in.
func TestFenceCutsProducers(t *testing.T) {
	f := start(t, broker.PulsarOptions{})
	d, c := f.store(t, "shop.orders")
	f.applyStore(t, d, c)
	app := f.as(t, f.password(t, d.Principal.Name))
	p, err := app.CreateProducer(pulsar.ProducerOptions{Topic: f.backend.fullName(d.Name, layout.PulsarEvents), DisableBatching: true, SendTimeout: 10 * time.Second})
	f.must(t, err)
	defer p.Close()
	_, err = p.Send(t.Context(), &pulsar.ProducerMessage{Key: "order/1", Payload: []byte("x")})
	f.must(t, err)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				p.SendAsync(t.Context(), &pulsar.ProducerMessage{Key: "order/1", Payload: []byte("x")}, func(pulsar.MessageID, *pulsar.ProducerMessage, error) {})
				time.Sleep(time.Millisecond)
			}
		}
	})
	begin := time.Now()
	f.must(t, f.backend.FenceStores(t.Context(), []string{d.Name, "absent", "Not A Name"})[0])
	t.Logf("fenced a store that is being written in %s", time.Since(begin))
	records := f.readStore(t, d.Name).Records()
	if err := f.login(t.Context(), t, d.Principal.Name, f.password(t, d.Principal.Name)); err == nil {
		t.Error("a fenced application opens a producer")
	}
	if again := f.readStore(t, d.Name).Records(); records == 0 || again != records {
		t.Errorf("%d records right after fencing, and %d later", records, again)
	}
	close(stop)
	wg.Wait()
	f.must(t, f.backend.UnfenceStores(t.Context(), []string{d.Name})[0])
	f.must(t, f.login(t.Context(), t, d.Principal.Name, f.password(t, d.Principal.Name)))
}

// TestDeletionGoesOn has a deletion stop after it has taken a topic, as it does when the broker goes: the next one fences what is
// left, and ends it.
func TestDeletionGoesOn(t *testing.T) {
	f := start(t, broker.PulsarOptions{})
	d, c := f.store(t, "shop.orders")
	d.Snapshots = true
	f.applyStore(t, d, c)
	f.must(t, f.backend.delete(t.Context(), "DeleteStores", f.backend.topic(d.Name, layout.PulsarEvents)+"/partitions", "force", "true"))
	f.must(t, f.backend.FenceStores(t.Context(), []string{d.Name})[0])
	f.must(t, f.backend.UnfenceStores(t.Context(), []string{d.Name})[0])
	f.must(t, f.backend.FenceStores(t.Context(), []string{d.Name})[0])
	f.must(t, f.backend.DeleteStores(t.Context(), []backend.StoreDeletion{{Name: d.Name, Owner: d.Owner}})[0])
	if o := f.readStore(t, d.Name); o.Exists() {
		t.Errorf("it is not gone: %+v", o)
	}
}

// TestStoreBeingDeleted begins a deletion that does not end: the store belongs to who deletes it, and is gone for subscriptions.
func TestStoreBeingDeleted(t *testing.T) {
	f := start(t, broker.PulsarOptions{})
	d, c := f.store(t, "shop.orders")
	f.applyStore(t, d, c)
	s, sc := f.subscription(t, d.Name, "reader")
	f.applySubscription(t, s, sc)
	f.append(t, d.Name, 0, 1)
	change, _ := f.planSubscription(t, s, sc)
	n, err := f.backend.readNamespace(t.Context(), "test", d.Name)
	f.must(t, err)
	m, err := decodeStore(n.Properties)
	f.must(t, err)
	if _, err := doom(t.Context(), f.backend, "test", ofStore(d.Name), m, d.Owner); err != nil {
		t.Fatal(err)
	}
	o := f.readSubscription(t, d.Name, s.Name)
	if !o.StoreGone || o.StoreHasLogs || len(plan.DeleteSubscription(s, o, sc)) > 0 {
		t.Errorf("subscription of a store that is being deleted: %+v", o)
	}
	change.Changes = []plan.Change{{Field: plan.FieldPositioned}}
	if err := f.backend.ApplySubscriptions(t.Context(), []backend.SubscriptionChange{change})[0]; err == nil {
		t.Error("a subscription to a store that is being deleted was changed")
	}
	storeChange, _ := f.planStore(t, d, c)
	storeChange.Changes = []plan.Change{{Field: plan.FieldMaxEventBytes}}
	if err := f.backend.ApplyStores(t.Context(), []backend.StoreChange{storeChange})[0]; !errors.Is(err, backend.ErrConflict) {
		t.Errorf("a store that is being deleted was changed: %v", err)
	}
	for range 2 {
		f.must(t, f.backend.DeleteStores(t.Context(), []backend.StoreDeletion{{Name: d.Name, Owner: d.Owner}})[0])
	}
	if f.readStore(t, d.Name).Exists() {
		t.Error("the store exists after its deletion was finished")
	}
}

// TestOneDamagedMarkerFailsAlone damages what one store and one subscription have.
func TestOneDamagedMarkerFailsAlone(t *testing.T) {
	f := start(t, broker.PulsarOptions{})
	for _, n := range []string{"good", "claim", "settings", "future"} {
		d, c := f.store(t, n)
		f.applyStore(t, d, c)
		s, sc := f.subscription(t, n, "reader")
		f.applySubscription(t, s, sc)
	}
	set := func(store, key, value string) {
		f.must(t, f.backend.setProperties(t.Context(), "test", store, map[string]string{key: value}))
	}
	set("claim", "es.store.1", "{")
	set("settings", "es.store.1.settings", `{"kind":"other"}`)
	set("future", "es.store.1", `{"layout":99,"partitions":"a word"}`)
	set("good", subscriptionKeys("damaged")+"1", "{")
	for i, r := range f.backend.ReadStores(t.Context(), []string{"good", "claim", "settings", "absent"}) {
		if bad := i == 1 || i == 2; bad != (r.Err != nil) {
			t.Errorf("store %d: %v", i, r.Err)
		}
	}
	ids := []backend.SubscriptionID{{Store: "good", Name: "reader"}, {Store: "good", Name: "damaged"}, {Store: "claim", Name: "reader"}}
	for i, r := range f.backend.ReadSubscriptions(t.Context(), ids) {
		if (i > 0) != (r.Err != nil) {
			t.Errorf("subscription %q: %v", ids[i], r.Err)
		}
	}
}
