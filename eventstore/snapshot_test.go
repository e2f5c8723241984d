package eventstore_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/memory"
)

// saves remembers the versions of which a snapshot was saved, and refuses them if told to.
type saves struct {
	eventstore.Store
	refuse   error
	versions []eventstore.Version
}

func (s *saves) SaveSnapshot(ctx context.Context, snapshot eventstore.Snapshot) error {
	s.versions = append(s.versions, snapshot.Version)
	if s.refuse != nil {
		return s.refuse
	}
	return s.Store.SaveSnapshot(ctx, snapshot)
}

func TestSnapshotPolicy(t *testing.T) {
	events, size, age := eventstore.EveryEvents(4), eventstore.EveryBytes(6), eventstore.EveryDuration(150*time.Minute)
	cases := map[string]struct {
		reason string
		policy eventstore.SnapshotPolicy
		want   []eventstore.Version // The stream gets two events of one byte each every hour, up to version 12.
	}{
		"Never":    {reason: "Without a policy there are no snapshots."},
		"Events":   {reason: "Whenever four were added.", policy: events, want: []eventstore.Version{4, 8, 12}},
		"Bytes":    {reason: "Whenever six bytes were added.", policy: size, want: []eventstore.Version{6, 12}},
		"Duration": {reason: "The first append more than two and a half hours after the first event, or the last snapshot.", policy: age, want: []eventstore.Version{8}},
		"Or":       {reason: "Whichever comes first.", policy: events.Or(age), want: []eventstore.Version{4, 8, 12}},
		"And":      {reason: "When both want one.", policy: events.And(age), want: []eventstore.Version{8}},
		"OrNil":    {reason: "No policy wants nothing.", policy: eventstore.SnapshotPolicy(nil).Or(size), want: []eventstore.Version{6, 12}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &saves{Store: memory.New()}
				counted := accounts
				counted.Snapshot = tc.policy
				for range 6 {
					deposit(t, counted, store, 1, 1)
					time.Sleep(time.Hour)
				}
				if diff := cmp.Diff(tc.want, store.versions); diff != "" {
					t.Errorf("%s\nversions with a snapshot -want, +got:\n%s", tc.reason, diff)
				}
				account, version, err := counted.Load(t.Context(), store, "a")
				if account.Balance != 12 || version != 12 || err != nil {
					t.Errorf("Load: %+v at version %d, %v; want a balance of 12 at version 12", account, version, err)
				}
			})
		})
	}
}

func deposit(t *testing.T, a eventstore.Aggregate[Account], store eventstore.Store, amounts ...int) {
	t.Helper()
	_, err := a.Execute(t.Context(), store, "a", func(Account) (events []eventstore.EventData, _ error) {
		for _, n := range amounts {
			events = append(events, eventstore.EventData{Type: "Deposited", Data: n})
		}
		return events, nil
	})
	if err != nil {
		t.Fatalf("Execute: %v", err)
	}
}

// A snapshot only saves time: whatever is wrong with it, objects are what their events say.
func TestSnapshotIsOptional(t *testing.T) {
	stream := eventstore.StreamID{Type: "account", ID: "a"}
	cases := map[string]struct {
		reason   string
		snapshot eventstore.Snapshot
		refuse   error
		want     int
		wantLog  string
	}{
		"Good":       {reason: "It is used: the event before it is not read.", snapshot: eventstore.Snapshot{Version: 1, Data: []byte(`{"Balance":100}`)}, want: 102},
		"Schema":     {reason: "One of another form is not.", snapshot: eventstore.Snapshot{Version: 1, Data: []byte(`{"Balance":100}`), Schema: "2"}, want: 3},
		"Unreadable": {reason: "One that cannot be read is reported.", snapshot: eventstore.Snapshot{Version: 1, Data: []byte(`{"Balance":"100"}`)}, want: 3, wantLog: "cannot use a snapshot"},
		"Unsaved":    {reason: "The command was carried out, and says so; repeating it would be wrong.", refuse: errors.New("disk full"), want: 3, wantLog: "disk full"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var log strings.Builder
			eager := accounts
			eager.Logger = slog.New(slog.NewTextHandler(&log, nil))
			store := memory.New()
			deposit(t, accounts, store, 1)
			if tc.snapshot.Version > 0 {
				tc.snapshot.Stream = stream
				if err := store.SaveSnapshot(t.Context(), tc.snapshot); err != nil {
					t.Fatal(err)
				}
			}
			if tc.refuse != nil {
				eager.Snapshot = eventstore.EveryEvents(1)
			}
			deposit(t, eager, &saves{Store: store, refuse: tc.refuse}, 2)
			got, _, err := eager.Load(t.Context(), store, "a")
			if got.Balance != tc.want || err != nil {
				t.Errorf("%s\nLoad: %+v, %v; want a balance of %d", tc.reason, got, err, tc.want)
			}
			if !strings.Contains(log.String(), tc.wantLog) || tc.wantLog == "" && log.Len() > 0 {
				t.Errorf("%s\nlog: %q, want %q", tc.reason, log.String(), tc.wantLog)
			}
		})
	}
}

// A store without snapshots says so: that is a mistake in the claim or in the code, which the events would only hide.
func TestSnapshotsUnsupported(t *testing.T) {
	secret := eventstore.Secret{
		"type": []byte("eventstore"), "provider": []byte("memory"), "store": []byte("without"), "partitions": []byte("1"),
		"snapshots": []byte("false"),
	}
	store, err := eventstore.OpenSecret(t.Context(), secret)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if _, _, err := accounts.Load(t.Context(), store, "a"); !errors.Is(err, eventstore.ErrUnsupported) || !strings.Contains(err.Error(), "spec.forProvider.snapshots.enabled") {
		t.Errorf("Load: %v, want an error that says where to enable snapshots", err)
	}
}
