package mirror

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect/broker"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect/redisclient"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

var errDown = errors.New("broker is down")

// fake is a broker that takes latency for each request, and counts them. Methods that it does not have would panic.
type fake struct {
	backend.Backend
	latency time.Duration

	mu       sync.Mutex
	requests int
	largest  int
	stores   map[string]plan.ObservedStore
	bad      map[string]error
	down     bool
	closed   bool
}

func newFake(n int) *fake {
	f := &fake{latency: 10 * time.Millisecond, stores: map[string]plan.ObservedStore{}, bad: map[string]error{}}
	for i := range n {
		f.stores[name(i)] = plan.ObservedStore{Marked: true, StoreSettings: plan.StoreSettings{Partitions: 1}}
	}
	return f
}

func name(i int) string { return fmt.Sprintf("store-%d", i) }

func (f *fake) request(ctx context.Context, n int) {
	f.mu.Lock()
	latency := f.latency
	f.mu.Unlock()
	select { // The bubble's clock: the broker's answer takes exactly this long.
	case <-time.After(latency):
	case <-ctx.Done():
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests++
	f.largest = max(f.largest, n)
}

func (f *fake) ReadStores(ctx context.Context, names []string) []backend.Result[plan.ObservedStore] {
	f.mu.Lock()
	results := make([]backend.Result[plan.ObservedStore], len(names))
	for i, n := range names {
		results[i] = backend.Result[plan.ObservedStore]{Value: f.stores[n], Err: f.bad[n]}
		if f.down {
			results[i] = backend.Result[plan.ObservedStore]{Err: errDown}
		}
	}
	f.mu.Unlock()
	f.request(ctx, len(names)) // What it answers is what it had when it was asked.
	return results
}

func (f *fake) ReadSubscriptions(ctx context.Context, ids []backend.SubscriptionID) []backend.Result[plan.ObservedSubscription] {
	f.request(ctx, len(ids))
	results := make([]backend.Result[plan.ObservedSubscription], len(ids))
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range results {
		if f.down {
			results[i].Err = errDown
		}
	}
	return results
}

func (f *fake) ApplyStores(ctx context.Context, changes []backend.StoreChange) []error {
	f.request(ctx, len(changes))
	f.mu.Lock()
	defer f.mu.Unlock()
	errs := make([]error, len(changes))
	for i, c := range changes {
		if errs[i] = f.bad[c.Desired.Name]; errs[i] == nil {
			f.stores[c.Desired.Name] = plan.ObservedStore{Marked: true, StoreSettings: c.Desired.StoreSettings}
		}
	}
	return errs
}

func (f *fake) DeleteStores(_ context.Context, deletions []backend.StoreDeletion) []error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, d := range deletions {
		delete(f.stores, d.Name)
	}
	return make([]error, len(deletions))
}

func (f *fake) Capabilities() plan.Capabilities { return plan.Capabilities{Backend: "fake"} }

func (f *fake) Connection() map[string][]byte {
	return map[string][]byte{layout.SecretEndpoints: []byte("fake:1")}
}

func (f *fake) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	return nil
}

// change alters a store behind the mirror's back.
func (f *fake) change(name string, to plan.ObservedStore) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stores[name] = to
}

func (f *fake) setDown(down bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = down
}

func (f *fake) setLatency(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.latency = d
}

// open returns a mirror whose background refresh ends with the test.
func open(t *testing.T, f *fake) *Mirror {
	t.Helper()
	m := New(f, Options{})
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

func TestConcurrentReadsJoinOneBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1000)
		m := open(t, f)
		var wg sync.WaitGroup
		for i := range 1000 {
			wg.Go(func() {
				o, err := m.Store(t.Context(), name(i), nil)
				if err != nil || !o.Marked {
					t.Errorf("Store(%q): %+v, %v", name(i), o, err)
				}
			})
		}
		wg.Wait()
		if f.requests != 1 {
			t.Errorf("1000 concurrent reads took %d requests, want 1", f.requests)
		}
		if _, err := m.Store(t.Context(), name(7), nil); err != nil || f.requests != 1 {
			t.Errorf("a read of what is mirrored: %v, and %d requests in all, want 1", err, f.requests)
		}
	})
}

func TestOneBadResourceFailsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(2)
		f.bad[name(0)] = errors.New("WRONGTYPE")
		m := open(t, f)
		var wg sync.WaitGroup
		for i := range 2 {
			wg.Go(func() {
				if _, err := m.Store(t.Context(), name(i), nil); (err != nil) != (i == 0) {
					t.Errorf("Store(%q): %v", name(i), err)
				}
				if err := m.ApplyStore(t.Context(), backend.StoreChange{Desired: plan.DesiredStore{Name: name(i)}}); (err != nil) != (i == 0) {
					t.Errorf("ApplyStore(%q): %v", name(i), err)
				}
			})
		}
		wg.Wait()
		if f.largest != 2 {
			t.Errorf("the largest batch had %d resources, want 2", f.largest)
		}
	})
}

func TestReadAfterLocalWriteIsFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1)
		m := open(t, f)
		read := make(chan struct{})
		go func() { // A read that the write overtakes: it began before, and ends after.
			defer close(read)
			_, _ = m.FreshStore(t.Context(), name(0))
		}()
		want := plan.StoreSettings{Partitions: 1, Snapshots: true}
		time.Sleep(3 * time.Millisecond) // Past the linger, and not yet answered.
		if err := m.ApplyStore(t.Context(), backend.StoreChange{Desired: plan.DesiredStore{Name: name(0), StoreSettings: want}}); err != nil {
			t.Fatal(err)
		}
		<-read
		o, err := m.Store(t.Context(), name(0), nil)
		if err != nil || o.StoreSettings != want {
			t.Errorf("Store after a write: %+v, %v, want %+v", o.StoreSettings, err, want)
		}
	})
}

func TestRefreshNotifiesOnlyWhatChanged(t *testing.T) {
	cases := map[string]struct {
		reason string
		to     plan.ObservedStore
		notify bool
	}{
		"Same":        {reason: "Nothing happened.", to: plan.ObservedStore{Marked: true, Logs: []plan.Log{{Records: 1}}}},
		"Counts":      {reason: "Counts move by themselves.", to: plan.ObservedStore{Marked: true, Logs: []plan.Log{{Records: 9, Bytes: 9}}}},
		"Emptied":     {reason: "The last record's loss is a change.", to: plan.ObservedStore{Marked: true, Logs: []plan.Log{{}}}, notify: true},
		"LogGone":     {reason: "A lost partition is drift.", to: plan.ObservedStore{Marked: true}, notify: true},
		"Principal":   {reason: "A changed user is drift.", to: plan.ObservedStore{Marked: true, Logs: []plan.Log{{Records: 1}}, Principal: plan.Principal{Name: "x"}}, notify: true},
		"Setting":     {reason: "A changed setting is drift.", to: plan.ObservedStore{Marked: true, Logs: []plan.Log{{Records: 1}}, StoreSettings: plan.StoreSettings{Snapshots: true}}, notify: true},
		"Disappeared": {reason: "A vanished store is drift.", to: plan.ObservedStore{}, notify: true},
	}
	for caseName, tc := range cases {
		t.Run(caseName, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(100)
				f.change(name(3), plan.ObservedStore{Marked: true, Logs: []plan.Log{{Records: 1}}})
				m := open(t, f)
				notified := map[string]int{}
				for i := range 100 {
					if _, err := m.Store(t.Context(), name(i), &Watcher{Notify: func() { notified[name(i)]++ }}); err != nil {
						t.Fatal(err)
					}
				}
				f.change(name(3), tc.to)
				time.Sleep(15 * time.Second) // Past one refresh.
				synctest.Wait()
				if (notified[name(3)] == 1) != tc.notify || len(notified) != notified[name(3)] {
					t.Errorf("%s\nnotified: %v, want store-3 notified: %t, and no other", tc.reason, notified, tc.notify)
				}
			})
		})
	}
}

func TestBrokerReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1)
		m := open(t, f)
		var notified int
		read := func() error {
			_, err := m.Store(t.Context(), name(0), &Watcher{Notify: func() { notified++ }})
			return err
		}
		if err := read(); err != nil {
			t.Fatal(err)
		}
		f.setDown(true)
		time.Sleep(15 * time.Second)
		synctest.Wait()
		if err := read(); !errors.Is(err, errDown) || notified != 1 {
			t.Errorf("while the broker is down: %v, notified %d times, want %v and once", err, notified, errDown)
		}
		f.setDown(false)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if err := read(); err != nil || notified != 2 {
			t.Errorf("3s after the broker's return: %v, notified %d times, want no error and twice", err, notified)
		}
	})
}

// TestBrokerHangs: who asks right after being told gets the answer at once, and need not wait for the broker once more.
func TestBrokerHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1)
		m := open(t, f)
		id := backend.SubscriptionID{Store: name(0), Name: "billing"}
		told := make(chan struct{}, 9)
		w := &Watcher{Notify: func() { told <- struct{}{} }}
		if _, err := m.Store(t.Context(), name(0), w); err != nil {
			t.Fatal(err)
		}
		if _, err := m.Subscription(t.Context(), id, w); err != nil {
			t.Fatal(err)
		}
		f.setDown(true)
		f.setLatency(20 * time.Second)
		began := time.Now()
		<-told
		time.Sleep(10 * time.Second) // There is much to do when so many are told.
		if _, err := m.Store(t.Context(), name(0), w); !errors.Is(err, errDown) {
			t.Errorf("Store(...): %v, want %v", err, errDown)
		}
		if _, err := m.Subscription(t.Context(), id, w); !errors.Is(err, errDown) {
			t.Errorf("Subscription(...): %v, want %v", err, errDown)
		}
		if took := time.Since(began); took > 42*time.Second {
			t.Errorf("it is known after %s, want an interval, one read and the pause", took)
		}
		f.setDown(false)
		f.setLatency(time.Millisecond)
		time.Sleep(25 * time.Second) // The read that hangs, and the pause after it.
		if _, err := m.Store(t.Context(), name(0), w); err != nil {
			t.Errorf("after its return: %v", err)
		}
	})
}

func TestMemoryOutlivesLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1)
		mine := plan.StoreSettings{Owner: plan.Owner{UID: "mine"}}
		f.change(name(0), plan.ObservedStore{Marked: true, StoreSettings: mine, Logs: []plan.Log{{Partition: 0, Records: 4}, {Partition: 1}}})
		m := open(t, f)
		if _, err := m.Store(t.Context(), name(0), nil); err != nil {
			t.Fatal(err)
		}
		f.change(name(0), plan.ObservedStore{Marked: true, StoreSettings: mine, Logs: []plan.Log{{Partition: 0, Records: 1}}})
		if _, err := m.FreshStore(t.Context(), name(0)); err != nil {
			t.Fatal(err)
		}
		f.change(name(0), plan.ObservedStore{})
		if _, err := m.FreshStore(t.Context(), name(0)); err != nil {
			t.Fatal(err)
		}
		if got := m.LastRecords(name(0), "mine"); len(got) != 1 || got[0] != 4 {
			t.Errorf("LastRecords after the loss: %v, want 4 in partition 0", got)
		}
		if got := m.LastRecords(name(0), "another"); len(got) != 0 {
			t.Errorf("LastRecords of a resource that came after the owner: %v, want none", got)
		}
		m.AcceptLoss(name(0))
		if got := m.LastRecords(name(0), "mine"); len(got) != 0 {
			t.Errorf("LastRecords after AcceptLoss: %v, want none", got)
		}
	})
}

func TestPositionsAreOfOneStore(t *testing.T) {
	at := func(store string, gone bool) memory[string] {
		return positionsOf(plan.ObservedSubscription{
			SubscriptionSettings: plan.SubscriptionSettings{Owner: plan.Owner{UID: "mine"}},
			StoreCreated:         store, StoreGone: gone, Groups: []plan.Group{{Position: "7"}},
		})
	}
	if first, again := at("first", false), at("again", false); first.owner == again.owner {
		t.Error("positions in a store are taken for those in one that was made again")
	}
	if m := at("", true); m.owner != "" {
		t.Errorf("of a store that is gone, %+v is remembered, want nothing", m)
	}
}

func TestPool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var opened []*fake
		p := NewPool(func(broker.Config) (backend.Backend, error) {
			opened = append(opened, newFake(0))
			return opened[len(opened)-1], nil
		}, Options{})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- p.Start(ctx) }()

		get := func(password string) *Mirror {
			m, err := p.Get(broker.Config{Redis: &redisclient.Config{Addresses: []string{"localhost:1"}, Password: password}})
			if err != nil {
				t.Fatal(err)
			}
			return m
		}
		if first, again := get("a"), get("a"); first != again {
			t.Error("the same configuration got two mirrors")
		}
		if get("a") == get("b") {
			t.Error("a rotated password got the mirror of the old one")
		}
		for range 7 {
			time.Sleep(3 * time.Minute)
			get("b")
		}
		synctest.Wait()
		if !opened[0].closed || opened[1].closed {
			t.Errorf("after 21 minutes: unused closed: %t, used closed: %t, want true and false", opened[0].closed, opened[1].closed)
		}
		get("c")
		p.Retire(broker.Config{Redis: &redisclient.Config{Addresses: []string{"localhost:1"}, Password: "c"}})
		time.Sleep(2 * retirement)
		synctest.Wait()
		if !opened[2].closed || opened[1].closed {
			t.Errorf("after credentials were replaced: theirs closed: %t, others closed: %t, want true and false", opened[2].closed, opened[1].closed)
		}
		stop()
		if err := <-ended; err != nil || !opened[1].closed {
			t.Errorf("Start: %v, last mirror closed: %t", err, opened[1].closed)
		}
	})
}

// TestOvertakenReadIsNotRemembered: a read that began before a deletion and ends after it must not bring back what was
// known of the deleted.
func TestOvertakenReadIsNotRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(0)
		f.change(name(0), plan.ObservedStore{Marked: true, StoreSettings: plan.StoreSettings{Owner: plan.Owner{UID: "mine"}}, Logs: []plan.Log{{Records: 4}}})
		m := open(t, f)
		if _, err := m.Store(t.Context(), name(0), nil); err != nil {
			t.Fatal(err)
		}
		read := make(chan struct{})
		go func() {
			defer close(read)
			_, _ = m.FreshStore(t.Context(), name(0))
		}()
		time.Sleep(3 * time.Millisecond) // Past the linger, and not yet answered.
		if err := m.DeleteStore(t.Context(), name(0), plan.Owner{UID: "mine"}); err != nil {
			t.Fatal(err)
		}
		<-read
		if got := m.LastRecords(name(0), "mine"); len(got) != 0 {
			t.Errorf("LastRecords after the deletion: %v, want none", got)
		}
	})
}

// TestOvertakenReadIsNotKept: of two reads at the same time, the one that began last has what is new.
func TestOvertakenReadIsNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1)
		m := open(t, f)
		if _, err := m.Store(t.Context(), name(0), nil); err != nil {
			t.Fatal(err)
		}
		f.setLatency(time.Second)
		go func() { _, _ = m.FreshStore(t.Context(), name(0)) }()
		time.Sleep(500 * time.Millisecond) // The broker has been asked, and has not answered.
		synctest.Wait()
		f.change(name(0), plan.ObservedStore{Marked: true, Layout: 2})
		f.setLatency(time.Millisecond)
		m.stores.load(t.Context(), []string{name(0)}) // As a refresh does, which waits for no batch.
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if o, err := m.Store(t.Context(), name(0), nil); err != nil || o.Layout != 2 {
			t.Errorf("after a read that was overtaken: layout %d, %v, want 2", o.Layout, err)
		}
	})
}

// TestUnusedIsNotMirroredForEver: of an orphaned resource nobody says that it is gone.
func TestUnusedIsNotMirroredForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1)
		m := open(t, f)
		if _, err := m.Store(t.Context(), name(0), &Watcher{ID: "orphaned", Notify: func() {}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := len(m.stores.keys()); n != 0 {
			t.Errorf("%d stores are mirrored an hour after anybody asked, want none", n)
		}
	})
}

// TestCollect: figures are told once for each broker, in however many ways it is reached, and nothing is asked for them.
func TestCollect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(2)
		f.stores[name(0)] = plan.ObservedStore{Marked: true, Logs: []plan.Log{{Records: 3, Bytes: 30}, {Partition: 1, Records: 4}}}
		p := NewPool(func(broker.Config) (backend.Backend, error) { return f, nil }, Options{})
		for _, user := range []string{"one", "another"} {
			m, err := p.Get(broker.Config{Redis: &redisclient.Config{Username: user}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = m.Close() })
			for i := range 3 { // The third does not exist.
				if _, err := m.Store(t.Context(), name(i), nil); err != nil {
					t.Fatal(err)
				}
			}
		}
		asked := f.requests
		r := prometheus.NewRegistry()
		r.MustRegister(p)
		families, err := r.Gather()
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]float64{}
		for _, family := range families {
			for _, m := range family.GetMetric() {
				got[family.GetName()+" "+m.GetLabel()[2].GetValue()] = m.GetGauge().GetValue()
			}
		}
		want := map[string]float64{
			"eventstore_store_records store-0": 7, "eventstore_store_bytes store-0": 30,
			"eventstore_store_records store-1": 0, "eventstore_store_bytes store-1": 0,
		}
		if !maps.Equal(got, want) || f.requests != asked {
			t.Errorf("Collect: %v after %d requests, want %v after none", got, f.requests-asked, want)
		}
	})
}
