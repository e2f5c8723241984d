package kafka

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Offsets that can be asked for beside a time in milliseconds.
const (
	latest   int64 = -1 // The one that the next record gets.
	earliest int64 = -2
	newest   int64 = -3 // That of the last record to have been appended, with its time.
)

// endOfLog makes a leader tell the end of its log, and not of what all replicas have. Source: Kafka protocol,
// ListOffsets (key 2), replica_id.
const endOfLog int32 = -2

// An offsetAt is the answer for one place.
type offsetAt struct {
	offset int64 // -1: there is none at that time or later.
	millis int64 // Its time, where a time was asked for.
	err    error
}

// listOffsets asks every leader once for all of its places. A leader that does not answer fails its places alone.
func (c *cluster) listOffsets(ctx context.Context, leaders map[place]int32, at func(place) int64) map[place]offsetAt {
	return c.listOffsetsAs(ctx, -1, leaders, at)
}

func (c *cluster) listOffsetsAs(ctx context.Context, replica int32, leaders map[place]int32, at func(place) int64) map[place]offsetAt {
	found := make(map[place]offsetAt, len(leaders))
	var mu sync.Mutex
	c.eachLeader(leaders, func(leader int32, places []place) {
		req := kmsg.NewPtrListOffsetsRequest()
		req.ReplicaID = replica
		names, partitions := topicsOf(places)
		for _, n := range names {
			t := kmsg.NewListOffsetsRequestTopic()
			t.Topic = n
			for _, p := range partitions[n] {
				one := kmsg.NewListOffsetsRequestTopicPartition()
				one.Partition, one.Timestamp = p.partition, at(p)
				t.Partitions = append(t.Partitions, one)
			}
			req.Topics = append(req.Topics, t)
		}
		resp, err := req.RequestWith(ctx, c.at(leader))
		mu.Lock()
		defer mu.Unlock()
		for _, p := range places {
			found[p] = offsetAt{err: err}
		}
		if err != nil {
			return
		}
		for _, t := range resp.Topics {
			for _, p := range t.Partitions {
				found[place{t.Topic, p.Partition}] = offsetAt{offset: p.Offset, millis: p.Timestamp, err: kerr.ErrorForCode(p.ErrorCode)}
			}
		}
	})
	return found
}

// silence returns why nobody has answered, if every broker of the cluster was asked for some of the places: it is the
// cluster that is gone then, and not a part of it.
func (c *cluster) silence(topics map[string]topicView, places []place, ends map[place]offsetAt) error {
	var why error
	asked := map[int32]bool{}
	for p, leader := range leaders(topics, places) {
		var answered *kerr.Error
		if why = ends[p].err; why == nil || errors.As(why, &answered) {
			return nil
		}
		asked[leader] = true
	}
	if len(asked) < c.most() {
		return nil
	}
	return why
}

// eachLeader calls f for all leaders at once, each with its places in order.
func (c *cluster) eachLeader(leaders map[place]int32, f func(leader int32, places []place)) {
	var wg sync.WaitGroup
	for leader, places := range byLeader(leaders) {
		wg.Go(func() { f(leader, places) })
	}
	wg.Wait()
}

// ends returns the first and the next offset of places. Where a leader has moved, it looks again, for a moment; topics stay
// as they are, because others may read them at the same time.
func (c *cluster) ends(ctx context.Context, topics map[string]topicView, places []place) (first, next map[place]offsetAt) {
	topics = maps.Clone(topics)
	first, next = map[place]offsetAt{}, map[place]offsetAt{}
	for turn := 0; turn < 6 && len(places) > 0; turn++ {
		if turn > 0 {
			if pause(ctx, turn+2) != nil {
				break
			}
			names, _ := topicsOf(places)
			again, err := c.metadata(ctx, slices.Compact(names))
			if err != nil {
				break
			}
			maps.Copy(topics, again)
		}
		l := leaders(topics, places)
		var wg sync.WaitGroup
		var a, b map[place]offsetAt
		wg.Go(func() { a = c.listOffsets(ctx, l, func(place) int64 { return earliest }) })
		wg.Go(func() { b = c.listOffsets(ctx, l, func(place) int64 { return latest }) })
		wg.Wait()
		var moved []place
		for _, p := range places {
			first[p], next[p] = a[p], b[p]
			if _, led := l[p]; led && (movedLeader(a[p].err) || movedLeader(b[p].err)) {
				moved = append(moved, p)
			}
		}
		places = moved
	}
	return first, next
}
