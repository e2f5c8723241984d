package pulsar

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/pulsartest"
)

// A partition is many ledgers in the course of time. Nobody who writes, reads, replays or consumes sees where one ends.
func TestManyLedgers(t *testing.T) {
	server := pulsartest.Start(t, broker.PulsarOptions{Config: map[string]string{
		"managedLedgerMaxEntriesPerLedger": "7", "managedLedgerMinLedgerRolloverTimeMinutes": "0",
	}})
	secret := server.Store(t, layout.Sourcing, nil)
	subscription := server.Subscription(t, secret, "billing")
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()

	const events = 60
	consumed := make(chan error, 1)
	running, stop := context.WithCancel(ctx)
	defer stop()
	var latest eventstore.Version
	go func() { // From the beginning, while the ledgers are begun.
		consumed <- openSecret(t, subscription).Subscribe(running, func(_ context.Context, e eventstore.Event) error {
			if e.Version != latest+1 {
				t.Errorf("version %d comes after %d", e.Version, latest)
			}
			if latest = e.Version; latest == events {
				stop()
			}
			return nil
		})
	}()
	var s eventstore.Store
	for v := range events {
		if v%20 == 0 { // And by processes that come later.
			s = openSecret(t, secret)
		}
		if _, err := s.Append(ctx, order42, eventstore.Version(v), eventstore.EventData{ID: fmt.Sprint(v), Type: "Counted"}); err != nil {
			t.Fatalf("Append at version %d: %v", v, err)
		}
	}
	must(t, <-consumed)

	ledgers := map[string]bool{}
	for _, way := range []struct {
		name   string
		events func(yield func(eventstore.Event, error) bool)
	}{
		{"read", openSecret(t, secret).Read(ctx, order42, 0)},
		{"replayed", openSecret(t, secret).Replay(ctx, eventstore.Start{})},
	} {
		n := 0
		for e, err := range way.events {
			must(t, err)
			if e.ID != fmt.Sprint(n) {
				t.Errorf("event %s is %s as number %d", e.ID, way.name, n)
			}
			n++
			ledger, _, _ := strings.Cut(e.Position.Offset, ":")
			ledgers[ledger] = true
		}
		if n != events {
			t.Errorf("%d events are %s, want %d", n, way.name, events)
		}
	}
	if len(ledgers) < 3 {
		t.Errorf("the partition has %d ledgers, and was to have many: nothing was tested", len(ledgers))
	}
}
