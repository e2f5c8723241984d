package kafka

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// ReadSubscriptions observes subscriptions. See the package's documentation for its requests.
func (b *Backend) ReadSubscriptions(ctx context.Context, ids []backend.SubscriptionID) []backend.Result[plan.ObservedSubscription] {
	results := make([]backend.Result[plan.ObservedSubscription], len(ids))
	if len(ids) == 0 {
		return results
	}
	r, err := b.readSubscriptions(ctx, ids)
	for i, id := range ids {
		if err == nil {
			results[i].Value, results[i].Err = b.observe(id, r)
		}
		if e := first(err, results[i].Err); e != nil {
			results[i] = backend.Result[plan.ObservedSubscription]{Err: fmt.Errorf("cannot read subscription %q: %w", id, b.explain(e))}
		}
	}
	if err == nil {
		b.dateSubscriptions(ctx, ids, results, r)
	}
	return results
}

// valid reports whether a subscription of that name can exist.
func valid(id backend.SubscriptionID) bool {
	return layout.ValidateStore(id.Store) == nil && layout.ValidateSubscription(id.Name) == nil
}

// A knownSubscription is what the registry says of one.
type knownSubscription struct {
	store    *storeMarker
	storeErr error // Its marker is damaged.
	marker   *subscriptionMarker
	err      error
}

// A subscriptionReading is what one batch has read.
type subscriptionReading struct {
	*look

	known       map[backend.SubscriptionID]knownSubscription
	groups      map[string]*committed
	first, next map[place]offsetAt
}

func (b *Backend) readSubscriptions(ctx context.Context, ids []backend.SubscriptionID) (subscriptionReading, error) {
	r := subscriptionReading{known: map[backend.SubscriptionID]knownSubscription{}}
	know := func(f *fold) {
		for _, id := range ids {
			var k knownSubscription
			k.store, k.storeErr = f.storeMarker(id.Store)
			if valid(id) {
				k.marker, k.err = f.subscriptionMarker(id.Store, id.Name)
			}
			r.known[id] = k
		}
	}
	if r.look = b.shared.take(); r.look != nil {
		if err := b.registry.known(ctx, know); err != nil {
			return r, err
		}
		if topics, of := r.wants(b.config.RegistryTopic); !r.covers(topics, of) {
			r.look = nil
		}
	}
	if r.look == nil {
		if err := b.registry.view(ctx, know); err != nil {
			return r, err
		}
		var err error
		topics, of := r.wants(b.config.RegistryTopic)
		if r.look, err = b.look(ctx, topics, of); err != nil {
			return r, err
		}
	}
	r.groups = b.readGroups(ctx, r.groupsToRead())
	r.first, r.next = b.cluster.ends(ctx, r.topics, r.places()) // After the positions, which are then never beyond the end.
	return r, b.cluster.silence(r.topics, r.places(), r.next)
}

// wants returns the topics to look at, and whose rights.
func (r subscriptionReading) wants(registry string) (topics []string, of interest) {
	topics = []string{registry}
	for id, k := range r.known {
		if layout.ValidateStore(id.Store) != nil {
			continue
		}
		topics = append(topics, layout.KafkaEvents(id.Store))
		if valid(id) {
			topics, of.users = append(topics, layout.KafkaDeadLetters(id.Store, id.Name)), append(of.users, k.user(id))
		}
	}
	return topics, of
}

// user is the name of a subscription's user.
func (k knownSubscription) user(id backend.SubscriptionID) string {
	managed := layout.SubscriptionPrincipal(id.Store, id.Name)
	if k.marker != nil {
		return cmp.Or(k.marker.Grant.User, managed)
	}
	return managed
}

// partitions is how many the subscription has positions in: as its store says, or if that is gone, as it says itself.
func (k knownSubscription) partitions() int {
	switch {
	case k.store != nil:
		return k.store.Partitions
	case k.marker != nil:
		return k.marker.Partitions
	}
	return 0
}

func (r subscriptionReading) groupsToRead() map[string]group {
	groups := map[string]group{}
	for id, k := range r.known {
		topic := layout.KafkaEvents(id.Store)
		if _, exists := r.topics[topic]; exists && (k.marker == nil || k.marker.Layout <= layout.Version) {
			n := layout.KafkaGroup(id.Store, id.Name)
			groups[n] = group{n, topic, k.partitions()}
		}
	}
	return groups
}

func (r subscriptionReading) places() (places []place) {
	seen := map[string]bool{}
	for id := range r.known {
		for _, t := range []string{layout.KafkaEvents(id.Store), layout.KafkaDeadLetters(id.Store, id.Name)} {
			if !seen[t] {
				seen[t] = true
				places = append(places, placesOf(t, len(r.topics[t].partitions))...)
			}
		}
	}
	return places
}

// observe tells what was read of one subscription.
func (b *Backend) observe(id backend.SubscriptionID, r subscriptionReading) (plan.ObservedSubscription, error) {
	k := r.known[id]
	o := plan.ObservedSubscription{StoreGone: true}
	if err := layout.ValidateStore(id.Store); err != nil {
		return o, nil //nolint:nilerr // Nothing exists under a name that none can have.
	}
	if k.storeErr != nil {
		return o, fmt.Errorf("its store %q: %w", id.Store, k.storeErr)
	}
	if k.err != nil {
		return o, k.err
	}
	events := layout.KafkaEvents(id.Store)
	dead, name := layout.KafkaDeadLetters(id.Store, id.Name), layout.KafkaGroup(id.Store, id.Name)
	if err := first(r.denies(events), r.denies(dead)); err != nil {
		return o, err
	}
	if g := r.groups[name]; g != nil && g.err != nil && refusesUser(g.err) {
		return o, fmt.Errorf("group %q: %w", name, g.err)
	}
	o.Partitions = k.partitions()
	if k.store != nil {
		// What is missing of a store that is being deleted goes with it: it is not to be made again.
		o.StoreGone, o.StoreCreated = k.store.Deletion != "", k.store.Created
	} else {
		o.StoreHasLogs = r.hasLogs(events)
	}
	if !valid(id) {
		return o, nil
	}
	var asked subscriptionMarker
	if m := k.marker; m != nil {
		asked = *m
		o.Marked, o.Owner, o.Takeovers = true, plan.Owner(m.Owner), m.Takeovers
		o.Created, o.PositionedIn, o.LastReplay = m.Positioned, m.PositionedIn, m.Replay
		o.DeadLetterRetention = time.Duration(m.DeadLetterRetention)
	}
	o.Principal = r.access.observe(layout.SubscriptionPrincipal(id.Store, id.Name), asked.Grant, layout.KafkaSubscriptionACL(id.Store, id.Name), "")
	r.observeDead(&o, dead)
	b.observeGroup(&o, events, name, r)
	return o, nil
}

func (r subscriptionReading) hasLogs(topic string) bool {
	for _, p := range placesOf(topic, len(r.topics[topic].partitions)) {
		if r.next[p].offset > 0 {
			return true
		}
	}
	return false
}

func (r subscriptionReading) observeDead(o *plan.ObservedSubscription, topic string) {
	t, exists := r.topics[topic]
	if !exists {
		return
	}
	c := r.configs[topic]
	if o.Marked {
		o.DeadLetterRetention = c.retention(plan.Retention{Duration: o.DeadLetterRetention}, 1).Duration
	}
	o.Settings = plan.Settings{}
	c.settings(deadLettersPrefix, o.Settings, keyRetention, keyRetainedBytes)
	for _, p := range placesOf(topic, len(t.partitions)) {
		if why := r.trouble(p, r.first, r.next); why != "" {
			o.Unavailable = cmp.Or(o.Unavailable, why)
			continue
		}
		o.DeadLetters += r.next[p].offset - r.first[p].offset
	}
}

func (b *Backend) observeGroup(o *plan.ObservedSubscription, topic, name string, r subscriptionReading) {
	g := r.groups[name]
	if g == nil {
		return
	}
	if g.err != nil {
		o.Unavailable = cmp.Or(o.Unavailable, fmt.Sprintf("the positions of group %q cannot be read: %v", name, b.explain(g.err)))
		return
	}
	o.Consumers = g.members
	for _, p := range placesOf(topic, min(o.Partitions, len(r.topics[topic].partitions))) {
		if why := r.trouble(p, r.first, r.next); why != "" {
			o.Unavailable = cmp.Or(o.Unavailable, why)
			continue
		}
		at, ok := g.offsets[p.partition]
		if !ok {
			continue
		}
		unread := max(at, firstRecord(r.first[p].offset))
		o.Groups = append(o.Groups, plan.Group{Partition: int(p.partition), Position: offset(at), Lag: max(0, r.next[p].offset-unread)})
	}
}

// dateSubscriptions adds when the oldest unread records were appended.
func (b *Backend) dateSubscriptions(ctx context.Context, ids []backend.SubscriptionID, results []backend.Result[plan.ObservedSubscription], r subscriptionReading) {
	unread := func(id backend.SubscriptionID, g plan.Group) moment {
		p := place{layout.KafkaEvents(id.Store), int32(g.Partition)}
		return moment{p, "unread by " + id.Name, r.next[p].offset - g.Lag}
	}
	var wanted []moment
	for i, id := range ids {
		for _, g := range results[i].Value.Groups {
			if g.Lag > 0 {
				wanted = append(wanted, unread(id, g))
			}
		}
	}
	b.times.find(ctx, b.cluster, r.topics, wanted)
	for i, id := range ids {
		for j, g := range results[i].Value.Groups {
			if g.Lag > 0 {
				results[i].Value.Groups[j].OldestUnread = b.times.at(r.topics, unread(id, g))
			}
		}
	}
}
