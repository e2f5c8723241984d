package redis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// What tally.lua reads at most, each time, and how many times in one pipeline: others wait for as long as that takes, which
// is a few milliseconds for each.
const (
	talliedEntries = 2_000
	talliedBytes   = 1 << 20
	talliesPerTrip = 8
)

// A tally counts the bytes of one partition's events: those of the names and values of the entries' fields. What Redis
// needs to keep them, and what groups have pending, is not counted, so it cannot destroy events.
type tally struct {
	events    string
	remembers string // Key of the hash with the count. It is one of the partition's keys, and goes with them.

	bytes     int64 // Counted. There may be more.
	uncounted int64 // Entries.
	first     string
	done      bool // There is nothing more to do in this call.

	keep  int64 // Bytes that stay at least; -1: all.
	since int64 // Milliseconds since 1970 before which events go.
}

// A budget is a store with a limit of bytes.
type budget struct {
	bytes   int64
	tallies []*tally
}

// trimByBytes drops the oldest events of stores that exceed their limit of bytes, and only as far as it has counted that
// they do. Counting goes on in the next call where time runs out. Such stores forget by time here too: the count has to
// know of every event that goes.
func (b *Backend) trimByBytes(ctx context.Context, now time.Time, stores []retained, until time.Time) (errs []error) {
	var budgets []budget
	var all []*tally
	for _, s := range stores {
		if s.kept.Bytes == 0 {
			continue
		}
		g := budget{bytes: s.kept.Bytes}
		for p := range s.partitions {
			t := &tally{events: layout.RedisEvents(s.store, p), remembers: layout.RedisPartition(s.store, p) + "tally", keep: -1}
			if s.kept.Duration > 0 {
				t.since = now.Add(-s.kept.Duration).UnixMilli()
			}
			g.tallies = append(g.tallies, t)
		}
		budgets, all = append(budgets, g), append(all, g.tallies...)
	}
	for some := range slices.Chunk(all, resourcesPerPipeline) {
		errs = append(errs, b.tally(ctx, some, 0, 0)...)
	}
	for {
		for _, g := range budgets {
			g.share()
		}
		work := slices.DeleteFunc(slices.Clone(all), func(t *tally) bool { return t.idle() })
		rand.Shuffle(len(work), func(i, j int) { work[i], work[j] = work[j], work[i] }) // Nobody is always the last.
		for some := range slices.Chunk(work, talliesPerTrip) {
			errs = append(errs, b.tally(ctx, some, talliedEntries, talliedBytes)...)
			if time.Now().After(until) || ctx.Err() != nil {
				return errs
			}
		}
		if len(work) == 0 {
			return errs
		}
	}
}

// share says what the partitions keep, so that together they keep what the store may: those that have more than an even
// share give up the excess, each in proportion. If somebody else does the same at the same time, no more goes.
func (g budget) share() {
	var total, over int64
	even := g.bytes / int64(len(g.tallies))
	for _, t := range g.tallies {
		total, over = total+t.bytes, over+max(0, t.bytes-even)
	}
	for _, t := range g.tallies {
		t.keep = -1
		if excess := total - g.bytes; excess > 0 {
			t.keep = t.bytes - int64(float64(max(0, t.bytes-even))*float64(excess)/float64(over))
		}
	}
}

// idle reports whether a partition has nothing to count and nothing to drop.
func (t *tally) idle() bool {
	old := t.first != "" && timeOf(t.first).UnixMilli() < t.since
	return t.done || t.uncounted == 0 && !old && (t.keep < 0 || t.bytes <= t.keep)
}

// tally runs tally.lua for partitions of which each may do a step.
func (b *Backend) tally(ctx context.Context, tallies []*tally, entries, bytes int) (errs []error) {
	replies := make([]*redis.Cmd, len(tallies))
	b.send(ctx, "Maintain", func(t *trip) {
		for i, p := range tallies {
			replies[i] = t.run(tallyScript, []string{p.events, p.remembers}, p.keep, p.since, entries, bytes)
		}
	})
	for i, t := range tallies {
		v, err := replies[i].Slice()
		if err == nil && len(v) != 4 {
			err = dataError{errors.New("the script tally.lua answered out of shape")}
		}
		if err != nil {
			t.done = true
			errs = append(errs, fmt.Errorf("cannot trim key %q: %w", t.events, b.explain(err)))
			continue
		}
		t.bytes, t.uncounted, t.first = integer(v[0]), integer(v[1]), text(v[2])
		t.done = entries > 0 && integer(v[3]) == 0 // The oldest entry is larger than the excess.
	}
	return errs
}
