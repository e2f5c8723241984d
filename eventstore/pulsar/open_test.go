package pulsar

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/pulsartest"
)

var order42 = eventstore.StreamID{Type: "order", ID: "42"}

// partition42 is order42's.
var partition42 = layout.Partition(order42.String(), pulsartest.Partitions)

func placed(id string) eventstore.EventData { return eventstore.EventData{ID: id, Type: "OrderPlaced"} }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// unload has the brokers open order42's partition anew, which begins another ledger.
func unload(t *testing.T, server *pulsartest.Server, secret eventstore.Secret) {
	t.Helper()
	server.Admin(t, http.MethodPut, server.Events(secret, partition42), "/unload")
}

// truncate deletes what is in order42's partition.
func truncate(t *testing.T, server *pulsartest.Server, secret eventstore.Secret) {
	t.Helper()
	unload(t, server, secret) // The ledger that is open stays.
	server.Admin(t, http.MethodDelete, server.Events(secret, partition42), "/truncate")
}

func TestOpen(t *testing.T) {
	server := pulsartest.Start(t, broker.PulsarOptions{})
	cases := map[string]struct {
		reason  string
		extra   map[string]string
		damage  func(t *testing.T, secret eventstore.Secret)
		wantIs  error
		wantErr string
	}{
		"Good": {reason: "Nothing is wrong."},
		"Token": {
			reason: "The token is not in the message.", extra: map[string]string{layout.SecretPassword: "hunter2"},
			wantErr: "is the Secret the newest one",
		},
		"Tenant": {
			reason: "Without the tenant nobody knows where the store is.", extra: map[string]string{layout.SecretTenant: ""},
			wantErr: `key "tenant" is empty`,
		},
		"Partitions": {
			reason: "Another number of partitions would put streams elsewhere.", extra: map[string]string{layout.SecretPartitions: "3"},
			wantErr: "was begun with layout 1, 4 partitions",
		},
		"TooFew": {
			reason: "A topic cannot have fewer partitions than its store.", extra: map[string]string{layout.SecretPartitions: "5"},
			wantErr: "has 4 partitions, the Secret says 5",
		},
		"Other": {
			reason: "A store of somebody else is not to be seen.", wantErr: "has no right to do this",
			damage: func(t *testing.T, secret eventstore.Secret) {
				secret[layout.SecretStore] = server.Store(t, layout.Sourcing, nil)[layout.SecretStore]
			},
		},
		"Deleted": {
			reason: "Records that were deleted by hand are missed.", wantIs: eventstore.ErrHistoryLost,
			damage: func(t *testing.T, secret eventstore.Secret) { truncate(t, server, secret) },
		},
		"Server": {
			reason: "Servers that are not there are named.", extra: map[string]string{layout.SecretURI: "pulsar://127.0.0.1:1"},
			wantErr: "cannot reach the brokers at 127.0.0.1:1",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			secret := server.Store(t, layout.Sourcing, nil)
			_, err := openSecret(t, secret).Append(t.Context(), order42, 0, placed("a"))
			must(t, err)
			if tc.damage != nil {
				tc.damage(t, secret)
			}
			for k, v := range tc.extra {
				secret[k] = []byte(v)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			store, err := eventstore.OpenSecret(ctx, secret)
			if err == nil {
				must(t, store.Close())
			}
			ok := tc.wantIs == nil && tc.wantErr == ""
			if (err == nil) != ok || tc.wantIs != nil && !errors.Is(err, tc.wantIs) || err != nil && !strings.Contains(err.Error(), tc.wantErr) {
				t.Errorf("%s\nOpen: %v, want %v %s", tc.reason, err, tc.wantIs, tc.wantErr)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("Open: %v names the token", err)
			}
		})
	}
	t.Run("TLS", func(t *testing.T) {
		secret := server.TLS(t, server.Store(t, layout.Sourcing, nil))
		_, err := openSecret(t, secret).Append(t.Context(), order42, 0, placed("a"))
		must(t, err)
		wrong := maps.Clone(secret)
		delete(wrong, layout.SecretCA)
		if _, err := eventstore.OpenSecret(t.Context(), wrong); err == nil || !strings.Contains(err.Error(), "unknown authority") {
			t.Errorf("Open without the CA: %v, want it to name the unknown authority", err)
		}
	})
}

// An open store notices that its records vanished under it.
func TestHistoryLost(t *testing.T) {
	server := pulsartest.Start(t, broker.PulsarOptions{})
	secret := server.Store(t, layout.Sourcing, nil)
	s := openSecret(t, secret)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err := s.Append(ctx, order42, 0, placed("a"))
	must(t, err)
	truncate(t, server, secret)
	var last error
	for _, last = range s.Read(ctx, order42, 0) { //nolint:revive // The last error is what counts.
	}
	if !errors.Is(last, eventstore.ErrHistoryLost) {
		t.Errorf("Read of a record that was deleted: %v, want ErrHistoryLost", last)
	}
	for _, last = range s.Replay(ctx, eventstore.Start{}) { //nolint:revive // The last error is what counts.
	}
	if !errors.Is(last, eventstore.ErrHistoryLost) {
		t.Errorf("Replay of a record that was deleted: %v, want ErrHistoryLost", last)
	}
}

// A store that is deleted says so to whoever has it open: brokers may make a partition anew whose topic is there, and its principal's
// rights go with the topic.
func TestDeleted(t *testing.T) {
	server := pulsartest.Start(t, broker.PulsarOptions{})
	for name, whole := range map[string]bool{"Partition": false, "Topic": true} {
		t.Run(name, func(t *testing.T) {
			secret := server.Store(t, layout.Sourcing, nil)
			remove := func() { server.Admin(t, http.MethodDelete, server.Events(secret, partition42), "?force=true") }
			if whole {
				topic := strings.TrimSuffix(server.Events(secret, partition42), fmt.Sprintf("-partition-%d", partition42))
				remove = func() { server.Admin(t, http.MethodDelete, topic, "/partitions?force=true") }
				secret = maps.Clone(secret)
				secret[layout.SecretPassword] = []byte(server.AdminToken)
			}
			s := openSecret(t, secret)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			_, err := s.Append(ctx, order42, 0, placed("a"))
			must(t, err)
			remove()
			for v := eventstore.Version(1); err == nil; v++ {
				_, err = s.Append(ctx, order42, v, placed("b"))
			}
			if !errors.Is(err, eventstore.ErrHistoryLost) {
				t.Errorf("Append after it was deleted: %v, want ErrHistoryLost", err)
			}
			for _, err = range s.Read(ctx, order42, 0) { //nolint:revive // The last error is what counts.
			}
			if !errors.Is(err, eventstore.ErrHistoryLost) {
				t.Errorf("Read after it was deleted: %v, want ErrHistoryLost", err)
			}
		})
	}
}

// A partition whose newest ledger is empty ends in an older one.
func TestLedgers(t *testing.T) {
	server := pulsartest.Start(t, broker.PulsarOptions{})
	secret := server.Store(t, layout.Sourcing, nil)
	s := openSecret(t, secret)
	var want []string
	for v, id := range []string{"a", "b", "c"} {
		_, err := s.Append(t.Context(), order42, eventstore.Version(v), placed(id))
		must(t, err)
		want = append(want, id)
		unload(t, server, secret)
		for _, store := range []eventstore.Store{s, openSecret(t, secret)} {
			if got := ids(t, store, eventstore.Start{}); got != strings.Join(want, " ") {
				t.Errorf("Replay after %d ledgers: %s, want %v", len(want), got, want)
			}
			if got := read(t, store); got != strings.Join(want, " ") {
				t.Errorf("Read after %d ledgers: %s, want %v", len(want), got, want)
			}
		}
	}
}

func read(t *testing.T, s eventstore.Store) string {
	t.Helper()
	var all []string
	for e, err := range s.Read(t.Context(), order42, 0) {
		must(t, err)
		all = append(all, e.ID)
	}
	return strings.Join(all, " ")
}

func ids(t *testing.T, s eventstore.Store, from eventstore.Start) string {
	t.Helper()
	var all []string
	for e, err := range s.Replay(t.Context(), from) {
		must(t, err)
		all = append(all, e.ID)
	}
	return strings.Join(all, " ")
}

func FuzzParseCursor(f *testing.F) {
	for _, s := range []string{"1:7", "1:2.1", "0:0.0", "1:1.-2", "01:1", "-1:0", "1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if c, err := parseCursor(s); err == nil && c.String() != s {
			t.Errorf("parseCursor(%q) prints as %q", s, c)
		}
	})
}
