package redis

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/redistest"
)

// trimmed is a streaming store of which a test forgets events, as retention does.
type trimmed struct {
	eventstore.Store
	t      *testing.T
	server *redistest.Server
	events string
	n      int
}

func newTrimmed(t *testing.T, server *redistest.Server) *trimmed {
	t.Helper()
	secret := server.Store(t, layout.Streaming, nil)
	return &trimmed{Store: openConsumer(t, secret, ""), t: t, server: server, events: eventsOf(secret.Get(layout.SecretStore))}
}

// add appends n events, each with its number as its id.
func (s *trimmed) add(n int) {
	s.t.Helper()
	for range n {
		_, err := s.Append(s.t.Context(), order42, eventstore.Any, placed(fmt.Sprint(s.n)))
		must(s.t, err)
		s.n++
	}
}

func (s *trimmed) keep(n int64) {
	s.t.Helper()
	must(s.t, s.server.Admin.XTrimMaxLen(s.t.Context(), s.events, n).Err())
}

// at is the position of the i-th event that is there.
func (s *trimmed) at(i int) eventstore.Position {
	s.t.Helper()
	entries, err := s.server.Admin.XRange(s.t.Context(), s.events, "-", "+").Result()
	must(s.t, err)
	return eventstore.Position{Partition: layout.Partition(order42.String(), redistest.Partitions), Offset: entries[i].ID}
}

func TestReplayAfterTrimmed(t *testing.T) {
	server := redistest.Start(t)
	cases := map[string]struct {
		reason string
		after  int   // Number of the event, of five, that was the last one seen.
		kept   int64 // Events of these that are kept.
		more   int   // Events that come afterwards.
		lost   bool
		want   string
	}{
		"Kept":        {reason: "The position is there.", after: 2, kept: 3, want: "3 4"},
		"Older":       {reason: "What follows the position is gone.", after: 1, kept: 2, lost: true},
		"Next":        {reason: "Redis does not tell whether only the position is gone.", after: 2, kept: 2, lost: true},
		"All":         {reason: "Nothing is left, and something followed.", after: 2, kept: 0, lost: true},
		"AllAndMore":  {reason: "Something followed that is gone, and something that is not.", after: 2, kept: 0, more: 2, lost: true},
		"Idle":        {reason: "Nothing followed, so nothing was missed.", after: 4, kept: 0, want: ""},
		"LastAndMore": {reason: "The position is the last one that is kept.", after: 4, kept: 1, more: 2, want: "5 6"},
	}
	for name, tc := range cases {
		for _, live := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/Live=%t", name, live), func(t *testing.T) {
				s := newTrimmed(t, server)
				s.add(5)
				at := s.at(tc.after)
				s.keep(tc.kept)
				s.add(tc.more)
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				var got []string
				var last error
				if live && tc.want == "" && !tc.lost {
					cancel()
				}
				for e, err := range s.Replay(ctx, eventstore.Start{After: []eventstore.Position{at}, Live: live}) {
					if last = err; err == nil {
						got = append(got, e.ID)
					}
					if live && strings.Join(got, " ") == tc.want {
						cancel()
					}
				}
				if strings.Join(got, " ") != tc.want || errors.Is(last, eventstore.ErrHistoryLost) != tc.lost {
					t.Errorf("%s\nReplay: %v, %v; want %q, lost %t", tc.reason, got, last, tc.want, tc.lost)
				}
				if last != nil && tc.lost && !strings.Contains(last.Error(), at.String()) {
					t.Errorf("%v does not name position %s", last, at)
				}
			})
		}
	}
}

// A replay that is slower than the retention says so.
func TestReplayIsOvertaken(t *testing.T) {
	server := redistest.Start(t)
	cases := map[string]struct {
		reason string
		before int // Events when the replay begins.
		first  int // Events that come before it waits; then, at the first of them, more come and all but few are forgotten.
		lost   bool
		live   bool
	}{
		"Merge":     {reason: "What there was is more than one page.", before: 2*page + 10, lost: true},
		"MergeLive": {reason: "What there was is more than one page.", before: 2*page + 10, lost: true, live: true},
		"Follow":    {reason: "What came while it waited is more than one page.", before: 1, first: 2*page + 10, lost: true, live: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := newTrimmed(t, server)
			s.add(tc.before)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			n, last := 0, error(nil)
			for e, err := range s.Replay(ctx, eventstore.Start{Live: tc.live}) {
				if last = err; err != nil {
					break
				}
				if e.ID != fmt.Sprint(n) {
					t.Fatalf("%s\nevent %s follows %d: a hole", tc.reason, e.ID, n-1)
				}
				if n++; n == 1 {
					s.add(tc.first)
					s.keep(5)
				}
			}
			if errors.Is(last, eventstore.ErrHistoryLost) != tc.lost {
				t.Errorf("%s\nafter %d events: %v, want lost %t", tc.reason, n, last, tc.lost)
			}
		})
	}
}

// A live replay that has seen all loses nothing when that is forgotten, and neither does one that began when there was
// nothing.
func TestReplayKeepsUp(t *testing.T) {
	server := redistest.Start(t)
	for name, tc := range map[string]struct{ forgotten, before int }{
		"Empty": {}, "Forgotten": {forgotten: 3}, "Behind": {before: 3},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTrimmed(t, server)
			s.add(tc.forgotten)
			s.keep(0)
			s.add(tc.before)
			before := tc.forgotten + tc.before
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			got := make(chan string)
			var wg sync.WaitGroup
			defer wg.Wait()
			defer cancel()
			wg.Go(func() {
				for e, err := range s.Replay(ctx, eventstore.Start{Live: true}) {
					if err != nil && ctx.Err() == nil {
						t.Errorf("Replay: %v", err)
					}
					select {
					case got <- e.ID:
					case <-ctx.Done():
					}
				}
			})
			want := func(n int) {
				t.Helper()
				select {
				case id := <-got:
					if id != fmt.Sprint(n) {
						t.Fatalf("got event %q, want %d", id, n)
					}
				case <-time.After(time.Minute):
					t.Fatalf("waited in vain for event %d", n)
				}
			}
			for n := tc.forgotten; n < before; n++ {
				want(n)
			}
			for n := before; n < before+20; n += 2 {
				await(t, "the replay to wait", func() bool {
					return strings.Contains(server.Admin.Info(t.Context(), "clients").Val(), "\nblocked_clients:1\r")
				})
				s.keep(0)
				s.add(2)
				want(n)
				want(n + 1)
			}
		})
	}
}
