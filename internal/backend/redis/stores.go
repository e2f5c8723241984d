package redis

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// Data without a marker is looked for in the first partitions of a name, with one command, and if there is any, in all that
// a store can have. A store that has lost its marker and all of its first 64 logs is taken to be gone, even if later ones
// are left.
const (
	probedPartitions  = 64
	adoptedPartitions = maxPartitions
)

// ReadStores observes stores. See the package's documentation for its round trips.
func (b *Backend) ReadStores(ctx context.Context, names []string) []backend.Result[plan.ObservedStore] {
	results := make([]backend.Result[plan.ObservedStore], len(names))
	principals := make([]string, len(names))
	for i, n := range names {
		principals[i] = layout.StorePrincipal(n)
	}
	users := b.lookAt(ctx, "ReadStores", principals)
	for lo, hi := range chunks(len(names)) {
		b.readStores(ctx, users, names[lo:hi], results[lo:hi])
	}
	for i, r := range results {
		if r.Err != nil {
			results[i] = backend.Result[plan.ObservedStore]{Err: fmt.Errorf("cannot read store %q: %w", names[i], b.explain(r.Err))}
		}
	}
	return results
}

func (b *Backend) readStores(ctx context.Context, users *userReading, names []string, results []backend.Result[plan.ObservedStore]) {
	subscriptions := b.readStoreMarkers(ctx, users, names, results)
	unmarked := b.readMarkedLogs(ctx, names, subscriptions, results)
	b.readUnmarkedLogs(ctx, names, results, unmarked)
}

// readStoreMarkers reads the markers, the users, and the server's settings, and returns the names of the stores'
// subscriptions.
func (b *Backend) readStoreMarkers(ctx context.Context, users *userReading, names []string, results []backend.Result[plan.ObservedStore]) []*redis.StringSliceCmd {
	var self serverReadings
	subscriptions := make([]*redis.StringSliceCmd, len(names))
	markers, shown := make([]*redis.MapStringStringCmd, len(names)), make([]replies, len(names))
	b.sendToRead(ctx, names, func(t *trip) {
		self = t.askServers(settingsAge)
		for i, n := range names {
			if layout.ValidateStore(n) != nil {
				continue // Nothing exists under a name that none can have.
			}
			markers[i] = t.HGetAll(ctx, layout.RedisMarker(n))
			shown[i] = users.queue(t, layout.StorePrincipal(n))
			subscriptions[i] = t.SMembers(ctx, layout.RedisSubscriptions(n))
		}
	})
	all, err := self.result()
	for i, n := range names {
		if err != nil {
			results[i].Err = err
			continue
		}
		if markers[i] != nil {
			results[i].Value, results[i].Err = observeStore(n, users, markers[i], shown[i])
			results[i].Err = cmpErr(results[i].Err, subscriptions[i].Err())
		}
		v := &results[i].Value
		v.Hazards, v.Persists, v.Persistence = all.hazards(), all.persists(), all.persistence()
	}
	return subscriptions
}

func observeStore(name string, users *userReading, marker *redis.MapStringStringCmd, user replies) (plan.ObservedStore, error) {
	fields, err := marker.Result()
	if err != nil {
		return plan.ObservedStore{}, err
	}
	o, err := decodeStore(fields)
	if err != nil {
		return o, err
	}
	o.Principal, err = users.principal(layout.StorePrincipal(name), user, fields)
	return o, err
}

// readMarkedLogs reads the partitions that the markers name, and returns which stores have no marker and yet data.
func (b *Backend) readMarkedLogs(ctx context.Context, names []string, subscriptions []*redis.StringSliceCmd, results []backend.Result[plan.ObservedStore]) []int {
	logs, dead, found := make([]spread, len(names)), make([]spread, len(names)), make([]remnant, len(names))
	b.sendToRead(ctx, names, func(t *trip) {
		for i, n := range names {
			switch o := results[i].Value; {
			case results[i].Err != nil || layout.ValidateStore(n) != nil:
			case o.Marked:
				logs[i] = t.lookOver(eventsScript, eventParts(n, o.Partitions))
				if len(subscriptions[i].Val()) > 0 {
					dead[i] = t.lookOver(lengthsScript, deadLetterParts(n, o.Partitions, subscriptions[i].Val()))
				}
			default:
				found[i] = t.remnant(n)
			}
		}
	})
	var unmarked []int
	for i, n := range names {
		switch {
		case logs[i] != nil:
			results[i].Value.Logs, results[i].Err = observeLogs(n, logs[i])
			if results[i].Err == nil && dead[i] != nil {
				results[i].Value.DeadLetters, results[i].Err = observeLength(dead[i])
			}
		case found[i].logs != nil:
			var there bool
			if there, results[i].Err = found[i].any(); there {
				unmarked = append(unmarked, i)
			}
		}
	}
	return unmarked
}

func (b *Backend) readUnmarkedLogs(ctx context.Context, names []string, results []backend.Result[plan.ObservedStore], unmarked []int) {
	logs := make([]spread, len(unmarked))
	b.sendToRead(ctx, names, func(t *trip) {
		for i, at := range unmarked {
			logs[i] = t.lookOver(eventsScript, eventParts(names[at], adoptedPartitions))
		}
	})
	for i, at := range unmarked {
		results[at].Value.Logs, results[at].Err = observeLogs(names[at], logs[i])
	}
}

// eventKeys returns the keys of a store's first n partitions.
func eventKeys(store string, n int) []string {
	keys := make([]string, n)
	for p := range keys {
		keys[p] = layout.RedisEvents(store, p)
	}
	return keys
}

// deadLetterParts returns the dead letters of all subscriptions of a store.
func deadLetterParts(store string, partitions int, subscriptions []string) []part {
	parts := make([]part, partitions)
	for p := range parts {
		for _, s := range subscriptions {
			parts[p].keys = append(parts[p].keys, layout.RedisDeadLetters(store, p, s))
		}
	}
	return parts
}

// observeLength reads the answer of lengths.lua.
func observeLength(reply spread) (n int64, err error) {
	for _, r := range reply {
		v, err := r.Result()
		if err != nil {
			return 0, err
		}
		if bad, ok := v.([]any); ok && len(bad) == 2 {
			return 0, wrongKey(text(bad[0]), text(bad[1]))
		}
		n += integer(v)
	}
	return n, nil
}

// observeLogs reads the answer of events.lua.
func observeLogs(store string, reply spread) ([]plan.Log, error) {
	all, err := reply.slice()
	if err != nil {
		return nil, err
	}
	var logs []plan.Log
	for p, v := range all {
		switch v := v.(type) {
		case string:
			return nil, wrongKey(layout.RedisEvents(store, p), v)
		case []any:
			if len(v) == 0 { // The key does not exist.
				continue
			}
			if len(v) != 4 {
				return nil, errors.New("the script events.lua answered out of shape")
			}
			first, last := text(v[1]), text(v[2])
			logs = append(logs, plan.Log{
				Partition: p, Records: integer(v[0]), Bytes: integer(v[3]), First: first, Last: last,
				Oldest: timeOf(first), Newest: timeOf(last),
			})
		}
	}
	return logs, nil
}

// wrongKey explains what a script says of one key.
func wrongKey(key, reply string) error {
	if len(reply) >= 9 && reply[:9] == "WRONGTYPE" {
		return dataError{fmt.Errorf("key %q is not a Redis stream: somebody else uses it: rename or delete it", key)}
	}
	return fmt.Errorf("cannot read key %q: %s", key, redact(reply))
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

func integer(v any) int64 {
	n, _ := v.(int64)
	return n
}
