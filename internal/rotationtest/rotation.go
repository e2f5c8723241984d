package rotationtest

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// A Case is a store on a broker behind proxies.
type Case struct {
	Store, Subscription eventstore.Secret
	Proxies             []*broker.Proxy // All connections go through them. None: Rotate cuts connections itself.

	// Rotate gives the user of a Secret other credentials, or the broker another place, and returns the Secret with them. From
	// then on what the Secret had before is of no use any more.
	Rotate func(t *testing.T, s eventstore.Secret) eventstore.Secret
}

const (
	streams   = 4
	rotations = 2
	patience  = 4 * time.Minute
)

// Run appends and subscribes, while the credentials of both change again and again and connections are cut before the
// folder has the new ones.
func Run(t *testing.T, c Case) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r := &run{Case: c, delivered: map[eventstore.StreamID][]string{}, once: map[eventstore.Position]bool{}, acknowledged: make([]int, streams)}
	store, sub := NewMount(t, c.Store), NewMount(t, c.Subscription)
	r.store, r.sub = open(ctx, t, store), open(ctx, t, sub)

	running, stop := context.WithCancel(ctx)
	defer stop()
	var writers, wg sync.WaitGroup
	for n := range streams {
		writers.Go(func() { r.append(t, running, ctx, n) })
	}
	subscribed, unsubscribe := context.WithCancel(ctx)
	defer unsubscribe()
	wg.Go(func() {
		if err := r.sub.Subscribe(subscribed, r.handle); err != nil {
			t.Errorf("Subscribe: %v", err)
		}
	})
	for range rotations {
		r.progress(ctx, t)
		c.Store, c.Subscription = c.Rotate(t, c.Store), c.Rotate(t, c.Subscription)
		r.know(c)
		r.cut(ctx, t) // The broker has the new ones, and the folder the old ones.
		store.Set(t, c.Store)
		sub.Set(t, c.Subscription)
	}
	r.progress(ctx, t)
	stop()
	writers.Wait()
	r.await(ctx, t, "all that was appended is delivered", func() bool { return len(r.once) >= r.total() })
	unsubscribe()
	wg.Wait()
	r.check(ctx, t)
}

func open(ctx context.Context, t *testing.T, m *Mount) eventstore.Store {
	t.Helper()
	s, err := eventstore.Open(ctx, m.FS())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

type run struct {
	Case

	store, sub eventstore.Store

	mu           sync.Mutex
	acknowledged []int // Appends of each stream.
	delivered    map[eventstore.StreamID][]string
	once         map[eventstore.Position]bool
	failures     map[string]bool
}

func stream(n int) eventstore.StreamID { return eventstore.StreamID{Type: "order", ID: fmt.Sprint(n)} }

func id(n, v int) string { return fmt.Sprintf("%d-%d", n, v) }

// append repeats each append until it succeeds.
func (r *run) append(t *testing.T, running, ctx context.Context, n int) { //nolint:revive // Two contexts: what was begun is ended.
	for v := 0; running.Err() == nil; v++ {
		event := eventstore.EventData{ID: id(n, v), Type: "Counted"}
		for ctx.Err() == nil {
			_, err := r.store.Append(ctx, stream(n), eventstore.Version(v), event)
			if err == nil {
				break
			}
			r.tell(t, err)
			wait(ctx)
		}
		if ctx.Err() != nil {
			t.Errorf("version %d of stream %d was not appended in time", v, n)
			return
		}
		r.mu.Lock()
		r.acknowledged[n]++
		r.mu.Unlock()
		wait(ctx)
	}
}

// know is told what errors must not have.
func (r *run) know(c Case) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Case = c
}

// wait leaves the machine to others.
func wait(ctx context.Context) {
	select {
	case <-time.After(5 * time.Millisecond):
	case <-ctx.Done():
	}
}

// tell logs each error once, and sees that it keeps secrets.
func (r *run) tell(t *testing.T, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range []eventstore.Secret{r.Store, r.Subscription} {
		if strings.Contains(err.Error(), s.Get(layout.SecretPassword)) {
			t.Errorf("an error has the password: %v", err)
		}
	}
	if !r.failures[err.Error()] {
		if r.failures == nil {
			r.failures = map[string]bool{}
		}
		r.failures[err.Error()] = true
		t.Log(err)
	}
}

func (r *run) handle(_ context.Context, e eventstore.Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.once[e.Position] {
		r.once[e.Position] = true
		r.delivered[e.Stream] = append(r.delivered[e.Stream], e.ID)
	}
	return nil
}

// total is called with mu held.
func (r *run) total() (n int) {
	for _, of := range r.acknowledged {
		n += of
	}
	return n
}

// progress waits until each stream has more events, and some are delivered.
func (r *run) progress(ctx context.Context, t *testing.T) {
	t.Helper()
	const more = 5
	r.mu.Lock()
	appended, delivered := append([]int(nil), r.acknowledged...), len(r.once)
	r.mu.Unlock()
	r.await(ctx, t, "appends and the subscription get on", func() bool {
		for n, of := range appended {
			if r.acknowledged[n] < of+more {
				return false
			}
		}
		return len(r.once) >= delivered+more
	})
}

// cut cuts all connections, and waits until some were tried again.
func (r *run) cut(ctx context.Context, t *testing.T) {
	t.Helper()
	const tries = 4
	if len(r.Proxies) == 0 {
		return
	}
	accepted := func() (n int) {
		for _, p := range r.Proxies {
			n += p.Accepted()
		}
		return n
	}
	before := accepted()
	for _, p := range r.Proxies {
		p.Cut()
	}
	r.await(ctx, t, "clients reconnect", func() bool { return accepted() >= before+tries })
}

// await waits until done, which is called with mu held.
func (r *run) await(ctx context.Context, t *testing.T, what string, done func() bool) {
	t.Helper()
	for {
		r.mu.Lock()
		ok := done()
		state := fmt.Sprintf("%v appended, %d delivered", r.acknowledged, len(r.once))
		r.mu.Unlock()
		if ok {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("waited in vain until %s: %s", what, state)
		}
		wait(ctx)
	}
}

// check compares what was acknowledged with what is there and what was delivered.
func (r *run) check(ctx context.Context, t *testing.T) {
	t.Helper()
	want, read := map[eventstore.StreamID][]string{}, map[eventstore.StreamID][]string{}
	for n, of := range r.acknowledged {
		for v := range of {
			want[stream(n)] = append(want[stream(n)], id(n, v))
		}
		for e, err := range r.store.Read(ctx, stream(n), 0) {
			if err != nil {
				t.Fatal(err)
			}
			read[stream(n)] = append(read[stream(n)], e.ID)
		}
	}
	for name, got := range map[string]map[eventstore.StreamID][]string{"Read": read, "Subscribe": maps.Clone(r.delivered)} {
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: -want, +got:\n%s", name, diff)
		}
	}
	t.Logf("%d events, %d kinds of errors", r.total(), len(r.failures))
}
