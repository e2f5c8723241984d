package eventstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
)

// A Driver opens the stores of one provider: "kafka", "pulsar", "redis" or "memory". Applications do not call it.
type Driver interface {
	// Open connects to the store, and checks that the broker has what the binding says. It may be called concurrently.
	Open(ctx context.Context, b Binding) (Store, error)
}

var (
	driversMu sync.RWMutex
	drivers   = map[string]Driver{}
)

// Register makes a driver known under the name that Secrets have as their provider. Drivers call it when they are
// imported. It panics if the name is taken.
func Register(provider string, d Driver) {
	driversMu.Lock()
	defer driversMu.Unlock()
	if _, ok := drivers[provider]; ok {
		panic("eventstore: Register called twice for provider " + provider)
	}
	drivers[provider] = d
}

// Drivers returns the sorted names of the registered drivers.
func Drivers() []string {
	driversMu.RLock()
	defer driversMu.RUnlock()
	return slices.Sorted(maps.Keys(drivers))
}

// Open opens the store whose connection Secret is mounted as a folder, one file for each key:
//
//	store, err := eventstore.Open(ctx, os.DirFS("/bindings/orders"))
//
// The Secret of an EventStore appends, reads and replays; the Secret of a Subscription reads, replays and subscribes.
func Open(ctx context.Context, folder fs.FS) (Store, error) {
	entries, err := fs.ReadDir(folder, ".")
	if err != nil {
		return nil, fmt.Errorf("cannot open event store: %w", err)
	}
	s := Secret{}
	for _, e := range entries {
		if e.IsDir() || strings.HasPrefix(e.Name(), ".") { // The kubelet keeps the files in ..data, and links to them.
			continue
		}
		b, err := fs.ReadFile(folder, e.Name())
		if err != nil {
			return nil, fmt.Errorf("cannot open event store: %w", err)
		}
		s[e.Name()] = b
	}
	return OpenSecret(ctx, s)
}

// OpenSecret opens the store of a connection Secret, given as its data.
func OpenSecret(ctx context.Context, s Secret) (Store, error) {
	b, err := parseBinding(s)
	if err != nil {
		return nil, fmt.Errorf("cannot open event store: %w", err)
	}
	driversMu.RLock()
	d, ok := drivers[b.Provider]
	driversMu.RUnlock()
	if !ok {
		return nil, fmt.Errorf("cannot open store %q: %w", b.Store, unknownDriver(b.Provider))
	}
	return d.Open(ctx, b)
}

func unknownDriver(provider string) error {
	switch provider {
	case "kafka", "memory", "pulsar", "redis":
		return fmt.Errorf("no driver for provider %q: import _ %q", provider,
			"github.com/crossplane-contrib/provider-eventstore/eventstore/"+provider)
	}
	known := Drivers()
	if len(known) == 0 {
		return errors.New("no driver is imported")
	}
	return fmt.Errorf("no driver for provider %q, only for %s", provider, strings.Join(known, ", "))
}
