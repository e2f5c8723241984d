package storetest

import (
	"context"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/memory"
)

// notes are a [testing.TB] that keeps what a check finds, instead of failing the test.
type notes struct {
	testing.TB

	mu    sync.Mutex
	lines []string
}

func (n *notes) Error(args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lines = append(n.lines, strings.TrimSpace(fmt.Sprintln(args...)))
}

func (n *notes) Errorf(format string, args ...any) { n.Error(fmt.Sprintf(format, args...)) }

func (n *notes) Fatal(args ...any) {
	n.Error(args...)
	runtime.Goexit()
}

func (n *notes) Fatalf(format string, args ...any) { n.Fatal(fmt.Sprintf(format, args...)) }

// found runs the check on stores of the suite, and returns what it finds.
func (s *suite) found(t *testing.T, c check) []string {
	t.Helper()
	n := &notes{TB: t}
	done := make(chan struct{})
	go func() { // Fatal ends it.
		defer close(done)
		s.check(t, n, c)
	}()
	<-done
	return n.lines
}

// faulty is a store in memory that does some things in a way of its own.
type faulty struct {
	*memory.Store

	append    func(context.Context, eventstore.StreamID, eventstore.Version, ...eventstore.EventData) (eventstore.Version, error)
	read      func(context.Context, eventstore.StreamID, eventstore.Version) iter.Seq2[eventstore.Event, error]
	replay    func(context.Context, eventstore.Start) iter.Seq2[eventstore.Event, error]
	save      func(context.Context, eventstore.Snapshot) error
	subscribe func(context.Context, eventstore.Handler, ...eventstore.SubscribeOption) error
	redrive   func(context.Context, eventstore.Handler) (int, error)
}

func (f *faulty) Append(ctx context.Context, s eventstore.StreamID, expected eventstore.Version, events ...eventstore.EventData) (eventstore.Version, error) {
	if f.append != nil {
		return f.append(ctx, s, expected, events...)
	}
	return f.Store.Append(ctx, s, expected, events...)
}

func (f *faulty) Read(ctx context.Context, s eventstore.StreamID, after eventstore.Version) iter.Seq2[eventstore.Event, error] {
	if f.read != nil {
		return f.read(ctx, s, after)
	}
	return f.Store.Read(ctx, s, after)
}

func (f *faulty) Replay(ctx context.Context, from eventstore.Start) iter.Seq2[eventstore.Event, error] {
	if f.replay != nil {
		return f.replay(ctx, from)
	}
	return f.Store.Replay(ctx, from)
}

func (f *faulty) SaveSnapshot(ctx context.Context, s eventstore.Snapshot) error {
	if f.save != nil {
		return f.save(ctx, s)
	}
	return f.Store.SaveSnapshot(ctx, s)
}

func (f *faulty) Subscribe(ctx context.Context, h eventstore.Handler, opts ...eventstore.SubscribeOption) error {
	if f.subscribe != nil {
		return f.subscribe(ctx, h, opts...)
	}
	return f.Store.Subscribe(ctx, h, opts...)
}

func (f *faulty) Redrive(ctx context.Context, h eventstore.Handler) (int, error) {
	if f.redrive != nil {
		return f.redrive(ctx, h)
	}
	return f.Store.Redrive(ctx, h)
}

// suiteOf checks stores whose every client was broken by seed.
func suiteOf(seed func(*faulty)) *suite {
	wrap := func(m *memory.Store) eventstore.Store {
		f := &faulty{Store: m}
		seed(f)
		return f
	}
	s := newSuite(
		func(*testing.T) eventstore.Store { return wrap(memory.New(memory.WithMaxEventBytes(10_000))) },
		WithMaxEventBytes(10_000),
		WithStreaming(func(*testing.T) eventstore.Store { return wrap(memory.New(memory.WithStreaming())) }),
		WithReopen(func(_ *testing.T, store eventstore.Store) eventstore.Store { return wrap(store.(*faulty).Store) }),
		WithSubscription(func(t *testing.T, store eventstore.Store, name string) eventstore.Store {
			sub, err := store.(*faulty).Subscription(name)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = sub.Close() })
			return wrap(sub)
		}),
	)
	s.seed = 1                   // Not every seed finds everything.
	s.deadline = 5 * time.Second // What never comes, because the store is broken, is not waited for any longer.
	return s
}

func TestViolationsAreCaught(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		seed   func(*faulty)
		by     []string // Checks that must find it.
	}{
		"IgnoresExpectedVersion": {
			reason: "Two decisions on one state would both stand.",
			seed:   ignoreExpectedVersion, by: []string{"AppendConflict", "AppendAtomic", "AppendConcurrent", "Linearizable", "Random"},
		},
		"AcknowledgesEarly": {
			reason: "What was acknowledged must be seen by all, and not by its writer alone.",
			seed:   acknowledgeEarly, by: []string{"Append", "Linearizable"},
		},
		"LosesAcknowledged": {
			reason: "What was acknowledged before it was stored can be lost.",
			seed:   loseAcknowledged, by: []string{"ReadMany", "AppendConcurrent", "Linearizable", "Random"},
		},
		"LiesAboutConflicts": {
			reason: "Who is told of a conflict decides again, though the first decision stands.",
			seed:   lieAboutConflicts, by: []string{"AppendConcurrent", "Linearizable", "Random"},
		},
		"TearsBatches": {
			reason: "An append is there as a whole or not at all.",
			seed:   tearBatches, by: []string{"AppendConcurrent"},
		},
		"LandsTwice": {
			reason: "An append that is repeated because its answer was lost must not count twice.",
			seed:   landTwice, by: []string{"AppendTwice", "AppendAny", "Random"},
		},
		"ReordersAppends": {
			reason: "Of two appends one after the other the second comes second.",
			seed:   reorderAppends, by: []string{"ReadMany", "Linearizable", "Random"},
		},
		"ReadsStale": {
			reason: "A read sees every append that ended before it began.",
			seed:   readStale, by: []string{"Append", "Linearizable", "Random"},
		},
		"ReplaysAgain": {
			reason: "A replay that is resumed yields nothing twice.",
			seed:   replayAgain, by: []string{"ReplayAfter", "Random"},
		},
		"PassesOver": {
			reason: "A live replay yields what is appended while it begins.",
			seed:   passOver, by: []string{"ReplayLiveBusy"},
		},
		"KeepsOlderSnapshot": {
			reason: "A snapshot is never replaced by an older one.",
			seed:   keepAnySnapshot, by: []string{"Snapshot", "Random"},
		},
		"ReordersRetries": {
			reason: "While an event is retried, its stream waits.",
			seed:   reorderRetries, by: []string{"SubscribeRetry"},
		},
		"SkipsFailed": {
			reason: "An event whose handler failed is delivered again.",
			seed:   skipFailed, by: []string{"SubscribeRetry", "Random"},
		},
		"DeliversSideBySide": {
			reason: "Two events of a stream are never handled at once.",
			seed:   deliverSideBySide, by: []string{"SubscribeOrder", "SubscribeShared"},
		},
		"AcknowledgesBeforeHandling": {
			reason: "What a consumer had in its hands when it died is delivered to the next one.",
			seed:   acknowledgeBeforeHandling, by: []string{"SubscribeCut"},
		},
		"ForgetsPosition": {
			reason: "A consumer goes on where its predecessor stopped.",
			seed:   forgetPosition, by: []string{"SubscribeResumes", "SubscribeGraceful", "Random"},
		},
		"HoldsBackOthers": {
			reason: "A stream that fails holds back no other.",
			seed:   holdBackOthers, by: []string{"SubscribeBlocked"},
		},
		"ForgetsAttempts": {
			reason: "An event that fails with every consumer is given up some time.",
			seed:   forgetAttempts, by: []string{"SubscribeAttempts"},
		},
		"SharesPosition": {
			reason: "What one subscription has handled, the others have not.",
			seed:   sharePosition, by: []string{"SubscribeGroups"},
		},
		"ForgetsThatItForgets": {
			reason: "Nobody can expect a version of what is not kept.",
			seed:   appendAnywhere, by: []string{"Streaming"},
		},
		"WritesForSubscriptions": {
			reason: "A consumer's Secret must not be able to add history.",
			seed:   writeForSubscriptions, by: []string{"SubscriptionReads"},
		},
		"RemovesFailed": {
			reason: "What fails again stays a dead letter.",
			seed:   removeFailed, by: []string{"Redrive"},
		},
		"KeepsHandled": {
			reason: "What was handled after all is a dead letter no more.",
			seed:   keepHandled, by: []string{"Redrive"},
		},
		"DeliversDeadLetters": {
			reason: "What was given up does not come again by itself.",
			seed:   deliverDeadLetters, by: []string{"SubscribeDeadLetter"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := suiteOf(tc.seed)
			for _, c := range checks {
				if !slices.Contains(tc.by, c.name) {
					continue
				}
				t.Run(c.name, func(t *testing.T) {
					found := s.found(t, c)
					if len(found) == 0 {
						t.Errorf("%s\nThe check finds nothing wrong.", tc.reason)
					}
					t.Log(strings.Join(found, "\n"))
				})
			}
		})
	}
}

// A control: what finds the violations finds nothing in a store without one.
func TestNothingIsCaught(t *testing.T) {
	s := suiteOf(func(*faulty) {})
	s.deadline = deadline
	for _, c := range checks {
		if slices.Contains(c.needs, Processes) {
			continue // There is one process only that has a store in its memory.
		}
		t.Run(c.name, func(t *testing.T) {
			if found := s.found(t, c); len(found) > 0 {
				t.Errorf("found in a store that is right: %s", strings.Join(found, "\n"))
			}
		})
	}
}
