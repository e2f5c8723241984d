package kafka

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect/kafkaclient"
)

// startBehindProxy returns a cluster that is reached through a proxy, also at the address that the broker names itself.
func startBehindProxy(t *testing.T) (*fixture, *broker.Proxy) {
	t.Helper()
	var proxy *broker.Proxy
	f := startOwn(t, broker.KafkaOptions{Advertise: func(_ int, addr string) (string, error) {
		var err error
		if proxy, err = broker.NewProxy(addr); err != nil {
			return "", err
		}
		t.Cleanup(func() { _ = proxy.Close() })
		return proxy.Addr, nil
	}})
	f.backend = f.open(t, kafkaclient.Config{
		BootstrapServers: []string{proxy.Addr}, Mechanism: kafkaclient.ScramSHA512, Username: f.AdminUser, Password: f.AdminPassword,
	}, WithObserver(f.requests.observe))
	return f, proxy
}

// TestFaults has the network refuse, hang and be slow. Calls end, with a sentence; and once it is well again, so is the
// backend, without being made anew.
func TestFaults(t *testing.T) {
	f, proxy := startBehindProxy(t)
	d, c := f.store("faults.orders")
	f.applyStore(t, d, c)
	s, sc := f.subscription(d.Name, "reader")
	f.applySubscription(t, s, sc)
	id := []backend.SubscriptionID{{Store: d.Name, Name: "reader"}}
	set := func(m broker.ProxyMode) {
		t.Helper()
		if err := proxy.Set(m); err != nil {
			t.Fatal(err)
		}
	}
	for name, mode := range map[string]broker.ProxyMode{"Refuse": broker.Refuse, "Hang": broker.Hang} {
		t.Run(name, func(t *testing.T) {
			other, oc := f.store("faults." + map[broker.ProxyMode]string{broker.Refuse: "refused", broker.Hang: "hung"}[mode])
			change, _ := f.change(t, other, oc)
			set(mode)
			defer set(broker.Pass)
			f.failing(t, change, d.Name, id)
			set(broker.Pass)
			begin := time.Now()
			eventually(t, "the backend to be well", func() bool {
				r := f.backend.ReadStores(t.Context(), []string{d.Name})[0]
				return r.Err == nil && r.Value.Marked
			})
			t.Logf("well again %s later", time.Since(begin).Round(time.Millisecond))
			f.applyStore(t, other, oc)
			if _, p := f.change(t, d, c); len(p.Changes) > 0 {
				t.Errorf("plan afterwards: %v", p.Changes)
			}
		})
	}
	t.Run("Slow", func(t *testing.T) {
		proxy.Slow(50 * time.Millisecond)
		defer proxy.Slow(0)
		slow, c := f.store("faults.slow")
		f.applyStore(t, slow, c)
		s, sc := f.subscription(slow.Name, "reader")
		f.applySubscription(t, s, sc)
	})
}

// failing makes every operation, all at once. Each must fail, and not because its caller has lost patience.
func (f *fixture) failing(t *testing.T, change backend.StoreChange, store string, id []backend.SubscriptionID) {
	t.Helper()
	var wg sync.WaitGroup
	for what, do := range map[string]func(ctx context.Context) error{
		"Health":            func(ctx context.Context) error { return second(f.backend.Health(ctx)) },
		"ReadStores":        func(ctx context.Context) error { return f.backend.ReadStores(ctx, []string{store})[0].Err },
		"ReadSubscriptions": func(ctx context.Context) error { return f.backend.ReadSubscriptions(ctx, id)[0].Err },
		"ApplyStores": func(ctx context.Context) error {
			return f.backend.ApplyStores(ctx, []backend.StoreChange{change})[0]
		},
		"FenceStores":  func(ctx context.Context) error { return f.backend.FenceStores(ctx, []string{store})[0] },
		"DeleteStores": func(ctx context.Context) error { return f.backend.DeleteStores(ctx, stores(store))[0] },
		"DeleteSubscriptions": func(ctx context.Context) error {
			return f.backend.DeleteSubscriptions(ctx, subscriptions(id...))[0]
		},
	} {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Second)
			defer cancel()
			begin := time.Now()
			err := do(ctx)
			t.Logf("%s, after %s: %v", what, time.Since(begin).Round(time.Millisecond), err)
			if err == nil || ctx.Err() != nil {
				t.Errorf("%s: %v, want an error, and an end of its own", what, err)
			}
		})
	}
	wg.Wait()
}

// TestCutAnywhere cuts all connections at some moment of each operation, so that its requests, or their answers, are lost;
// and tries again until it is done, as the provider does. Nothing is there twice, and nothing is missing.
func TestCutAnywhere(t *testing.T) {
	f, proxy := startBehindProxy(t)
	retry := func(what string, do func(ctx context.Context) error) {
		t.Helper()
		eventually(t, what, func() bool {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			return said(t, what, do(ctx))
		})
	}
	for i := range 12 {
		name := fmt.Sprintf("cut.s%d", i)
		d, c := f.store(name)
		s, sc := f.subscription(name, "reader")
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 3 {
				select {
				case <-time.After(time.Duration(5+7*i) * time.Millisecond):
				case <-t.Context().Done():
					return
				}
				proxy.Cut()
			}
		}()
		retry("creation of "+name, func(ctx context.Context) error { return f.tryStore(ctx, d, c) })
		retry("subscription to "+name, func(ctx context.Context) error { return f.trySubscription(ctx, s, sc) })
		<-done
		retry("repair of "+name, func(ctx context.Context) error { return f.tryStore(ctx, d, c) })
		if o := f.readStore(t, name); o.Records() != 0 || len(o.Logs) != 3 || o.Principal != d.Principal {
			t.Errorf("store %q: %+v", name, o)
		}
		if o := f.readSubscription(t, name, "reader"); o.Lag() != 0 || len(o.Groups) != 3 {
			t.Errorf("subscription to %q: %+v", name, o)
		}
	}
}

// TestRestart restarts the broker under a backend.
func TestRestart(t *testing.T) {
	f := startOwn(t, broker.KafkaOptions{})
	d, c := f.store("restart.orders")
	f.applyStore(t, d, c)
	f.append(t, d.Name, 0, 3)
	if err := f.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := f.backend.ReadStores(t.Context(), []string{d.Name})[0].Err; err == nil {
		t.Error("a store was read from a broker that is down")
	}
	if err := f.Restart(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the store", func() bool {
		r := f.backend.ReadStores(t.Context(), []string{d.Name})[0]
		return r.Err == nil && r.Value.Unavailable == "" && r.Value.Records() == 3
	})
	if _, p := f.change(t, d, c); len(p.Changes)+len(p.Refusals) > 0 {
		t.Errorf("plan after the restart: %+v", p)
	}
}
