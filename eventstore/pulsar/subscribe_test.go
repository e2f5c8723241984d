package pulsar

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"maps"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/pulsar-client-go/pulsar"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/deliver"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/pulsartest"
)

// typed is a subscription of a type, with some events before it.
func typed(t *testing.T, server *pulsartest.Server, typ string, events int) (store eventstore.Store, secret eventstore.Secret) {
	t.Helper()
	of := server.Store(t, layout.Sourcing, nil)
	store = openSecret(t, of)
	for v := range events {
		_, err := store.Append(t.Context(), order42, eventstore.Version(v), eventstore.EventData{Type: "Counted"})
		must(t, err)
	}
	secret = maps.Clone(server.Subscription(t, of, "billing"))
	secret[layout.SecretSubscriptionType] = []byte(typ)
	return store, secret
}

// Each type delivers everything; all but Shared in order.
func TestTypes(t *testing.T) {
	server := pulsartest.Start(t, broker.PulsarOptions{})
	const events = 20
	for _, typ := range []string{"Exclusive", "Failover", "KeyShared", "Shared"} {
		t.Run(typ, func(t *testing.T) {
			_, secret := typed(t, server, typ, events)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			var mu sync.Mutex
			seen, latest := map[eventstore.Version]bool{}, eventstore.Version(0)
			must(t, openSecret(t, secret).Subscribe(ctx, func(_ context.Context, e eventstore.Event) error {
				mu.Lock()
				defer mu.Unlock()
				if typ != "Shared" && e.Version != latest+1 {
					t.Errorf("version %d came after %d", e.Version, latest)
				}
				seen[e.Version], latest = true, e.Version
				if len(seen) == events {
					cancel()
				}
				return nil
			}))
			if len(seen) != events {
				t.Errorf("%d of %d events came", len(seen), events)
			}
		})
	}
}

// One consumer of an exclusive subscription keeps others out, who hear why.
func TestExclusive(t *testing.T) {
	server := pulsartest.Start(t, broker.PulsarOptions{})
	_, secret := typed(t, server, "Exclusive", 1)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	begun := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		err := openSecret(t, secret).Subscribe(ctx, func(context.Context, eventstore.Event) error {
			close(begun)
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-begun
	err := openSecret(t, secret).Subscribe(ctx, func(context.Context, eventstore.Event) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "choose Failover") {
		t.Errorf("Subscribe beside another: %v, want it to say what to do", err)
	}
	cancel()
	wg.Wait()
}

// A stand-in goes on where the consumer before it ended.
func TestFailover(t *testing.T) {
	server := pulsartest.Start(t, broker.PulsarOptions{})
	const events = 40
	store, secret := typed(t, server, "Failover", events/2)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var mu sync.Mutex
	var latest eventstore.Version
	half := make(chan struct{})
	handle := func(_ context.Context, e eventstore.Event) error {
		mu.Lock()
		defer mu.Unlock()
		if e.Version > latest+1 {
			t.Errorf("version %d came after %d", e.Version, latest)
		}
		if e.Version == events/2 && latest < e.Version {
			close(half)
		}
		latest = max(latest, e.Version)
		if e.Version == events {
			cancel()
		}
		return nil
	}
	first, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	for _, run := range []context.Context{first, ctx} {
		wg.Go(func() {
			if err := openSecret(t, secret).Subscribe(run, handle); err != nil {
				t.Error(err)
			}
		})
	}
	<-half
	stop()
	for v := events / 2; v < events; v++ {
		_, err := store.Append(t.Context(), order42, eventstore.Version(v), eventstore.EventData{Type: "Counted"})
		must(t, err)
	}
	wg.Wait()
	if latest != events {
		t.Errorf("the last version that came is %d, want %d", latest, events)
	}
}

// A subscription that is gone is not made anew.
func TestSubscriptionGone(t *testing.T) {
	server := pulsartest.Start(t, broker.PulsarOptions{})
	_, secret := typed(t, server, "KeyShared", 1)
	server.Admin(t, "DELETE", server.Events(secret, partition42), "/subscription/billing?force=true")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := openSecret(t, secret).Subscribe(ctx, func(context.Context, eventstore.Event) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "the provider restores it") {
		t.Errorf("Subscribe: %v, want it to say that the provider restores it", err)
	}
}

// deaf is a consumer whose client closed while it acknowledged: nobody answers any more.
type deaf struct{ pulsar.Consumer }

func (deaf) AckIDList([]pulsar.MessageID) error { select {} }

// A consumer ends in time even if its acknowledgements are never answered; what they were of is delivered again.
func TestNoAnswerToAcks(t *testing.T) {
	server := pulsartest.Start(t, broker.PulsarOptions{})
	_, secret := typed(t, server, "KeyShared", 1)
	for _, broken := range []bool{true, false} {
		s := openSecret(t, secret).(*store) //nolint:forcetypeassert // The driver's.
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		handled := 0
		ended := make(chan error, 1)
		go func() {
			ended <- deliver.Subscribe(ctx, s.Binding, s.open, func(context.Context, eventstore.Event) error {
				handled++
				cancel()
				return nil
			}, nil, func(base *deliver.Consumer) error {
				c := &consumer{Consumer: base, store: s, typ: types[s.SubscriptionType], name: newName()}
				p := newPartition(c, layout.Partition(order42.String(), s.Partitions), true)
				if err := p.open(); err != nil {
					return err
				}
				if broken {
					p.client = deaf{p.client}
				}
				p.run()
				return nil
			})
		}()
		select {
		case err := <-ended:
			must(t, err)
		case <-time.After(2 * time.Minute):
			t.Fatal("the consumer does not end")
		}
		if handled != 1 {
			t.Errorf("%d events were handled, want the one", handled)
		}
	}
}

// A broker that closes a consumer is not always heard by the client. The consumer notices, and begins anew.
func TestCloseIsNotHeard(t *testing.T) {
	server := pulsartest.Start(t, broker.PulsarOptions{})
	secret := server.Store(t, layout.Sourcing, nil)
	s := openSecret(t, secret)
	sub := maps.Clone(server.Subscription(t, secret, "billing"))
	sub[layout.SecretURI] = []byte("pulsar://" + withoutCloses(t, strings.TrimPrefix(server.ServiceURL, "pulsar://")))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	came, ended := make(chan string), make(chan error, 1)
	go func() {
		ended <- openSecret(t, sub).Subscribe(ctx, func(ctx context.Context, e eventstore.Event) error {
			select {
			case came <- e.ID:
			case <-ctx.Done():
			}
			return nil
		})
	}()
	for v, id := range []string{"a", "b"} {
		if v > 0 {
			unload(t, server, secret)
		}
		_, err := s.Append(ctx, order42, eventstore.Version(v), placed(id))
		must(t, err)
		for got := ""; got != id; { // The first may come again: the broker need not have heard that it was handled.
			select {
			case got = <-came:
			case <-ctx.Done():
				t.Fatalf("event %s did not come", id)
			}
		}
	}
	cancel()
	must(t, <-ended)
}

// closeConsumer is BaseCommand.Type CLOSE_CONSUMER of PulsarApi.proto.
const closeConsumer = 16

// withoutCloses passes everything on to a broker and back, but that a consumer was closed.
func withoutCloses(t *testing.T, target string) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", target)
			if err != nil {
				_ = client.Close()
				continue
			}
			go func() {
				_, _ = io.Copy(server, client)
				_ = server.Close()
			}()
			go func() {
				copyWithout(closeConsumer, client, server)
				_ = client.Close()
			}()
		}
	}()
	return l.Addr().String()
}

// copyWithout copies frames, as Pulsar's binary protocol has them, but for those of one command.
func copyWithout(command byte, to io.Writer, from io.Reader) {
	for in := bufio.NewReader(from); ; {
		size, err := in.Peek(4)
		if err != nil {
			return
		}
		frame := make([]byte, 4+binary.BigEndian.Uint32(size))
		if _, err := io.ReadFull(in, frame); err != nil {
			return
		}
		if frame[9] == command { // After both sizes, and the tag of the command's type.
			continue
		}
		if _, err := to.Write(frame); err != nil {
			return
		}
	}
}
