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
	// Open connects to the store, and checks that the broker has what the binding says. For each connection, now and later,
	// it asks [Binding.Current] for the Secret. It may be called concurrently.
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
//
// A Secret that changes is picked up without a restart: each new connection takes user, password or token, certificates and
// endpoints from the folder. Connections that there are go on until the broker ends them. While a broker knows the new
// password only and the folder has yet the old one, which the kubelet can take two minutes to change, calls that need a new
// connection wait or fail, and subscriptions wait. All else is read once, when the store is opened, such as how often a delivery is
// tried; if a change needs a restart, errors say so. A folder that is mounted by a subPath never changes.
func Open(ctx context.Context, folder fs.FS, opts ...OpenOption) (Store, error) {
	s, err := readFolder(folder)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("cannot open event store: there is no such folder: is the connection Secret mounted there? %w", err)
	case err != nil:
		return nil, fmt.Errorf("cannot open event store: %w", err)
	case len(s) == 0:
		return nil, errors.New("cannot open event store: the folder is empty: is the connection Secret mounted there, and published yet?")
	}
	return open(ctx, s, folder, opts)
}

// OpenSecret opens the store of a connection Secret, given as its data. It stays with that: to have changes picked up, use
// [Open].
func OpenSecret(ctx context.Context, s Secret, opts ...OpenOption) (Store, error) {
	return open(ctx, s, nil, opts)
}

// An OpenOption changes how a store is opened.
type OpenOption func(*Binding)

// WithIndex keeps the index of the store's streams in a folder, so that a process that starts again reads on where the last one
// ended, instead of reading the partitions that it uses from their beginning. It is for Kafka and Pulsar, which need an index; for
// others it changes nothing. The folder is made if it is not there; each process needs one of its own, on a disk that outlives it.
// What is in it may be lost or deleted at any time while the store is closed: then the partitions are read again. An index that
// does not fit the log is not used. Default: the index is in memory alone.
func WithIndex(folder string) OpenOption { return func(b *Binding) { b.Index = folder } }

func open(ctx context.Context, s Secret, folder fs.FS, opts []OpenOption) (Store, error) {
	b, err := parseBinding(s)
	if err != nil {
		return nil, fmt.Errorf("cannot open event store: %w", err)
	}
	b.folder = folder
	for _, o := range opts {
		o(&b)
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
