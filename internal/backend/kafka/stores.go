package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// ReadStores observes stores. See the package's documentation for its requests.
func (b *Backend) ReadStores(ctx context.Context, names []string) []backend.Result[plan.ObservedStore] {
	results := make([]backend.Result[plan.ObservedStore], len(names))
	if len(names) == 0 {
		return results
	}
	r, err := b.readStores(ctx, names)
	for i, n := range names {
		if err == nil && layout.ValidateStore(n) == nil { // Nothing exists under a name that none can have.
			results[i].Value, results[i].Err = b.observeStore(n, r)
		}
		if e := first(err, results[i].Err); e != nil {
			results[i] = backend.Result[plan.ObservedStore]{Err: fmt.Errorf("cannot read store %q: %w", n, b.explain(e))}
		}
	}
	if err == nil {
		b.dateStores(ctx, names, results, r)
	}
	return results
}

// A known is what the registry says of a store.
type known struct {
	marker      *storeMarker
	err         error    // The marker is damaged.
	deadLetters []string // Subscriptions that have some.

	// Of a refresh, which goes on to read subscriptions: the topics of their dead letters, and their users.
	topics, users []string
}

// A storeReading is what one batch has read.
type storeReading struct {
	*look

	known       map[string]known
	first, next map[place]offsetAt
}

func (b *Backend) readStores(ctx context.Context, names []string) (storeReading, error) {
	r := storeReading{known: map[string]known{}}
	writes, begun, refresh := b.shared.now(), time.Now(), len(names) > few
	err := b.registry.view(ctx, func(f *fold) {
		for _, n := range names {
			m, err := f.storeMarker(n)
			k := known{marker: m, err: err, deadLetters: slices.Sorted(maps.Keys(f.deadLetters[n]))}
			if refresh {
				k.addSubscriptions(f, n)
			}
			r.known[n] = k
		}
	})
	if err != nil {
		return r, err
	}
	topics, of := []string{b.config.RegistryTopic}, interest{quotas: true}
	for n, k := range r.known {
		if layout.ValidateStore(n) != nil {
			continue
		}
		topics = append(topics, layout.KafkaEvents(n), layout.KafkaSnapshots(n))
		of.users, of.topics = append(of.users, k.user(n)), append(of.topics, layout.KafkaEvents(n))
		for _, s := range k.deadLetters {
			topics = append(topics, layout.KafkaDeadLetters(n, s))
		}
		topics, of.users = append(topics, k.topics...), append(of.users, k.users...)
	}
	if r.look, err = b.look(ctx, topics, of); err != nil {
		return r, err
	}
	r.first, r.next = b.cluster.ends(ctx, r.topics, r.places())
	if err := b.cluster.silence(r.topics, r.places(), r.next); err != nil {
		return r, err
	}
	if refresh { // What a read of a few saw of rights is only theirs.
		b.shared.keep(r.look, begun, writes)
	}
	return r, nil
}

// addSubscriptions adds what is to be looked at for the sake of a store's subscriptions.
func (k *known) addSubscriptions(f *fold, store string) {
	for s := range f.subscriptions[store] {
		id := backend.SubscriptionID{Store: store, Name: s}
		m, _ := f.subscriptionMarker(store, s)
		k.users = append(k.users, knownSubscription{marker: m}.user(id))
		if _, there := f.deadLetters[store][s]; !there {
			k.topics = append(k.topics, layout.KafkaDeadLetters(store, s))
		}
	}
}

// user is the name of a store's user: of the one that it was given, or that the provider would make.
func (k known) user(store string) string {
	if k.marker != nil {
		return cmp.Or(k.marker.Grant.User, layout.StorePrincipal(store))
	}
	return layout.StorePrincipal(store)
}

// places returns the partitions of events and dead letters.
func (r storeReading) places() (places []place) {
	for n, k := range r.known {
		topics := []string{layout.KafkaEvents(n)}
		for _, s := range k.deadLetters {
			topics = append(topics, layout.KafkaDeadLetters(n, s))
		}
		for _, t := range topics {
			places = append(places, placesOf(t, len(r.topics[t].partitions))...)
		}
	}
	return places
}

func placesOf(topic string, partitions int) []place {
	places := make([]place, partitions)
	for p := range places {
		places[p] = place{topic, int32(p)}
	}
	return places
}

// trouble says in half a sentence why nothing is known of a partition that exists; empty if something is.
func (l *look) trouble(p place, first, next map[place]offsetAt) string {
	if l.topics[p.topic].partitions[p.partition].leader < 0 {
		return fmt.Sprintf("partition %d of topic %q has no leader", p.partition, p.topic)
	}
	for _, err := range []error{first[p].err, next[p].err} {
		var known *kerr.Error
		switch {
		case err == nil:
			continue
		case movedLeader(err):
			return fmt.Sprintf("partition %d of topic %q is moving to another broker", p.partition, p.topic)
		case errors.As(err, &known):
			return fmt.Sprintf("partition %d of topic %q is not served (%s)", p.partition, p.topic, known.Message)
		default:
			return fmt.Sprintf("the broker that leads partition %d of topic %q does not answer", p.partition, p.topic)
		}
	}
	return ""
}

// observeStore tells what was read of one store.
func (b *Backend) observeStore(name string, r storeReading) (plan.ObservedStore, error) {
	k := r.known[name]
	if k.err != nil {
		return plan.ObservedStore{}, k.err
	}
	o := plan.ObservedStore{Persists: true, Persistence: "on the disks of the brokers"}
	o.MaxEventBytesLimit, _ = b.limits.get()
	events := layout.KafkaEvents(name)
	t, exists := r.topics[events]
	if err := r.denies(events); err != nil {
		return o, err
	}
	var asked storeMarker
	partitions := len(t.partitions)
	if m := k.marker; m != nil {
		asked, partitions = *m, min(partitions, m.Partitions)
		o.Marked, o.Layout, o.Kind, o.Owner, o.Takeovers, o.Partitions = true, m.Layout, m.Kind, plan.Owner(m.Owner), m.Takeovers, m.Partitions
		if m.Layout > layout.Version {
			return o, nil
		}
		o.Retention = plan.Retention{Duration: time.Duration(m.Retention), Bytes: m.RetainedBytes}
		o.MaxEventBytes = m.MaxEventBytes
		o.Grown = max(0, len(t.partitions)-m.Partitions)
		if err := r.denies(layout.KafkaSnapshots(name)); err != nil && m.SnapshotsTopic {
			return o, err
		}
		s, there := r.topics[layout.KafkaSnapshots(name)]
		o.Snapshots = m.Snapshots && m.SnapshotsTopic && there && len(s.partitions) >= m.Partitions
	} else {
		o.Partitions, o.Remains = partitions, r.remains(name, k.deadLetters)
	}
	if exists {
		c := r.configs[events]
		o.Persistence = persistence(t.replicas(), c)
		if o.Marked {
			o.Replicas = t.replicas()
			o.Retention, o.MaxEventBytes = c.retention(o.Retention, o.Partitions), c.maxEventBytes(o.MaxEventBytes)
		}
	}
	o.Settings = r.settings(name)
	o.Principal = r.access.observe(layout.StorePrincipal(name), asked.Grant, layout.KafkaStoreACL(name), events)
	r.observeLogs(&o, events, partitions)
	r.observeGrown(&o, events, partitions)
	return o, r.observeDeadLetters(&o, name, k.deadLetters)
}

// persistence says how many copies there are.
func persistence(replicas int, c config) string {
	if replicas == 1 {
		return "one copy: what is lost with the disk of its broker is lost"
	}
	return fmt.Sprintf("%d copies, of which %s must confirm an append", replicas, c[keyMinInSync].value)
}

// settings are those of a store. The only quota that is looked at is that of a user of ours.
func (l *look) settings(store string) plan.Settings {
	s := plan.Settings{}
	l.configs[layout.KafkaEvents(store)].settings("", s, keyRetention, keyRetainedBytes, keyMaxMessage)
	l.configs[layout.KafkaSnapshots(store)].settings(snapshotsPrefix, s)
	if rate, ok := l.access.quotas[layout.StorePrincipal(store)][keyByteRate]; ok {
		s[quotaPrefix+keyByteRate] = strconv.FormatFloat(rate, 'f', -1, 64)
	}
	return s
}

// observeLogs tells of the partitions that have a genesis. Of a store without a marker nobody knows whether they should:
// all that exist are its logs.
func (r storeReading) observeLogs(o *plan.ObservedStore, topic string, partitions int) {
	for _, p := range placesOf(topic, partitions) {
		if why := r.trouble(p, r.first, r.next); why != "" {
			o.Unavailable = cmp.Or(o.Unavailable, why)
			continue
		}
		start, end := r.first[p].offset, r.next[p].offset
		if end == 0 && o.Marked {
			continue
		}
		l := plan.Log{Partition: int(p.partition), Records: records(start, end)}
		if l.Records > 0 {
			l.First, l.Last = offset(firstRecord(start)), offset(end-1)
		}
		o.Logs = append(o.Logs, l)
	}
}

// observeGrown counts what is in partitions that somebody has added: nobody of ours reads it, and it would be deleted all
// the same.
func (r storeReading) observeGrown(o *plan.ObservedStore, topic string, partitions int) {
	for _, p := range placesOf(topic, len(r.topics[topic].partitions))[partitions:] {
		if why := r.trouble(p, r.first, r.next); why != "" {
			o.Unavailable = cmp.Or(o.Unavailable, why)
			continue
		}
		o.GrownRecords += r.next[p].offset - r.first[p].offset
	}
}

// records counts what is between two offsets, without the genesis.
func records(start, end int64) int64 { return max(0, end-firstRecord(start)) }

// firstRecord is the offset of the first record that can be an event: the genesis is at 0.
func firstRecord(start int64) int64 { return max(start, 1) }

func offset(n int64) string { return strconv.FormatInt(n, 10) }

func (r storeReading) observeDeadLetters(o *plan.ObservedStore, store string, subscriptions []string) error {
	for _, s := range subscriptions {
		topic := layout.KafkaDeadLetters(store, s)
		if err := r.denies(topic); err != nil {
			return err
		}
		for _, p := range placesOf(topic, len(r.topics[topic].partitions)) {
			if why := r.trouble(p, r.first, r.next); why != "" {
				o.Unavailable = cmp.Or(o.Unavailable, why)
				continue
			}
			o.DeadLetters += r.next[p].offset - r.first[p].offset
		}
	}
	return nil
}

// dateStores adds when the oldest and the newest records were appended, and how much they take. What cannot be told is left
// out.
func (b *Backend) dateStores(ctx context.Context, names []string, results []backend.Result[plan.ObservedStore], r storeReading) {
	var wanted []moment
	var sized []place
	for i, n := range names {
		events := layout.KafkaEvents(n)
		for _, l := range results[i].Value.Logs {
			if l.Records > 0 {
				p := place{events, int32(l.Partition)}
				start, end := firstRecord(r.first[p].offset), r.next[p].offset
				wanted = append(wanted, moment{p, firstMoment, start}, moment{p, lastMoment, end - 1})
				sized = append(sized, p)
			}
		}
	}
	b.times.find(ctx, b.cluster, r.topics, wanted)
	b.sizes.find(ctx, b.cluster, r.topics, sized)
	for i, n := range names {
		for j := range results[i].Value.Logs {
			l := &results[i].Value.Logs[j]
			if l.Records > 0 {
				p := place{layout.KafkaEvents(n), int32(l.Partition)}
				l.Oldest = b.times.at(r.topics, moment{p, firstMoment, firstRecord(r.first[p].offset)})
				l.Newest = b.times.at(r.topics, moment{p, lastMoment, r.next[p].offset - 1})
				l.Bytes = b.sizes.of(p)
			}
		}
	}
}
