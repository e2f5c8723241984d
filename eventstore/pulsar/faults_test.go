package pulsar

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// Connections that are cut again and again cost neither an event nor the order: not of appends, nor of a subscription, nor of
// a live replay.
func TestConnectionsAreCut(t *testing.T) {
	server, proxy := behindProxy(t)
	secret := server.Store(t, layout.Sourcing, nil)
	s, sub := openSecret(t, secret), openSecret(t, server.Subscription(t, secret, "billing"))
	const streams, each = 8, 20
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()

	var wg sync.WaitGroup
	var want []string
	for v := range each {
		want = append(want, fmt.Sprint(v+1))
	}
	for n := range streams {
		stream := eventstore.StreamID{Type: "order", ID: fmt.Sprint(n)}
		wg.Go(func() {
			for v := range each {
				event := eventstore.EventData{ID: fmt.Sprintf("%d-%d", n, v), Type: "Counted"}
				for _, err := s.Append(ctx, stream, eventstore.Version(v), event); err != nil; _, err = s.Append(ctx, stream, eventstore.Version(v), event) {
					if ctx.Err() != nil {
						t.Error(err)
						return
					}
				}
				if n == 0 && v%4 == 3 {
					proxy.Cut()
				}
			}
		})
	}
	subscribed, replayed := newSeen(streams*each), newSeen(streams*each)
	wg.Go(func() {
		run, stop := context.WithCancel(ctx)
		defer stop()
		err := sub.Subscribe(run, func(_ context.Context, e eventstore.Event) error {
			if subscribed.add(e) {
				stop()
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	wg.Go(func() {
		for e, err := range s.Replay(ctx, eventstore.Start{Live: true}) {
			if err != nil {
				t.Error(err)
				return
			}
			if replayed.add(e) {
				return
			}
		}
	})
	wg.Wait()
	for name, got := range map[string]*seen{"Subscribe": subscribed, "Replay": replayed} {
		for stream, versions := range got.by {
			if diff := cmp.Diff(strings.Join(want, " "), strings.Join(versions, " ")); diff != "" {
				t.Errorf("%s of %s: versions -want, +got:\n%s", name, stream, diff)
			}
		}
		if len(got.by) != streams {
			t.Errorf("%s: %d streams, want %d", name, len(got.by), streams)
		}
	}
}

// seen has the versions that came of each stream, without those that came again.
type seen struct {
	mu   sync.Mutex
	want int
	by   map[eventstore.StreamID][]string
	once map[eventstore.Position]bool
}

func newSeen(want int) *seen {
	return &seen{want: want, by: map[eventstore.StreamID][]string{}, once: map[eventstore.Position]bool{}}
}

// add reports whether everything has come.
func (s *seen) add(e eventstore.Event) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.once[e.Position] {
		s.once[e.Position] = true
		s.by[e.Stream] = append(s.by[e.Stream], fmt.Sprint(e.Version))
	}
	return len(s.once) == s.want
}
