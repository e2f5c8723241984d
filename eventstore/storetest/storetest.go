// Package storetest checks that a store does what package eventstore promises. A driver proves itself in three lines:
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(*testing.T) eventstore.Store { return memory.New() })
//	}
//
// What a backend cannot do is named with [Lacks], and reported as a skipped subtest with the reason.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

// deadline bounds each subtest, so that a store that hangs fails.
const deadline = 30 * time.Second

// A Feature is something that a backend may lack.
type Feature string

const (
	// Subscriptions: Subscribe. Lacking unless [WithSubscription] is given or stores subscribe as they are.
	Subscriptions Feature = "Subscriptions"
	// DeadLetters: subscriptions implement [eventstore.DeadLetterReader].
	DeadLetters Feature = "DeadLetters"
	// Snapshots: SaveSnapshot and LoadSnapshot.
	Snapshots Feature = "Snapshots"
	// Limit: appends over a size are refused. Lacking unless [WithMaxEventBytes] is given.
	Limit Feature = "Limit"
)

// An Option tells Run more about the stores under test.
type Option func(*suite)

// Lacks says that the backend lacks a feature, and why. Its subtests are skipped with that reason.
func Lacks(f Feature, reason string) Option { return func(s *suite) { s.lacks[f] = reason } }

// WithSubscription says how to open a new subscription of a store, beginning with its first event. Default: the store
// itself, which suits a test that opens at most one.
func WithSubscription(open func(t *testing.T, store eventstore.Store, name string) eventstore.Store) Option {
	return func(s *suite) { s.subscription = open }
}

// WithReopen says how to open a store a second time, as another process would. Default: the store itself.
func WithReopen(open func(t *testing.T, store eventstore.Store) eventstore.Store) Option {
	return func(s *suite) { s.reopen = open }
}

// WithMaxEventBytes says which limit the stores were opened with.
func WithMaxEventBytes(n int) Option {
	return func(s *suite) {
		s.maxEventBytes = n
		delete(s.lacks, Limit)
	}
}

type suite struct {
	open          func(*testing.T) eventstore.Store
	subscription  func(t *testing.T, store eventstore.Store, name string) eventstore.Store
	reopen        func(t *testing.T, store eventstore.Store) eventstore.Store
	maxEventBytes int
	lacks         map[Feature]string
}

// Run checks a driver. open returns a fresh, empty sourcing store for each subtest; Run closes it.
func Run(t *testing.T, open func(*testing.T) eventstore.Store, opts ...Option) {
	t.Helper()
	s := &suite{
		open:         open,
		subscription: func(_ *testing.T, store eventstore.Store, _ string) eventstore.Store { return store },
		reopen:       func(_ *testing.T, store eventstore.Store) eventstore.Store { return store },
		lacks:        map[Feature]string{Limit: "storetest.WithMaxEventBytes is not given"},
	}
	for _, o := range opts {
		o(s)
	}
	for _, test := range []struct {
		name  string
		needs []Feature
		run   func(context.Context, *testing.T, eventstore.Store)
	}{
		{"Append", nil, s.testAppend},
		{"AppendAtomic", nil, s.testAppendAtomic},
		{"AppendConflict", nil, s.testAppendConflict},
		{"AppendTwice", nil, s.testAppendTwice},
		{"AppendAny", nil, s.testAppendAny},
		{"AppendNothing", nil, s.testAppendNothing},
		{"AppendTooLarge", []Feature{Limit}, s.testAppendTooLarge},
		{"AppendInvalid", nil, s.testAppendInvalid},
		{"AppendConcurrent", nil, s.testAppendConcurrent},
		{"Linearizable", nil, s.testLinearizable},
		{"EventFields", nil, s.testEventFields},
		{"ReadUnknown", nil, s.testReadUnknown},
		{"ReadAfter", nil, s.testReadAfter},
		{"ReadMany", nil, s.testReadMany},
		{"ReadStopsEarly", nil, s.testReadStopsEarly},
		{"Cancelled", nil, s.testCancelled},
		{"ReplayOrder", nil, s.testReplayOrder},
		{"ReplayAfter", nil, s.testReplayAfter},
		{"ReplayTime", nil, s.testReplayTime},
		{"ReplayLive", nil, s.testReplayLive},
		{"Snapshot", []Feature{Snapshots}, s.testSnapshot},
		{"Aggregate", []Feature{Snapshots}, s.testAggregate},
		{"SubscribeOrder", []Feature{Subscriptions}, s.testSubscribeOrder},
		{"SubscribeRetry", []Feature{Subscriptions}, s.testSubscribeRetry},
		{"SubscribeDeadLetter", []Feature{Subscriptions, DeadLetters}, s.testSubscribeDeadLetter},
		{"SubscribeResumes", []Feature{Subscriptions}, s.testSubscribeResumes},
		{"SubscribeShared", []Feature{Subscriptions}, s.testSubscribeShared},
		{"SubscribeGraceful", []Feature{Subscriptions}, s.testSubscribeGraceful},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, f := range test.needs {
				if reason, ok := s.lacks[f]; ok {
					t.Skipf("the backend lacks %s: %s", f, reason)
				}
			}
			ctx, cancel := context.WithTimeoutCause(t.Context(), deadline, fmt.Errorf("subtest took longer than %s", deadline))
			t.Cleanup(cancel)
			store := open(t)
			t.Cleanup(func() {
				if err := store.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			})
			test.run(ctx, t, store)
		})
	}
}

var order42 = eventstore.StreamID{Type: "order", ID: "42"}

func order(n int) eventstore.StreamID {
	return eventstore.StreamID{Type: "order", ID: fmt.Sprint(n)}
}

// numbered returns events with ids from "e<first>" on.
func numbered(first, n int) []eventstore.EventData {
	events := make([]eventstore.EventData, n)
	for i := range events {
		events[i] = eventstore.EventData{ID: fmt.Sprintf("e%d", first+i), Type: "Counted", Data: first + i}
	}
	return events
}

func appendTo(ctx context.Context, t *testing.T, s eventstore.Appender, id eventstore.StreamID, expected eventstore.Version, events ...eventstore.EventData) eventstore.Version {
	t.Helper()
	v, err := s.Append(ctx, id, expected, events...)
	if err != nil {
		t.Fatalf("Append(%s, %d): %v", id, expected, err)
	}
	return v
}

func collect(t *testing.T, events iter.Seq2[eventstore.Event, error]) []eventstore.Event {
	t.Helper()
	var out []eventstore.Event
	for e, err := range events {
		if err != nil {
			t.Fatalf("after %d events: %v", len(out), err)
		}
		out = append(out, e)
	}
	return out
}

func ids(events []eventstore.Event) []string {
	out := []string{}
	for _, e := range events {
		out = append(out, e.ID)
	}
	return out
}

func wantIDs(t *testing.T, what string, got []eventstore.Event, want ...string) {
	t.Helper()
	if want == nil {
		want = []string{}
	}
	if diff := cmp.Diff(want, ids(got)); diff != "" {
		t.Errorf("%s: ids -want, +got:\n%s", what, diff)
	}
}

func wantIs(t *testing.T, what string, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Errorf("%s: %v, want an error that is %q", what, err, target)
	}
}
