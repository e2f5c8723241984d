package storetest

import (
	"context"
	"flag"
	"os"
	"testing"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/storetest/history"
)

var operationsFlag = flag.Int("storetest.operations", 3000, "how many operations storetest checks while things go wrong")

// Main is the TestMain of a driver that is tested from several processes, see [WithProcesses]:
//
//	func TestMain(m *testing.M) { storetest.Main(m) }
func Main(m *testing.M) {
	history.Work()
	os.Exit(m.Run())
}

// WithProcesses says by which Secret other processes open a store, while the faults are injected. The Secret may name
// another way to the broker, through what injects them. That a process is killed is always among the faults. TestMain
// must call [Main].
func WithProcesses(secret func(store eventstore.Store) eventstore.Secret, faults ...history.Fault) Option {
	return func(s *suite) {
		s.secret, s.faults = secret, faults
		delete(s.lacks, Processes)
	}
}

// faultyDeadline bounds a subtest in which brokers and processes go away and come back.
func faultyDeadline() time.Duration {
	return 5*time.Minute + time.Duration(*operationsFlag)*20*time.Millisecond
}

// testProcesses has processes append and read while things go wrong: every stream is linearizable.
func (s *suite) testProcesses(ctx context.Context, t testing.TB, store eventstore.Store) {
	seed := s.newSeed()
	result, err := history.Run(ctx, history.Options{
		Secret: s.secret(store), Seed: seed, Operations: *operationsFlag, Faults: s.faults,
		Progress: func(n int) { t.Logf("%d operations", n) },
	})
	t.Logf("seed %d: %s", seed, result)
	if err != nil {
		t.Errorf("to repeat it: -storetest.seed=%d\n%v", seed, err)
	}
}

// testSubscribeCrashes has processes consume a subscription, and kills them: every event is handled, and each stream in order.
func (s *suite) testSubscribeCrashes(ctx context.Context, t testing.TB, store eventstore.Store) {
	seed := s.newSeed()
	reason, overlap := s.lacks[Fencing]
	if overlap {
		t.Logf("without %s, which the backend lacks: %s", Fencing, reason)
	}
	result, err := history.Consume(ctx, history.ConsumeOptions{
		Store: s.secret(store), Subscription: s.secret(s.subscription(store, "consumers")), Seed: seed, Faults: s.faults,
		Events: *operationsFlag / 5, Kills: 3 + *operationsFlag/3000, Overlap: overlap,
	})
	t.Logf("seed %d: %s", seed, result)
	if err != nil {
		t.Errorf("to repeat it: -storetest.seed=%d\n%v", seed, err)
	}
}
