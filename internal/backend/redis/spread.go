package redis

import (
	"github.com/redis/go-redis/v9"

	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// A part is what a script is to do in one partition.
type part struct {
	keys []string
	args []any
}

// A spread is one script over the partitions of a store: one call if one server has them all, else one for each partition,
// because a script of a cluster may only name keys of one slot.
type spread []*redis.Cmd

// over runs a script that does the same in each partition: its arguments are the common ones, then those of the parts.
func (t *trip) over(s script, parts []part, common ...any) spread {
	return t.spread(parts, common, func(keys []string, args []any) *redis.Cmd { return t.run(s, keys, args...) })
}

// lookOver runs a script that writes nothing, in the way of over.
func (t *trip) lookOver(s script, parts []part, common ...any) spread {
	return t.spread(parts, common, func(keys []string, args []any) *redis.Cmd { return t.look(s, keys, args...) })
}

func (t *trip) spread(parts []part, common []any, run func(keys []string, args []any) *redis.Cmd) spread {
	if len(parts) == 0 {
		return nil
	}
	if t.topology.slots == nil {
		all := part{args: common[:len(common):len(common)]}
		for _, p := range parts {
			all.keys, all.args = append(all.keys, p.keys...), append(all.args, p.args...)
		}
		return spread{run(all.keys, all.args)}
	}
	s := make(spread, len(parts))
	for i, p := range parts {
		s[i] = run(p.keys, append(common[:len(common):len(common)], p.args...))
	}
	return s
}

// slice returns what a script says of each partition, in their order.
func (s spread) slice() (all []any, err error) {
	for _, c := range s {
		some, err := c.Slice()
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

// A remnant is what is found of a store that had no marker when that was read.
type remnant struct {
	logs   []*redis.IntCmd
	marker *redis.IntCmd
}

// remnant looks for the first logs of a store, and then for its marker again.
func (t *trip) remnant(store string) remnant {
	r, keys := remnant{}, eventKeys(store, probedPartitions)
	if t.topology.slots == nil {
		r.logs = []*redis.IntCmd{t.Exists(t.ctx, keys...)}
	} else {
		for _, k := range keys {
			r.logs = append(r.logs, t.Exists(t.ctx, k))
		}
	}
	r.marker = t.Exists(t.ctx, layout.RedisMarker(store))
	return r
}

// any reports whether there are logs that no marker is for. If it is there by now, somebody is just making the store.
func (r remnant) any() (bool, error) {
	n, err := sumOf(r.logs)
	err = cmpErr(err, r.marker.Err())
	return err == nil && n > 0 && r.marker.Val() == 0, err
}

func sumOf(counts []*redis.IntCmd) (n int64, err error) {
	for _, c := range counts {
		n, err = n+c.Val(), cmpErr(err, c.Err())
	}
	return n, err
}

// eventParts returns a store's first n partitions.
func eventParts(store string, n int) []part {
	parts := make([]part, n)
	for i, k := range eventKeys(store, n) {
		parts[i].keys = []string{k}
	}
	return parts
}
