package kafka

import (
	"context"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// smallBatch is how much of a partition is fetched at first to see when a record was appended. It has to be the whole
	// batch that the record is in: Kafka leaves out what is more, but for one partition of each answer. Those that are left
	// out are fetched once more with largeBatch, up to fetchedBatches in all; the rest have to wait until next time.
	smallBatch     = 16 << 10
	largeBatch     = 1 << 20
	fetchedBatches = 8 << 20

	// rememberedTimes is how many are kept. Beyond that all are forgotten, and found again.
	rememberedTimes = 500_000
)

// What moments are asked for. Of the last record of a partition Kafka tells the time without the record.
const (
	firstMoment = "first"
	lastMoment  = "last"
)

// A moment is a record of which it is asked when it was appended, and what for: of each purpose and place one is remembered.
type moment struct {
	place

	purpose string
	offset  int64
}

// times remembers when records were appended: that does not change, so of records at rest it is asked once.
type times struct {
	mu    sync.Mutex
	known map[timeKey]timeValue
}

type timeKey struct {
	topic     [16]byte // Its id: a topic that was made anew has other records.
	partition int32
	purpose   string
}

type timeValue struct {
	offset int64
	time   time.Time
}

func keyOf(topics map[string]topicView, m moment) timeKey {
	return timeKey{topics[m.topic].id, m.partition, m.purpose}
}

// at returns what is known of a moment; the zero time if nothing is.
func (t *times) at(topics map[string]topicView, m moment) time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	if v := t.known[keyOf(topics, m)]; v.offset == m.offset {
		return v.time
	}
	return time.Time{}
}

// find asks for the moments that are not known. A partition can be in a request once, so several moments of one place are
// asked for one after the other.
func (t *times) find(ctx context.Context, c *cluster, topics map[string]topicView, wanted []moment) {
	last := map[place]moment{}
	for len(wanted) > 0 {
		now, later := map[place]moment{}, []moment(nil)
		for _, m := range wanted {
			switch _, taken := now[m.place]; {
			case !t.at(topics, m).IsZero():
			case m.purpose == lastMoment:
				last[m.place] = m
			case taken:
				later = append(later, m)
			default:
				now[m.place] = m
			}
		}
		if t.fetch(ctx, c, topics, now, smallBatch, math.MaxInt32); len(now) > 0 {
			t.fetch(ctx, c, topics, now, largeBatch, fetchedBatches)
		}
		wanted = later
	}
	t.list(ctx, c, topics, last)
}

// list asks when the last records were appended.
func (t *times) list(ctx context.Context, c *cluster, topics map[string]topicView, wanted map[place]moment) {
	found := c.listOffsets(ctx, leaders(topics, slices.Collect(maps.Keys(wanted))), func(place) int64 { return newest })
	for p, o := range found {
		if o.err == nil && o.millis > 0 {
			t.remember(keyOf(topics, wanted[p]), timeValue{wanted[p].offset, time.UnixMilli(o.millis).UTC()})
		}
	}
}

// fetch reads the batches that moments are in, and takes those that it found out of the map.
func (t *times) fetch(ctx context.Context, c *cluster, topics map[string]topicView, wanted map[place]moment, each, all int32) {
	var mu sync.Mutex
	c.eachLeader(leaders(topics, slices.Collect(maps.Keys(wanted))), func(leader int32, places []place) {
		req := kmsg.NewPtrFetchRequest()
		req.MaxBytes = all
		names, partitions := topicsOf(places)
		for _, n := range names {
			topic := kmsg.NewFetchRequestTopic()
			topic.Topic = n
			for _, p := range partitions[n] {
				one := kmsg.NewFetchRequestTopicPartition()
				mu.Lock()
				one.Partition, one.FetchOffset, one.PartitionMaxBytes = p.partition, wanted[p].offset, each
				mu.Unlock()
				topic.Partitions = append(topic.Partitions, one)
			}
			req.Topics = append(req.Topics, topic)
		}
		resp, err := req.RequestWith(ctx, c.at(leader))
		if err != nil {
			return // It is found next time.
		}
		mu.Lock()
		defer mu.Unlock()
		for _, topic := range resp.Topics {
			for _, p := range topic.Partitions {
				at := place{topic.Topic, p.Partition}
				if when, ok := batchTime(p.RecordBatches); ok && p.ErrorCode == 0 {
					t.remember(keyOf(topics, wanted[at]), timeValue{wanted[at].offset, when})
					delete(wanted, at)
				}
			}
		}
	})
}

func (t *times) remember(k timeKey, v timeValue) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.known == nil || len(t.known) >= rememberedTimes {
		t.known = map[timeKey]timeValue{}
	}
	t.known[k] = v
}
