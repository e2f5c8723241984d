// Package storetest checks that a store does what package eventstore promises. A driver proves itself in three lines:
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(*testing.T) eventstore.Store { return memory.New() })
//	}
//
// What a backend cannot do is named with [Lacks], and reported as a skipped subtest with the reason. A driver of a broker
// says with [WithProcesses] how other processes open its stores: then they append and read while connections are cut, and
// package history checks what they saw. What is drawn by chance is drawn again with
// -storetest.seed; -storetest.operations says how many calls are made while things go wrong.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/storetest/history"
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
	// Redriving: subscriptions implement [eventstore.Redriver].
	Redriving Feature = "Redriving"
	// Attempts: failed deliveries of an event are counted from one consumer to the next.
	Attempts Feature = "Attempts"
	// Snapshots: SaveSnapshot and LoadSnapshot.
	Snapshots Feature = "Snapshots"
	// Groups: a store has several subscriptions. Lacking unless [WithSubscription] is given.
	Groups Feature = "Groups"
	// Processes: several processes use a store at a time, while things go wrong. Lacking unless [WithProcesses] is given.
	Processes Feature = "Processes"
	// Limit: appends over a size are refused. Lacking unless [WithMaxEventBytes] is given.
	Limit Feature = "Limit"
	// Fencing: what a consumer holds goes to another one only when it handles nothing of that any more, even if its connection is
	// lost. Without it, two may handle events of one stream for a while.
	Fencing Feature = "Fencing"
	// Streaming: there are stores that forget. Lacking unless [WithStreaming] is given.
	Streaming Feature = "Streaming"
)

// An Option tells Run more about the stores under test.
type Option func(*suite)

// Lacks says that the backend lacks a feature, and why. Its subtests are skipped with that reason.
func Lacks(f Feature, reason string) Option { return func(s *suite) { s.lacks[f] = reason } }

// WithSubscription says how to open a new subscription of a store, beginning with its first event. Default: the store
// itself, which suits a test that opens at most one.
func WithSubscription(open func(t *testing.T, store eventstore.Store, name string) eventstore.Store) Option {
	return func(s *suite) {
		s.openSubscribing = open
		delete(s.lacks, Groups)
	}
}

// WithReopen says how to open a store a second time, as another process would. Default: the store itself.
func WithReopen(open func(t *testing.T, store eventstore.Store) eventstore.Store) Option {
	return func(s *suite) { s.openAgain = open }
}

// WithMaxEventBytes says which limit the stores were opened with.
func WithMaxEventBytes(n int) Option {
	return func(s *suite) {
		s.maxEventBytes = n
		delete(s.lacks, Limit)
	}
}

// WithStreaming says how to open a fresh, empty streaming store.
func WithStreaming(open func(t *testing.T) eventstore.Store) Option {
	return func(s *suite) {
		s.openStreaming = open
		delete(s.lacks, Streaming)
	}
}

type suite struct {
	open            func(*testing.T) eventstore.Store
	openStreaming   func(*testing.T) eventstore.Store
	openSubscribing func(t *testing.T, store eventstore.Store, name string) eventstore.Store
	openAgain       func(t *testing.T, store eventstore.Store) eventstore.Store
	maxEventBytes   int
	secret          func(eventstore.Store) eventstore.Secret
	faults          []history.Fault
	lacks           map[Feature]string
	deadline        time.Duration
	seed            uint64 // 0: another each time.

	t *testing.T // The subtest, which all that is opened ends with. What a check finds is told to its own [testing.TB].
}

func newSuite(open func(*testing.T) eventstore.Store, opts ...Option) *suite {
	s := &suite{
		open:            open,
		openSubscribing: func(_ *testing.T, store eventstore.Store, _ string) eventstore.Store { return store },
		openAgain:       func(_ *testing.T, store eventstore.Store) eventstore.Store { return store },
		deadline:        deadline,
		lacks: map[Feature]string{
			Limit:     "storetest.WithMaxEventBytes is not given",
			Groups:    "storetest.WithSubscription is not given",
			Processes: "storetest.WithProcesses is not given",
			Streaming: "storetest.WithStreaming is not given",
		},
	}
	for _, o := range opts {
		o(s)
	}
	return s
}

// subscription opens a new subscription of the store.
func (s *suite) subscription(store eventstore.Store, name string) eventstore.Store {
	return s.openSubscribing(s.t, store, name)
}

// reopen opens the store as another process would.
func (s *suite) reopen(store eventstore.Store) eventstore.Store { return s.openAgain(s.t, store) }

// A check is one subtest. It tells tb what it finds.
type check struct {
	name  string
	needs []Feature
	run   func(s *suite, ctx context.Context, tb testing.TB, store eventstore.Store)
}

var checks = []check{
	{"Append", nil, (*suite).testAppend},
	{"AppendAtomic", nil, (*suite).testAppendAtomic},
	{"AppendConflict", nil, (*suite).testAppendConflict},
	{"AppendTwice", nil, (*suite).testAppendTwice},
	{"AppendAny", nil, (*suite).testAppendAny},
	{"AppendNothing", nil, (*suite).testAppendNothing},
	{"AppendTooLarge", []Feature{Limit}, (*suite).testAppendTooLarge},
	{"AppendInvalid", nil, (*suite).testAppendInvalid},
	{"AppendConcurrent", nil, (*suite).testAppendConcurrent},
	{"Linearizable", nil, (*suite).testLinearizable},
	{"Processes", []Feature{Processes}, (*suite).testProcesses},
	{"EventFields", nil, (*suite).testEventFields},
	{"ReadUnknown", nil, (*suite).testReadUnknown},
	{"ReadAfter", nil, (*suite).testReadAfter},
	{"ReadMany", nil, (*suite).testReadMany},
	{"ReadStopsEarly", nil, (*suite).testReadStopsEarly},
	{"Cancelled", nil, (*suite).testCancelled},
	{"ReplayOrder", nil, (*suite).testReplayOrder},
	{"ReplayAfter", nil, (*suite).testReplayAfter},
	{"ReplayTime", nil, (*suite).testReplayTime},
	{"ReplayLive", nil, (*suite).testReplayLive},
	{"ReplayLiveBusy", nil, (*suite).testReplayLiveBusy},
	{"Streaming", []Feature{Streaming}, (*suite).testStreaming},
	{"Snapshot", []Feature{Snapshots}, (*suite).testSnapshot},
	{"Aggregate", []Feature{Snapshots}, (*suite).testAggregate},
	{"Projection", nil, (*suite).testProjection},
	{"Random", nil, (*suite).testRandom},
	{"SubscriptionReads", []Feature{Subscriptions, Groups}, (*suite).testSubscriptionReads},
	{"SubscribeOrder", []Feature{Subscriptions}, (*suite).testSubscribeOrder},
	{"SubscribeRetry", []Feature{Subscriptions}, (*suite).testSubscribeRetry},
	{"SubscribeDeadLetter", []Feature{Subscriptions, DeadLetters}, (*suite).testSubscribeDeadLetter},
	{"Redrive", []Feature{Subscriptions, DeadLetters, Redriving}, (*suite).testRedrive},
	{"SubscribeBlocked", []Feature{Subscriptions}, (*suite).testSubscribeBlocked},
	{"SubscribeAttempts", []Feature{Subscriptions, DeadLetters, Attempts}, (*suite).testSubscribeAttempts},
	{"SubscribeResumes", []Feature{Subscriptions}, (*suite).testSubscribeResumes},
	{"SubscribeShared", []Feature{Subscriptions}, (*suite).testSubscribeShared},
	{"SubscribeGraceful", []Feature{Subscriptions}, (*suite).testSubscribeGraceful},
	{"SubscribeCut", []Feature{Subscriptions}, (*suite).testSubscribeCut},
	{"SubscribeGroups", []Feature{Subscriptions, Groups}, (*suite).testSubscribeGroups},
	{"SubscribeCrashes", []Feature{Subscriptions, Groups, Processes}, (*suite).testSubscribeCrashes},
}

// Run checks a driver. open returns a fresh, empty sourcing store for each subtest; Run closes it.
func Run(t *testing.T, open func(*testing.T) eventstore.Store, opts ...Option) {
	t.Helper()
	s := newSuite(open, opts...)
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			for _, f := range c.needs {
				if reason, ok := s.lacks[f]; ok {
					t.Skipf("the backend lacks %s: %s", f, reason)
				}
			}
			s.check(t, t, c)
		})
	}
}

// check runs c in the subtest t, and tells tb what it finds.
func (s *suite) check(t *testing.T, tb testing.TB, c check) {
	t.Helper()
	limit := s.deadline
	if slices.Contains(c.needs, Processes) {
		limit = faultyDeadline()
	}
	ctx, cancel := context.WithTimeoutCause(t.Context(), limit, fmt.Errorf("subtest took longer than %s", limit))
	t.Cleanup(cancel)
	store := s.open(t)
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	in := *s
	in.t = t
	c.run(&in, ctx, tb, store)
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

func appendTo(ctx context.Context, t testing.TB, s eventstore.Appender, id eventstore.StreamID, expected eventstore.Version, events ...eventstore.EventData) eventstore.Version {
	t.Helper()
	v, err := s.Append(ctx, id, expected, events...)
	if err != nil {
		t.Fatalf("Append(%s, %d): %v", id, expected, err)
	}
	return v
}

func collect(t testing.TB, events iter.Seq2[eventstore.Event, error]) []eventstore.Event {
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

func wantIDs(t testing.TB, what string, got []eventstore.Event, want ...string) {
	t.Helper()
	if want == nil {
		want = []string{}
	}
	if diff := cmp.Diff(want, ids(got)); diff != "" {
		t.Errorf("%s: ids -want, +got:\n%s", what, diff)
	}
}

func wantIs(t testing.TB, what string, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Errorf("%s: %v, want an error that is %q", what, err, target)
	}
}
