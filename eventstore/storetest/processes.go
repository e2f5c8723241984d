package storetest

import (
	"context"
	"os"
	"testing"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/storetest/history"
)

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

// testProcesses has processes append and read while things go wrong: every stream is linearizable.
func (s *suite) testProcesses(ctx context.Context, t testing.TB, store eventstore.Store) {
	seed := newSeed()
	result, err := history.Run(ctx, history.Options{Secret: s.secret(store), Seed: seed, Operations: 3000, Faults: s.faults})
	t.Logf("seed %d: %s", seed, result)
	if err != nil {
		t.Errorf("to repeat it: -storetest.seed=%d\n%v", seed, err)
	}
}
