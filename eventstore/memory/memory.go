// Package memory keeps an event store in memory, for tests. It is complete: whatever passes on it passes on a broker,
// save the broker's failures. Nothing is kept when the process ends.
//
//	store := memory.New()
//
// Importing it also registers the driver of provider "memory": Secrets with the same store name then open the same store,
// within one process.
package memory

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/guard"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/lifetime"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/record"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

func init() { eventstore.Register("memory", driver{}) }

// defaultSubscription is the one that a store made by [New] subscribes as.
const defaultSubscription = "default"

// Store is an event store in memory. Its zero value is not usable.
type Store struct {
	db      *database
	binding eventstore.Binding
	full    bool // Made by New: may append and subscribe alike.

	open *lifetime.Lifetime // Until Close.
}

var (
	_ eventstore.Store            = (*Store)(nil)
	_ eventstore.DeadLetterReader = (*Store)(nil)
)

// An Option changes what [New] makes.
type Option func(*eventstore.Binding)

// WithPartitions says how many partitions the store has. Default: 6.
func WithPartitions(n int) Option { return func(b *eventstore.Binding) { b.Partitions = n } }

// WithMaxEventBytes limits the size of an append. Default: no limit.
func WithMaxEventBytes(n int) Option { return func(b *eventstore.Binding) { b.MaxEventBytes = n } }

// WithStreaming makes a streaming store: one without versions.
func WithStreaming() Option { return func(b *eventstore.Binding) { b.Streaming = true } }

// WithDelivery says how its subscriptions deliver. Default: [eventstore.DefaultDelivery].
func WithDelivery(d eventstore.Delivery) Option {
	return func(b *eventstore.Binding) { b.Delivery = d }
}

// New returns an empty store. Unlike a store that was opened by its Secret, it subscribes too, as subscription "default";
// [Store.Subscription] makes others.
func New(opts ...Option) *Store {
	b := eventstore.Binding{
		Provider: "memory", Store: "memory", Subscription: defaultSubscription, Layout: layout.Version,
		Partitions: layout.DefaultPartitions, Snapshots: true, Delivery: eventstore.DefaultDelivery(),
	}
	for _, o := range opts {
		o(&b)
	}
	return newStore(newDatabase(b.Partitions), b, true)
}

func newStore(db *database, b eventstore.Binding, full bool) *Store {
	return &Store{db: db, binding: b, full: full, open: lifetime.New()}
}

// Subscription returns the same store, opened as a subscription of the given name. It begins with the first event.
func (s *Store) Subscription(name string, opts ...eventstore.SubscribeOption) (*Store, error) {
	b := s.binding
	b.Subscription = name
	d, err := b.Delivery.With(opts...)
	if err != nil {
		return nil, err
	}
	b.Delivery = d
	return newStore(s.db, b, false), layout.ValidateSubscription(name)
}

// Close ends what runs on s, and waits for its subscriptions.
func (s *Store) Close() error {
	s.open.End()
	s.open.Wait()
	return nil
}

type driver struct{}

var (
	openMu sync.Mutex
	opened = map[string]*database{}
)

// Open implements [eventstore.Driver].
func (driver) Open(_ context.Context, b eventstore.Binding) (eventstore.Store, error) {
	openMu.Lock()
	defer openMu.Unlock()
	db, ok := opened[b.Store]
	if !ok {
		db = newDatabase(b.Partitions)
		opened[b.Store] = db
	}
	return newStore(db, b, false), nil
}

// database is what several stores of one process share. What it holds is never changed once it is there.
type database struct {
	mu         sync.Mutex
	partitions int
	log        []entry // Of all partitions, in the order of appends.
	streams    map[eventstore.StreamID][]int
	snapshots  map[eventstore.StreamID]eventstore.Snapshot
	groups     map[string]*group
	changed    chan struct{} // Closed and replaced when anything changes.
}

// entry is one append.
type entry struct {
	partition int
	events    []eventstore.Event
}

func newDatabase(partitions int) *database {
	return &database{
		partitions: partitions, streams: map[eventstore.StreamID][]int{}, groups: map[string]*group{},
		snapshots: map[eventstore.StreamID]eventstore.Snapshot{}, changed: make(chan struct{}),
	}
}

// notify wakes whoever waits for a change. The caller holds the lock.
func (db *database) notify() {
	close(db.changed)
	db.changed = make(chan struct{})
}

// wait returns when the database is not what it was at changed, or ctx ends.
func wait(ctx context.Context, changed <-chan struct{}) error {
	select {
	case <-changed:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// version is the stream's version. The caller holds the lock.
func (db *database) version(s eventstore.StreamID) eventstore.Version {
	at := db.streams[s]
	if len(at) == 0 {
		return 0
	}
	events := db.log[at[len(at)-1]].events
	return events[len(events)-1].Version
}

// repeated returns the version after the append that began with id, if it was made at expected. The caller holds the lock.
func (db *database) repeated(s eventstore.StreamID, expected eventstore.Version, id string) (eventstore.Version, bool) {
	for n, i := range slices.Backward(db.streams[s]) {
		if expected == eventstore.Any && len(db.streams[s])-n > layout.AnyWindow {
			break
		}
		events := db.log[i].events
		if (expected == eventstore.Any || events[0].Version == expected+1) && events[0].ID == id {
			return events[len(events)-1].Version, true
		}
	}
	return 0, false
}

// Append implements [eventstore.Appender].
func (s *Store) Append(ctx context.Context, stream eventstore.StreamID, expected eventstore.Version, events ...eventstore.EventData) (eventstore.Version, error) {
	return guard.Append(ctx, s.writing(), stream, expected, events, func(fields record.Fields) (eventstore.Version, error) {
		_, done, err := s.open.Begin(ctx)
		if err != nil {
			return 0, err
		}
		defer done()
		var decoded []eventstore.Event // Through the record and back, so that what comes out is what a broker would give.
		if len(fields) > 0 {
			if decoded, err = record.Decode(fields); err != nil {
				return 0, err
			}
		}
		s.db.mu.Lock()
		defer s.db.mu.Unlock()
		version := s.db.version(stream)
		if len(decoded) > 0 {
			if won, ok := s.db.repeated(stream, expected, decoded[0].ID); ok {
				return won, nil
			}
		}
		if expected != eventstore.Any && expected != version {
			return 0, &eventstore.ConcurrencyError{Expected: expected, Actual: version}
		}
		if len(decoded) == 0 {
			return version, nil
		}
		return s.db.add(decoded, version, s.binding.Streaming), nil
	})
}

// writing is the binding by which the store writes: one that was made by [New] may.
func (s *Store) writing() eventstore.Binding {
	b := s.binding
	if s.full {
		b.Subscription = ""
	}
	return b
}

func (db *database) add(events []eventstore.Event, version eventstore.Version, streaming bool) eventstore.Version {
	stream := events[0].Stream
	p := layout.Partition(stream.String(), db.partitions)
	for i := range events {
		events[i].Recorded = time.Now().UTC().Round(0)
		events[i].Position = position(p, len(db.log), i)
		if !streaming {
			version++
			events[i].Version = version
		}
	}
	if !streaming {
		db.streams[stream] = append(db.streams[stream], len(db.log))
	}
	db.log = append(db.log, entry{partition: p, events: events})
	db.notify()
	return version
}
