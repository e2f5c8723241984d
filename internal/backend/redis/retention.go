package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

const (
	// trimmedEntries bounds one step of trimming by time, for each Redis stream, so that others do not wait for it.
	trimmedEntries = 10_000

	// maintainFor is how long one call counts and drops records of stores that have a limit of bytes.
	maintainFor = time.Second
)

// Maintain drops events and dead letters past their retention, one step for each Redis stream, and saves users that could
// not be saved before. What fails is in the server's health until it works again. Of several servers, one may have kept
// users while it could not be reached, that are deleted elsewhere: they go too.
//
// What is kept is what the markers say now, read in the same call. A resource's spec has no part in it: a shorter
// retention that was refused never reaches a marker. A store whose marker is absent, damaged, or of kind sourcing is
// left alone.
func (b *Backend) Maintain(ctx context.Context, names []string) error {
	var errs []error
	var swept error
	if b.config.Mode != "" {
		swept = b.sweep(ctx)
	}
	unsaved := b.save(ctx, "Maintain", true)
	until := time.Now().Add(maintainFor)
	for lo, hi := range chunks(len(names)) {
		errs = append(errs, b.maintain(ctx, names[lo:hi], until)...)
	}
	if ctx.Err() == nil { // A call that was cancelled says nothing of the server.
		b.unmaintained.Store(failure(errs))
		b.forgetful.Store(failure([]error{unsaved}))
	}
	return errors.Join(append(errs, unsaved, swept)...)
}

// failure says in one line what failed: the same for the same failures, whatever their order.
func failure(errs []error) *string {
	var texts []string
	for _, err := range errs {
		if err != nil {
			texts = append(texts, err.Error())
		}
	}
	if len(texts) == 0 {
		return nil
	}
	slices.Sort(texts)
	text := texts[0]
	if n := len(slices.Compact(texts)) - 1; n > 0 {
		text = fmt.Sprintf("%s (and %d more)", text, n)
	}
	return &text
}

func (b *Backend) maintain(ctx context.Context, names []string, until time.Time) []error {
	var clocks replies
	markers, members := make([]*redis.MapStringStringCmd, len(names)), make([]*redis.StringSliceCmd, len(names))
	b.send(ctx, "Maintain", func(t *trip) {
		clocks = t.masters("TIME")
		for i, n := range names {
			if layout.ValidateStore(n) == nil {
				markers[i], members[i] = t.HGetAll(ctx, layout.RedisMarker(n)), t.SMembers(ctx, layout.RedisSubscriptions(n))
			}
		}
	})
	now, err := earliest(clocks)
	if err != nil {
		return []error{b.explain(err)}
	}
	var errs []error
	var logs []retained
	for i, n := range names {
		if markers[i] == nil {
			continue
		}
		fields, err := markers[i].Result()
		if err == nil {
			err = members[i].Err()
		}
		o, bad := decodeStore(fields)
		if err = cmpErr(err, bad); err != nil {
			errs = append(errs, fmt.Errorf("cannot maintain store %q: %w", n, b.explain(err)))
			continue
		}
		logs = append(logs, retained{store: n, partitions: o.Partitions, kept: keeps(o), subscriptions: members[i].Val()})
	}
	errs = append(errs, b.trimByTime(ctx, now, logs)...)
	return append(errs, b.trimByBytes(ctx, now, logs, until)...)
}

// earliest returns the time of the server whose clock is the last: by it, no other's entries are older than they are.
func earliest(clocks replies) (now time.Time, err error) {
	some, err := clocks.answered()
	for _, c := range some {
		parts, err := c.StringSlice()
		if err != nil || len(parts) != 2 {
			return now, cmpErr(err, errors.New("the server answered TIME out of shape"))
		}
		seconds, _ := strconv.ParseInt(parts[0], 10, 64)
		micros, _ := strconv.ParseInt(parts[1], 10, 64)
		if t := time.Unix(seconds, 1000*micros); now.IsZero() || t.Before(now) {
			now = t
		}
	}
	return now, err
}

// retained is what is to be trimmed of one store.
type retained struct {
	store         string
	partitions    int
	kept          plan.Retention // Of events. Zero: all.
	subscriptions []string
}

// keeps returns the retention of a store's events. A sourcing store keeps everything.
func keeps(o plan.ObservedStore) plan.Retention {
	if !o.Marked || o.Kind != layout.Streaming || o.Layout != layout.Version {
		return plan.Retention{}
	}
	return o.Retention
}

// trimByTime drops dead letters, and the events of stores without a limit of bytes. Redis does that by itself, without
// anybody reading what goes.
func (b *Backend) trimByTime(ctx context.Context, now time.Time, stores []retained) (errs []error) {
	dead := map[string]*redis.StringCmd{}
	b.send(ctx, "Maintain", func(t *trip) {
		for _, s := range stores {
			for _, sub := range s.subscriptions {
				key := layout.RedisSubscriptionMarker(s.store, sub)
				dead[key] = t.HGet(ctx, key, fieldDeadLetterRetention)
			}
		}
	})
	trimmed := map[string]*redis.IntCmd{}
	b.send(ctx, "Maintain", func(t *trip) {
		trim := func(key string, kept time.Duration) {
			if kept > 0 {
				oldest := strconv.FormatInt(now.Add(-kept).UnixMilli(), 10)
				trimmed[key] = t.XTrimMinIDApprox(ctx, key, oldest, trimmedEntries)
			}
		}
		for _, s := range stores {
			for at := range s.partitions {
				if s.kept.Bytes == 0 {
					trim(layout.RedisEvents(s.store, at), s.kept.Duration)
				}
				for _, sub := range s.subscriptions {
					// What cannot be read keeps everything; reading the subscription says so.
					said, unread := dead[layout.RedisSubscriptionMarker(s.store, sub)].Result()
					if kept, err := time.ParseDuration(said); cmpErr(unread, err) == nil {
						trim(layout.RedisDeadLetters(s.store, at, sub), kept)
					}
				}
			}
		}
	})
	for key, t := range trimmed {
		if err := t.Err(); err != nil {
			errs = append(errs, fmt.Errorf("cannot trim key %q: %w", key, b.explain(err)))
		}
	}
	return errs
}
