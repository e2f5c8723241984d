package kafka

import (
	"context"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// headerBytes is how much of a partition is fetched to see when a record was appended: the beginning of its batch. The
	// first partition of an answer has a whole batch, however large; of others Kafka cuts off what is more.
	headerBytes = 128

	// rememberedTimes is how many are kept. Beyond that all are forgotten, and found again.
	rememberedTimes = 500_000
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

// find asks for the moments that are not known, in one request to each leader. A partition can be in it once, so the
// newest records are asked for in a second one.
func (t *times) find(ctx context.Context, c *cluster, topics map[string]topicView, wanted []moment) {
	for len(wanted) > 0 {
		now, later := map[place]moment{}, []moment(nil)
		for _, m := range wanted {
			switch _, taken := now[m.place]; {
			case !t.at(topics, m).IsZero():
			case taken:
				later = append(later, m)
			default:
				now[m.place] = m
			}
		}
		t.fetch(ctx, c, topics, now)
		wanted = later
	}
}

func (t *times) fetch(ctx context.Context, c *cluster, topics map[string]topicView, wanted map[place]moment) {
	places := make([]place, 0, len(wanted))
	for p := range wanted {
		places = append(places, p)
	}
	c.eachLeader(leaders(topics, places), func(leader int32, places []place) {
		req := kmsg.NewPtrFetchRequest()
		req.MaxBytes = 16 << 20
		names, partitions := topicsOf(places)
		for _, n := range names {
			topic := kmsg.NewFetchRequestTopic()
			topic.Topic = n
			for _, p := range partitions[n] {
				one := kmsg.NewFetchRequestTopicPartition()
				one.Partition, one.FetchOffset, one.PartitionMaxBytes = p.partition, wanted[p].offset, headerBytes
				topic.Partitions = append(topic.Partitions, one)
			}
			req.Topics = append(req.Topics, topic)
		}
		resp, err := req.RequestWith(ctx, c.at(leader))
		if err != nil {
			return // It is found next time.
		}
		for _, topic := range resp.Topics {
			for _, p := range topic.Partitions {
				if at, ok := batchTime(p.RecordBatches); ok && p.ErrorCode == 0 {
					m := wanted[place{topic.Topic, p.Partition}]
					t.remember(keyOf(topics, m), timeValue{m.offset, at})
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
