package kafka

import (
	"context"
	"fmt"
	"strconv"

	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// parseOffset reads a position: that of the next record to read.
func parseOffset(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0, dataError{fmt.Errorf("position %q is not one of Kafka: it must be an offset, such as 42", s)}
	}
	return n, nil
}

// A wish is where reading is to begin in one place.
type wish struct {
	place

	at      int // Which of the batch's resources it belongs to.
	start   plan.Start
	restore string // The position that was lost; empty: start counts.
}

// resolve returns the offsets that wishes mean. A position of which the records are gone already means the first that is
// left, and one after the end means the end: from anywhere else Kafka's consumers would jump to wherever they are told to.
// A position that is restored, and after the end, is one of another log, which had the same name: of this one nothing was
// read, so it means the first.
func (b *Backend) resolve(ctx context.Context, wishes []wish, errs []error) map[place]map[int]int64 {
	places, topics := make([]place, 0, len(wishes)), []string{}
	times := map[place]map[int]int64{}
	known := map[place]bool{}
	for _, w := range wishes {
		if !known[w.place] {
			known[w.place] = true
			places, topics = append(places, w.place), append(topics, w.topic)
		}
	}
	offsets := map[place]map[int]int64{}
	views, err := b.cluster.metadata(ctx, topics)
	if err != nil {
		failWishes(wishes, errs, b.explain(err))
		return nil
	}
	firsts, nexts := b.cluster.ends(ctx, views, places)
	b.timesOf(ctx, views, wishes, times, errs)
	for _, w := range wishes {
		if errs[w.at] != nil {
			continue
		}
		start, end := firsts[w.place], nexts[w.place]
		if _, led := leaders(views, []place{w.place})[w.place]; !led {
			errs[w.at] = dataError{fmt.Errorf("partition %d of topic %q has no leader: it is tried again", w.partition, w.topic)}
			continue
		}
		if err := first(start.err, end.err); err != nil {
			errs[w.at] = b.explain(err)
			continue
		}
		n, err := w.offset(firstRecord(start.offset), max(end.offset, firstRecord(start.offset)), times[w.place])
		if err != nil {
			errs[w.at] = err
			continue
		}
		if offsets[w.place] == nil {
			offsets[w.place] = map[int]int64{}
		}
		offsets[w.place][w.at] = n
	}
	return offsets
}

// offset returns what a wish means in a partition that has the records from begin to end, exclusive. times has the offset of
// the first record at a time in milliseconds, or later; -1: there is none.
func (w wish) offset(begin, end int64, times map[int]int64) (int64, error) {
	at := func(s string) (int64, error) {
		n, err := parseOffset(s)
		return min(max(n, begin), end), err
	}
	switch p := int(w.partition); {
	case w.restore != "":
		n, err := parseOffset(w.restore)
		if n > end {
			return begin, err
		}
		return max(n, begin), err
	case w.start.Latest:
		return end, nil
	case !w.start.Time.IsZero():
		n, ok := times[w.at]
		if !ok || n < 0 {
			return end, nil
		}
		return min(max(n, begin), end), nil
	case w.start.Positions[p] != "":
		return at(w.start.Positions[p])
	default:
		return begin, nil
	}
}

// timesOf looks up the offsets of times. Several wishes of one place are looked up one after the other: a partition can be in
// a request once.
func (b *Backend) timesOf(ctx context.Context, views map[string]topicView, wishes []wish, times map[place]map[int]int64, errs []error) {
	for len(wishes) > 0 {
		now, later := map[place]wish{}, []wish(nil)
		var places []place
		for _, w := range wishes {
			switch _, taken := now[w.place]; {
			case w.restore != "" || w.start.Time.IsZero():
			case taken:
				later = append(later, w)
			default:
				now[w.place], places = w, append(places, w.place)
			}
		}
		found := b.cluster.listOffsets(ctx, leaders(views, places), func(p place) int64 { return max(0, now[p].start.Time.UnixMilli()) })
		for p, o := range found {
			if o.err != nil {
				errs[now[p].at] = first(errs[now[p].at], b.explain(o.err))
				continue
			}
			if times[p] == nil {
				times[p] = map[int]int64{}
			}
			times[p][now[p].at] = o.offset
		}
		wishes = later
	}
}

func failWishes(wishes []wish, errs []error, err error) {
	for _, w := range wishes {
		errs[w.at] = first(errs[w.at], err)
	}
}
