package kafka

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A place is a partition of a topic.
type place struct {
	topic     string
	partition int32
}

// A topicView is a topic as a broker sees it.
type topicView struct {
	id         [16]byte
	partitions []partitionView
	err        error // Why nothing more is known of it, though it may exist.
}

type partitionView struct {
	leader           int32 // -1: there is none.
	replicas, inSync int
}

// replicas is how many copies there are of every record.
func (t topicView) replicas() int {
	if len(t.partitions) == 0 {
		return 0
	}
	return slices.MinFunc(t.partitions, func(a, b partitionView) int { return a.replicas - b.replicas }).replicas
}

// topicsPerRequest is how many topics one request asks about at most, so that its answer comes in time.
const topicsPerRequest = 4000

// metadata returns those of the topics that exist, as the home sees them.
func (c *cluster) metadata(ctx context.Context, names []string) (map[string]topicView, error) {
	topics := make(map[string]topicView, len(names))
	for some := range slices.Chunk(names, topicsPerRequest) {
		if err := c.metadataOf(ctx, some, topics); err != nil {
			return nil, err
		}
	}
	return topics, nil
}

func (c *cluster) metadataOf(ctx context.Context, names []string, into map[string]topicView) error {
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{}
	for _, n := range names {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = &n
		req.Topics = append(req.Topics, t)
	}
	resp, err := req.RequestWith(ctx, c.anywhere())
	if err != nil {
		return err
	}
	c.count(len(resp.Brokers))
	for _, t := range resp.Topics {
		err := kerr.ErrorForCode(t.ErrorCode)
		if t.Topic == nil || errors.Is(err, kerr.UnknownTopicOrPartition) || errors.Is(err, kerr.InvalidTopicException) {
			continue
		}
		v := topicView{id: t.TopicID, err: err}
		if errors.Is(err, kerr.LeaderNotAvailable) { // It was made a moment ago.
			v.err = nil
		}
		v.partitions = make([]partitionView, len(t.Partitions))
		for i := range v.partitions {
			v.partitions[i].leader = -1
		}
		for _, p := range t.Partitions {
			if p.Partition < 0 || int(p.Partition) >= len(v.partitions) {
				continue
			}
			v.partitions[p.Partition] = partitionView{leader: p.Leader, replicas: len(p.Replicas), inSync: len(p.ISR)}
			if p.ErrorCode == kerr.LeaderNotAvailable.Code {
				v.partitions[p.Partition].leader = -1
			}
		}
		into[*t.Topic] = v
	}
	return nil
}

// leaders returns who leads the places, of those that have a leader.
func leaders(topics map[string]topicView, places []place) map[place]int32 {
	out := make(map[place]int32, len(places))
	for _, p := range places {
		if t := topics[p.topic]; int(p.partition) < len(t.partitions) && t.partitions[p.partition].leader >= 0 {
			out[p] = t.partitions[p.partition].leader
		}
	}
	return out
}

// byLeader groups places by who leads them, in order.
func byLeader(leaders map[place]int32) map[int32][]place {
	groups := map[int32][]place{}
	for p, l := range leaders {
		groups[l] = append(groups[l], p)
	}
	for _, places := range groups {
		slices.SortFunc(places, comparePlaces)
	}
	return groups
}

func comparePlaces(a, b place) int {
	if a.topic != b.topic {
		if a.topic < b.topic {
			return -1
		}
		return 1
	}
	return int(a.partition - b.partition)
}

// topicsOf returns the topics of places that are in order, each with its partitions.
func topicsOf(places []place) (names []string, partitions map[string][]place) {
	partitions = map[string][]place{}
	for _, p := range places {
		if partitions[p.topic] == nil {
			names = append(names, p.topic)
		}
		partitions[p.topic] = append(partitions[p.topic], p)
	}
	return names, partitions
}

// movedLeader reports whether the partition may be elsewhere by now, or not be up yet.
func movedLeader(err error) bool {
	return slices.ContainsFunc([]error{
		kerr.NotLeaderForPartition, kerr.LeaderNotAvailable, kerr.UnknownTopicOrPartition, kerr.ReplicaNotAvailable,
		kerr.FencedLeaderEpoch, kerr.UnknownLeaderEpoch, kerr.KafkaStorageError, kerr.OffsetNotAvailable, kerr.BrokerNotAvailable,
	}, func(k error) bool { return errors.Is(err, k) })
}

// union returns the keys of maps, sorted, each once.
func union[K ~string, V any](all ...map[K]V) []K {
	var keys []K
	for _, m := range all {
		keys = slices.AppendSeq(keys, maps.Keys(m))
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}
