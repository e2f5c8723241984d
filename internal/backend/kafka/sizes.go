package kafka

import (
	"context"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// sizesEvery is how often the sizes of partitions are asked for: a broker adds up all its segments for that. Those of
// partitions that have none yet are asked for at once.
const sizesEvery = time.Minute

// sizes remembers how much partitions take on the disks of their leaders.
type sizes struct {
	mu    sync.Mutex
	known map[place]size
}

type size struct {
	bytes int64
	asked time.Time
}

func (s *sizes) of(p place) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known[p].bytes
}

// find asks for the sizes of places, in one request to each leader, if it is time to.
func (s *sizes) find(ctx context.Context, c *cluster, topics map[string]topicView, places []place) {
	if !s.due(places) {
		return
	}
	c.eachLeader(leaders(topics, places), func(leader int32, places []place) {
		req := kmsg.NewPtrDescribeLogDirsRequest()
		names, partitions := topicsOf(places)
		for _, n := range names {
			t := kmsg.NewDescribeLogDirsRequestTopic()
			t.Topic = n
			for _, p := range partitions[n] {
				t.Partitions = append(t.Partitions, p.partition)
			}
			req.Topics = append(req.Topics, t)
		}
		resp, err := req.RequestWith(ctx, c.at(leader))
		if err != nil {
			resp = kmsg.NewPtrDescribeLogDirsResponse() // Not allowed, or not known: nothing is told of sizes.
		}
		s.remember(places, resp)
	})
}

// due reports whether a place was never asked for, or all of them long ago.
func (s *sizes) due(places []place) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range places {
		if time.Since(s.known[p].asked) > sizesEvery {
			return true
		}
	}
	return false
}

func (s *sizes) remember(places []place, resp *kmsg.DescribeLogDirsResponse) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil {
		s.known = map[place]size{}
	}
	now := time.Now()
	for _, p := range places {
		s.known[p] = size{asked: now, bytes: s.known[p].bytes}
	}
	for _, d := range resp.Dirs {
		for _, t := range d.Topics {
			for _, p := range t.Partitions {
				if !p.IsFuture {
					s.known[place{t.Topic, p.Partition}] = size{bytes: p.Size, asked: now}
				}
			}
		}
	}
}
