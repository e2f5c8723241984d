package pulsar

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// ReadSubscriptions observes subscriptions. What those of one store have in common is read once.
func (b *Backend) ReadSubscriptions(ctx context.Context, ids []backend.SubscriptionID) []backend.Result[plan.ObservedSubscription] {
	results := make([]backend.Result[plan.ObservedSubscription], len(ids))
	byStore, stores := map[string][]int{}, []string{}
	for i, id := range ids {
		if _, ok := byStore[id.Store]; !ok {
			stores = append(stores, id.Store)
		}
		byStore[id.Store] = append(byStore[id.Store], i)
	}
	parallel(len(stores), func(s int) {
		r, err := b.readShared(ctx, stores[s])
		of := byStore[stores[s]]
		parallel(len(of), func(k int) {
			i := of[k]
			o := plan.ObservedSubscription{StoreGone: true}
			subErr := err
			if err == nil {
				o, subErr = b.observeSubscription(ctx, ids[i], r)
			}
			if subErr != nil {
				subErr = fmt.Errorf("cannot read subscription %q: %w", ids[i], b.explain(subErr))
			}
			results[i] = backend.Result[plan.ObservedSubscription]{Value: o, Err: subErr}
		})
	})
	return results
}

// valid reports whether a subscription of that name can exist.
func valid(id backend.SubscriptionID) bool {
	return layout.ValidateStore(id.Store) == nil && layout.ValidateSubscription(id.Name) == nil
}

// A sharedReading is what subscriptions of one store have in common.
type sharedReading struct {
	storeReading

	marker marker[storeSettings]
}

func (b *Backend) readShared(ctx context.Context, store string) (r sharedReading, err error) {
	const kind = "ReadSubscriptions"
	if layout.ValidateStore(store) != nil {
		return r, nil //nolint:nilerr // Nothing exists under a name that none can have.
	}
	err = readAll(
		func() (err error) { r.namespace, err = b.readNamespace(ctx, kind, store); return err },
		func() (err error) { r.topics, err = b.readTopics(ctx, kind, store); return err },
		func() (err error) { r.topicReading, err = b.readEvents(ctx, kind, store, false); return err },
	)
	if err != nil || r.namespace == nil {
		return r, err
	}
	if r.marker, err = decodeStore(r.namespace.Properties); err != nil {
		return r, fmt.Errorf("its store %q: %w", store, err)
	}
	return r, nil
}

func (b *Backend) observeSubscription(ctx context.Context, id backend.SubscriptionID, r sharedReading) (plan.ObservedSubscription, error) {
	o := plan.ObservedSubscription{StoreGone: true}
	if r.namespace == nil {
		return o, nil
	}
	// A store that is being deleted is gone, though it is still there: what is missing goes with it, and is not to be made again.
	o.StoreGone, o.StoreHasLogs = !r.marker.marked() || r.marker.claim.Deleting, !r.marker.marked() && len(r.logs) > 0
	o.StoreCreated, o.Partitions = r.marker.claim.Created, r.marker.claim.Partitions
	if !valid(id) {
		return o, nil
	}
	m, err := decodeSubscription(r.namespace.Properties, id.Name)
	if err != nil {
		return o, err
	}
	if o.StoreGone {
		o.Partitions = m.claim.Partitions
	}
	if m.marked() {
		o.Marked, o.Owner, o.Takeovers = true, m.claim.owner(), m.claim.Takeovers
		o.Created, o.LastReplay = m.settings.Positioned, m.settings.Replay
		want := subscriptionPermissions(r.topics, o.Partitions, id.Name)
		o.Principal = r.namespace.observePrincipal(m.settings.Principal, want, subscriptionRights, b.fullName(id.Store, ""))
		r.namespace.observeRestriction(m.settings.Principal, id.Name, &o.Principal)
	}
	o.Settings = plan.Settings{}
	if len(r.namespace.Auth.Subscriptions[id.Name]) > 0 {
		o.Settings[settingRestricted] = present
	}
	if err := b.observeDeadLetters(ctx, id, r, m, &o); err != nil {
		return o, err
	}
	return o, b.observeGroups(ctx, id, r, m, &o)
}

// observeRestriction says whether others than the principal may use the subscription. Beside one that is provided they may:
// its list is somebody else's, too.
func (n *namespace) observeRestriction(note *principalNote, subscription string, p *plan.Principal) {
	roles := n.Auth.Subscriptions[subscription]
	switch {
	case p.Name == "":
	case note.provided() && !slices.Contains(roles, p.Name):
		p.Rights = "changed: it may not use the subscription"
	case !note.provided() && !slices.Equal(roles, []string{p.Name}):
		p.Rights = "changed: others may use the subscription"
	}
}

// observeDeadLetters counts them, and reads how long they are kept.
func (b *Backend) observeDeadLetters(ctx context.Context, id backend.SubscriptionID, r sharedReading, m marker[subscriptionSettings], o *plan.ObservedSubscription) error {
	const kind = "ReadSubscriptions"
	asked := time.Duration(m.settings.DeadLetterRetention)
	local := layout.PulsarDeadLetters(id.Name)
	if !r.topics[local] {
		if m.marked() {
			o.DeadLetterRetention = asked // It gets that with its topic.
		}
		return nil
	}
	var own *retention
	var stats ledgerStats
	err := readAll(
		func() (err error) { stats, _, err = b.readLedger(ctx, kind, id.Store, local); return err },
		func() (err error) { own, err = b.topicRetention(ctx, kind, id.Store, local); return err },
	)
	if err != nil {
		return err
	}
	o.DeadLetters = stats.Entries
	o.Settings[settingDeadLetters] = present
	if !m.marked() {
		return nil
	}
	if own == nil {
		own = r.namespace.Retention
	}
	o.DeadLetterRetention = own.observe(plan.Retention{Duration: asked}, 1).Duration
	return nil
}

// topicRetention returns the retention that a topic has for itself; nil if it has that of the namespace.
func (b *Backend) topicRetention(ctx context.Context, kind, store, local string) (*retention, error) {
	var r *retention
	err := b.get(ctx, kind, b.topic(store, local)+"/retention", &r)
	return r, unlessNoPolicies(err)
}

// observeGroups adds where the subscription is. A position that was being set when somebody crashed is none: Pulsar creates a
// subscription at the end of the log, and moves it afterwards.
func (b *Backend) observeGroups(ctx context.Context, id backend.SubscriptionID, r sharedReading, m marker[subscriptionSettings], o *plan.ObservedSubscription) error {
	for p := range o.Partitions {
		log, answered := r.logs[p]
		if !answered {
			if r.topics[layout.PulsarPartition(layout.PulsarEvents, p)] {
				o.Unavailable = fmt.Sprintf("partition %d of its store has no broker", p)
			}
			continue
		}
		_, ok := log.Cursors[id.Name]
		for _, consumer := range log.Subscriptions[id.Name].Consumers {
			o.Consumers = append(o.Consumers, consumer.Name)
		}
		if !ok || m.marked() && m.settings.unplaced(p) {
			continue
		}
		g, err := b.observeGroup(ctx, id, r.marker.settings.Kind, p, log)
		if err != nil {
			return err
		}
		o.Groups = append(o.Groups, g)
	}
	slices.Sort(o.Consumers)
	o.Consumers = slices.Compact(o.Consumers)
	return nil
}

// unplaced reports whether the position in a partition is one that was set by half.
func (s subscriptionSettings) unplaced(partition int) bool {
	_, placing := s.Placing[partition]
	return placing || !s.Positioned && !slices.Contains(s.Kept, partition)
}

func (b *Backend) observeGroup(ctx context.Context, id backend.SubscriptionID, of layout.Kind, partition int, log partitionStats) (plan.Group, error) {
	const kind = "ReadSubscriptions"
	stats := log.Subscriptions[id.Name]
	g := plan.Group{Partition: partition, Lag: stats.Backlog}
	read, err := parsePosition(log.Cursors[id.Name].MarkDelete)
	if err != nil {
		return g, err
	}
	at := log.next(read)
	genesis, err := b.genesisOf(ctx, kind, id.Store, of, partition, log.ledgerStats)
	if err != nil {
		return g, err
	}
	oldest := stats.Earliest
	if genesis != nil && at.compare(*genesis) <= 0 { // The genesis record is none of the events.
		at = log.next(*genesis)
		g.Lag--
		oldest = 0
	}
	g.Lag, g.Position = max(g.Lag, 0), at.String()
	switch {
	case g.Lag == 0:
	case oldest > 0:
		g.OldestUnread = time.UnixMilli(oldest).UTC()
	default:
		e, err := b.entry(ctx, kind, id.Store, layout.PulsarPartition(layout.PulsarEvents, partition), at)
		if err != nil {
			return g, err
		}
		g.OldestUnread = e.published
	}
	return g, nil
}
