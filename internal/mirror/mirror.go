// Package mirror keeps what one broker holds in memory, for all resources that use the broker through the same
// credentials. Concurrent reads become one batch, and so do concurrent writes. A background refresh compares everything
// with what was known, and tells only those resources that have changed: drift is found within seconds, and costs the
// broker a handful of requests for any number of resources.
//
// A [Pool] makes one [Mirror] for each way to reach a broker.
package mirror

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"maps"
	mathrand "math/rand/v2"
	"slices"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// Options tune a mirror. The zero value has the defaults.
type Options struct {
	Interval time.Duration // Between two background refreshes, give or take a tenth. Default: 10s.
	Linger   time.Duration // How long the first read or write of a batch waits for others. Default: 2ms.
	Timeout  time.Duration // Of one batch. Default: 30s.
	Idle     time.Duration // After which a pool closes a mirror that nobody asked for. Default: 15m.
	Metrics  *Metrics      // Default: none are kept.
}

func (o Options) withDefaults() Options {
	if o.Interval <= 0 {
		o.Interval = 10 * time.Second
	}
	if o.Linger <= 0 {
		o.Linger = 2 * time.Millisecond
	}
	if o.Timeout <= 0 {
		o.Timeout = 30 * time.Second
	}
	if o.Idle <= 0 {
		o.Idle = 15 * time.Minute
	}
	return o
}

// A Mirror is what one broker holds, as it was seen last. It may be used concurrently.
type Mirror struct {
	backend.Backend // For what needs no batches and no memory: capabilities, health, descriptions.

	o      Options
	cancel context.CancelFunc
	done   chan struct{}

	stores        *table[string, plan.ObservedStore, int64]
	subscriptions *table[backend.SubscriptionID, plan.ObservedSubscription, string]

	applyStore         *writer[backend.StoreChange]
	fence, unfence     *writer[string]
	deleteStore        *writer[backend.StoreDeletion]
	applySubscription  *writer[backend.SubscriptionChange]
	deleteSubscription *writer[backend.SubscriptionDeletion]
}

// New returns a mirror of what b administers, and refreshes it until Close.
func New(b backend.Backend, o Options) *Mirror {
	o = o.withDefaults()
	ctx, cancel := context.WithCancel(context.Background())
	m := &Mirror{
		Backend: b, o: o, cancel: cancel, done: make(chan struct{}),
	}
	m.stores = newTable(ctx, o, sameStore, recordsOf, most, func(ctx context.Context, names []string) []backend.Result[plan.ObservedStore] {
		o.Metrics.batch("ReadStores", len(names))
		return b.ReadStores(ctx, names)
	})
	m.subscriptions = newTable(ctx, o, sameSubscription, positionsOf, latest, func(ctx context.Context, ids []backend.SubscriptionID) []backend.Result[plan.ObservedSubscription] {
		o.Metrics.batch("ReadSubscriptions", len(ids))
		return b.ReadSubscriptions(ctx, ids)
	})
	m.applyStore = newWriter(ctx, o, "ApplyStores", b.ApplyStores)
	m.fence = newWriter(ctx, o, "FenceStores", b.FenceStores)
	m.unfence = newWriter(ctx, o, "UnfenceStores", b.UnfenceStores)
	m.deleteStore = newWriter(ctx, o, "DeleteStores", b.DeleteStores)
	m.applySubscription = newWriter(ctx, o, "ApplySubscriptions", b.ApplySubscriptions)
	m.deleteSubscription = newWriter(ctx, o, "DeleteSubscriptions", b.DeleteSubscriptions)
	go m.run(ctx)
	return m
}

// Close ends the refresh and closes the backend. Calls under way fail.
func (m *Mirror) Close() error {
	m.cancel()
	<-m.done
	return m.Backend.Close()
}

// A Watcher is told when something that it read has changed. Several may watch one store: its owner, another resource
// that claims it, and one that only observes.
type Watcher struct {
	ID     string // Tells it from others. The last one given with an ID counts.
	Notify func() // It must not block for long: it holds up the refresh, which is how a full queue pushes back.
}

// Store returns what the broker has of a store: as it was seen at most two intervals ago, and since the last local
// write. From now on w, unless it is nil, is told when that changes, until ForgetStore.
func (m *Mirror) Store(ctx context.Context, name string, w *Watcher) (plan.ObservedStore, error) {
	return m.stores.get(ctx, name, w)
}

// FreshStore reads a store from the broker. What destroys something asks here first.
func (m *Mirror) FreshStore(ctx context.Context, name string) (plan.ObservedStore, error) {
	return m.stores.fresh(ctx, name)
}

// Subscription returns what the broker has of a subscription, in the way of Store.
func (m *Mirror) Subscription(ctx context.Context, id backend.SubscriptionID, w *Watcher) (plan.ObservedSubscription, error) {
	return m.subscriptions.get(ctx, id, w)
}

// FreshSubscription reads a subscription from the broker, in the way of FreshStore.
func (m *Mirror) FreshSubscription(ctx context.Context, id backend.SubscriptionID) (plan.ObservedSubscription, error) {
	return m.subscriptions.fresh(ctx, id)
}

// ApplyStore makes planned changes, in a batch with others. What was known of the store's subscriptions is read anew.
func (m *Mirror) ApplyStore(ctx context.Context, c backend.StoreChange) error {
	defer func() {
		m.subscriptions.forgetAll(func(id backend.SubscriptionID) bool { return id.Store == c.Desired.Name })
	}()
	return write(ctx, m.stores, c.Desired.Name, m.applyStore, c)
}

// ApplySubscription makes planned changes, in a batch with others. After a replay, where the subscription was before is
// not where it would be restored.
func (m *Mirror) ApplySubscription(ctx context.Context, c backend.SubscriptionChange) error {
	if slices.ContainsFunc(c.Changes, func(c plan.Change) bool { return c.Field == plan.FieldReplay }) {
		m.subscriptions.unlearn(c.ID())
	}
	return write(ctx, m.subscriptions, c.ID(), m.applySubscription, c)
}

// Issue returns current if it is a password that the broker takes for the principal, else a new one.
func (m *Mirror) Issue(principal, current string) (string, error) {
	if issuer, ok := m.Backend.(backend.Issuer); ok {
		return issuer.Issue(principal, current)
	}
	if current != "" {
		return current, nil
	}
	b := make([]byte, 24)
	_, _ = rand.Read(b) // Never fails, as documented.
	return hex.EncodeToString(b), nil
}

// FenceStore takes the right to write from a store's principal. See [backend.Backend].
func (m *Mirror) FenceStore(ctx context.Context, name string) error {
	m.stores.forget(name)
	defer m.stores.forget(name)
	return m.fence.write(ctx, name)
}

// UnfenceStore gives the right to write back. See [backend.Backend].
func (m *Mirror) UnfenceStore(ctx context.Context, name string) error {
	m.stores.forget(name)
	defer m.stores.forget(name)
	return m.unfence.write(ctx, name)
}

// DeleteStore deletes a store on behalf of its owner, and forgets it.
func (m *Mirror) DeleteStore(ctx context.Context, name string, owner plan.Owner) error {
	m.stores.forget(name)
	defer m.stores.tell(name)
	defer m.stores.forget(name)
	if err := m.deleteStore.write(ctx, backend.StoreDeletion{Name: name, Owner: owner}); err != nil {
		return err
	}
	m.stores.unlearn(name)
	return nil
}

// DeleteSubscription deletes a subscription on behalf of its owner, and forgets it.
func (m *Mirror) DeleteSubscription(ctx context.Context, id backend.SubscriptionID, owner plan.Owner) error {
	m.subscriptions.forget(id)
	defer m.subscriptions.tell(id)
	defer m.subscriptions.forget(id)
	if err := m.deleteSubscription.write(ctx, backend.SubscriptionDeletion{ID: id, Owner: owner}); err != nil {
		return err
	}
	m.subscriptions.unlearn(id)
	return nil
}

// ForgetStore has w told no more of a store. A store that nobody watches is not mirrored any more.
func (m *Mirror) ForgetStore(name string, w *Watcher) { m.stores.drop(name, w) }

// ForgetSubscription has w told no more of a subscription, in the way of ForgetStore.
func (m *Mirror) ForgetSubscription(id backend.SubscriptionID, w *Watcher) {
	m.subscriptions.drop(id, w)
}

// LastRecords returns how many records each partition of an owner's store held when it was last seen to hold any. It
// outlives their loss, which is what it is for.
func (m *Mirror) LastRecords(name, ownerUID string) map[int]int64 {
	return m.stores.last(name, ownerUID)
}

// LastPositions returns where an owner's subscription was in the store that was created then, by partition, when that was
// last seen.
func (m *Mirror) LastPositions(id backend.SubscriptionID, ownerUID, storeCreated string) map[int]string {
	return m.subscriptions.last(id, ownerUID+" "+storeCreated)
}

// AcceptLoss forgets the records that a store was known to hold, because a person has said that they are gone.
func (m *Mirror) AcceptLoss(name string) { m.stores.unlearn(name) }

// recordsOf is what is to be remembered of a store: partitions that hold records.
func recordsOf(o plan.ObservedStore) memory[int64] {
	m := memory[int64]{owner: o.Owner.UID, parts: map[int]int64{}}
	for _, l := range o.Logs {
		if l.Records > 0 {
			m.parts[l.Partition] = l.Records
		}
	}
	return m
}

// most keeps the number of records that a partition has ever been seen to hold: fewer are a loss, if it forgets nothing.
func most(known, seen int64) int64 { return max(known, seen) }

// latest keeps the position that was seen last.
func latest(_, seen string) string { return seen }

// positionsOf is what is to be remembered of a subscription: where it is in each partition.
func positionsOf(o plan.ObservedSubscription) memory[string] {
	if o.Owner.UID == "" || o.StoreGone {
		return memory[string]{}
	}
	m := memory[string]{owner: o.Owner.UID + " " + o.StoreCreated, parts: map[int]string{}}
	for _, g := range o.Groups {
		m.parts[g.Partition] = g.Position
	}
	return m
}

func write[K comparable, V, M, C any](ctx context.Context, t *table[K, V, M], k K, w *writer[C], c C) error {
	t.forget(k)
	defer t.tell(k)
	defer t.forget(k)
	return w.write(ctx, c)
}

// run refreshes everything, every interval while the broker answers, and every second until it answers again, so that
// its return is noticed soon. A broker that refuses the credentials is not asked more often for it.
func (m *Mirror) run(ctx context.Context) {
	defer close(m.done)
	pause := m.o.Interval
	for {
		jitter := time.Duration((mathrand.Float64() - 0.5) / 5 * float64(pause)) //nolint:gosec // Not a secret.
		select {
		case <-time.After(pause + jitter):
		case <-ctx.Done():
			return
		}
		pause = m.o.Interval
		if err := m.refresh(ctx); err != nil && !errors.Is(err, backend.ErrUnauthorized) {
			pause = min(m.o.Interval, time.Second)
		}
	}
}

// afterSilence is how long subscriptions may take to be read, if the broker has not answered for any store.
const afterSilence = 200 * time.Millisecond

// refresh reads everything once and notifies whom it concerns. Its error says why the broker did not answer at all.
func (m *Mirror) refresh(ctx context.Context) error {
	m.stores.expire(time.Now().Add(-m.o.Idle))
	m.subscriptions.expire(time.Now().Add(-m.o.Idle))
	stores := m.stores.keys()
	results, changed := within(ctx, m.o.Timeout, m.stores.load, stores)
	err := silence(results)
	timeout := m.o.Timeout // Of their own: one store that hangs is no reason for subscriptions not to be read.
	if err != nil {        // The broker has had its time: what became of stores is told while it is news.
		timeout = afterSilence
	}
	subscriptions, more := within(ctx, timeout, m.subscriptions.load, m.subscriptions.keys())
	if err = cmp.Or(err, silence(subscriptions)); err != nil {
		m.stores.silence()
		m.subscriptions.silence()
	}
	m.o.Metrics.refreshed(len(changed) + len(more))
	tellAll(append(changed, more...))
	if err != nil {
		return err
	}
	if b, ok := m.Backend.(backend.Maintainer); ok {
		// What fails now is tried again at the next refresh; what keeps failing is in the backend's health.
		ctx, cancel := context.WithTimeout(ctx, m.o.Timeout)
		defer cancel()
		_ = b.Maintain(ctx, stores)
	}
	return nil
}

// within loads a table's keys for no longer than timeout.
func within[K comparable, V any](ctx context.Context, timeout time.Duration, load func(context.Context, []K) ([]backend.Result[V], []func()), keys []K) ([]backend.Result[V], []func()) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return load(ctx, keys)
}

// silence returns an error if there are only errors.
func silence[V any](results []backend.Result[V]) (err error) {
	for _, r := range results {
		if r.Err == nil {
			return nil
		}
		err = r.Err
	}
	return err
}

// sameStore reports whether nothing has changed but counts. The first record counts as a change: from then on the store
// must not be lost, and status has to know.
func sameStore(a, b plan.ObservedStore) bool {
	if (a.Records() == 0) != (b.Records() == 0) || len(a.Logs) != len(b.Logs) || len(a.Hazards) != len(b.Hazards) {
		return false
	}
	for i := range a.Logs {
		if a.Logs[i].Partition != b.Logs[i].Partition || (a.Logs[i].Records == 0) != (b.Logs[i].Records == 0) {
			return false
		}
	}
	return a.StoreSettings == b.StoreSettings && a.Grown == b.Grown && maps.Equal(a.Settings, b.Settings) && a.Unavailable == b.Unavailable && a.Marked == b.Marked && a.Layout == b.Layout && a.Kind == b.Kind &&
		a.Principal == b.Principal && a.Persistence == b.Persistence && a.Takeovers == b.Takeovers && (a.Expired == 0) == (b.Expired == 0) && (a.DeadLetters == 0) == (b.DeadLetters == 0)
}

// sameSubscription reports whether nothing has changed but counts and positions.
func sameSubscription(a, b plan.ObservedSubscription) bool {
	if len(a.Groups) != len(b.Groups) {
		return false
	}
	for i := range a.Groups {
		if a.Groups[i].Partition != b.Groups[i].Partition {
			return false
		}
	}
	return a.SubscriptionSettings == b.SubscriptionSettings && maps.Equal(a.Settings, b.Settings) && a.Unavailable == b.Unavailable && a.Marked == b.Marked && a.Created == b.Created &&
		a.StoreGone == b.StoreGone && a.StoreCreated == b.StoreCreated && a.Partitions == b.Partitions &&
		a.LastReplay == b.LastReplay && (len(a.Consumers) == 0) == (len(b.Consumers) == 0) && a.Principal == b.Principal
}
