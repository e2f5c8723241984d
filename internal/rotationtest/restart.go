package rotationtest

import (
	"context"
	"errors"
	"maps"
	"testing"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// RunRestart has the Secret of an open store become one that it cannot follow, and cuts connections: a subscription ends,
// and calls that need a connection fail, with an error that says so.
func RunRestart(t *testing.T, c Case) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	store, sub := NewMount(t, c.Store), NewMount(t, c.Subscription)
	r := &run{Case: c, store: open(ctx, t, store), sub: open(ctx, t, sub)}
	delivered := make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		ended <- r.sub.Subscribe(ctx, func(context.Context, eventstore.Event) error { close(delivered); return nil })
	}()
	if _, err := r.store.Append(ctx, stream(0), 0, eventstore.EventData{ID: "a", Type: "Counted"}); err != nil {
		t.Fatal(err)
	}
	select {
	case <-delivered:
	case <-ctx.Done():
		t.Fatal("waited in vain until the subscription gets on")
	}
	store.Set(t, grown(c.Store))
	sub.Set(t, grown(c.Subscription))
	for _, p := range c.Proxies {
		p.Cut()
	}
	if err := <-ended; !errors.Is(err, eventstore.ErrRestart) {
		t.Errorf("Subscribe: %v, want ErrRestart", err)
	} else {
		t.Log(err)
	}
	for {
		if _, err := r.store.LoadSnapshot(ctx, stream(0)); errors.Is(err, eventstore.ErrRestart) {
			t.Log(err)
			return
		} else if ctx.Err() != nil {
			t.Fatalf("LoadSnapshot: %v, want ErrRestart", err)
		}
	}
}

// grown is a Secret that says that there are more partitions.
func grown(s eventstore.Secret) eventstore.Secret {
	return With(s, map[string]string{layout.SecretPartitions: "64"})
}

// NewProxy is a proxy that ends with the test.
func NewProxy(t testing.TB, target string) *broker.Proxy {
	t.Helper()
	p, err := broker.NewProxy(target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// Refuse has a proxy refuse connections from now on.
func Refuse(t testing.TB, p *broker.Proxy) {
	t.Helper()
	if err := p.Set(broker.Refuse); err != nil {
		t.Fatal(err)
	}
}

// With returns a Secret with other values.
func With(s eventstore.Secret, values map[string]string) eventstore.Secret {
	s = maps.Clone(s)
	for k, v := range values {
		s[k] = []byte(v)
	}
	return s
}
