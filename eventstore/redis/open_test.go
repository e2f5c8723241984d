package redis

import (
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/redistest"
)

var order42 = eventstore.StreamID{Type: "order", ID: "42"}

func placed(id string) eventstore.EventData { return eventstore.EventData{ID: id, Type: "OrderPlaced"} }

func TestOpen(t *testing.T) {
	server := redistest.Start(t)
	cases := map[string]struct {
		reason  string
		extra   map[string]string
		damage  func(t *testing.T, store string)
		wantIs  error
		wantErr string
	}{
		"Good": {reason: "Nothing is wrong."},
		"Password": {
			reason: "The password is not in the message.", extra: map[string]string{layout.SecretPassword: "hunter2"},
			wantErr: "WRONGPASS",
		},
		"Partitions": {
			reason: "Another number of partitions would put streams elsewhere.", extra: map[string]string{layout.SecretPartitions: "5"},
			wantErr: "says partitions 4, the Secret says 5",
		},
		"Kind": {
			reason: "A store that turned into a streaming store has no index.",
			extra:  map[string]string{layout.SecretExpectedVersions: "false"}, wantErr: "says kind sourcing",
		},
		"Marker": {
			reason: "A server that lost its data has no marker.", wantIs: eventstore.ErrHistoryLost,
			damage: func(t *testing.T, store string) {
				must(t, server.Admin.Del(t.Context(), layout.RedisMarker(store)).Err())
			},
		},
		"Trimmed": {
			reason: "Events that were removed by hand are missed.", wantIs: eventstore.ErrHistoryLost,
			damage: func(t *testing.T, store string) {
				must(t, server.Admin.XTrimMaxLen(t.Context(), eventsOf(store), 0).Err())
			},
		},
		"Server": {
			reason: "A server that is not there is named.", extra: map[string]string{layout.SecretEndpoints: "127.0.0.1:1"},
			wantErr: "127.0.0.1:1",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			good := server.Store(t, layout.Sourcing, nil)
			_, err := openSecret(t, good).Append(t.Context(), order42, 0, placed("a"))
			must(t, err)
			if tc.damage != nil {
				tc.damage(t, good.Get(layout.SecretStore))
			}
			for k, v := range tc.extra {
				good[k] = []byte(v)
			}
			store, err := eventstore.OpenSecret(t.Context(), good)
			if err == nil {
				must(t, store.Close())
			}
			ok := tc.wantIs == nil && tc.wantErr == ""
			if (err == nil) != ok || tc.wantIs != nil && !errors.Is(err, tc.wantIs) || err != nil && !strings.Contains(err.Error(), tc.wantErr) {
				t.Errorf("%s\nOpen: %v, want %v %s", tc.reason, err, tc.wantIs, tc.wantErr)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("Open: %v names the password", err)
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventsOf is the key of order/42's partition.
func eventsOf(store string) string {
	return layout.RedisEvents(store, layout.Partition(order42.String(), redistest.Partitions))
}

// An open store notices that its events vanished under it.
func TestHistoryLost(t *testing.T) {
	server := redistest.Start(t)
	secret := server.Store(t, layout.Sourcing, nil)
	s := openSecret(t, secret)
	for v := range 3 {
		_, err := s.Append(t.Context(), order42, eventstore.Version(v), placed("a"+strconv.Itoa(v)))
		must(t, err)
	}
	read := func() (n int, last error) {
		for _, err := range s.Read(t.Context(), order42, 0) {
			if last = err; err == nil {
				n++
			}
		}
		return n, last
	}
	entries, err := server.Admin.XRange(t.Context(), eventsOf(secret.Get(layout.SecretStore)), "-", "+").Result()
	must(t, err)
	must(t, server.Admin.XDel(t.Context(), eventsOf(secret.Get(layout.SecretStore)), entries[1].ID).Err())
	if n, err := read(); !errors.Is(err, eventstore.ErrHistoryLost) {
		t.Errorf("Read with a hole: %d events, %v; want ErrHistoryLost", n, err)
	}
	must(t, server.Admin.Del(t.Context(), eventsOf(secret.Get(layout.SecretStore))).Err())
	if _, err := s.Append(t.Context(), order42, 3, placed("b")); !errors.Is(err, eventstore.ErrHistoryLost) {
		t.Errorf("Append to a stream whose events are gone: %v, want ErrHistoryLost", err)
	}
	if n, err := read(); n != 0 || !errors.Is(err, eventstore.ErrHistoryLost) {
		t.Errorf("Read of a stream whose events are gone: %d events, %v; want ErrHistoryLost", n, err)
	}
}

func FuzzParseCursor(f *testing.F) {
	for _, s := range []string{"1700000000000-0", "1-1.2", "0-0.0", "1-1.-2", "01-1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if c, err := parseCursor(s); err == nil && c.String() != s {
			t.Errorf("parseCursor(%q) prints as %q", s, c)
		}
	})
}
