package kafka

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// A genesis is the first record of a partition, to be written if there is none.
type genesis struct {
	at         int
	partitions int
	fresh      bool // The topic was created a moment ago by us: nothing is in it.
}

func (g genesis) message() message {
	value, err := json.Marshal(layout.KafkaGenesis{Layout: layout.Version, Partitions: g.partitions, Hash: layout.Hash})
	if err != nil {
		panic(err) // Two numbers and a word.
	}
	return message{value: value, headers: []kmsg.Header{{Key: "content-type", Value: []byte(layout.KafkaGenesisType)}}}
}

// begin writes the genesis of every place that has no record, and waits for leaders where there are none yet: Kafka answers
// that a topic was created long before anybody can write to it. A partition that has its genesis has a leader that works.
func (b *Backend) begin(ctx context.Context, wanted map[place]genesis, errs []error) {
	grown := false
	var topics map[string]topicView
	for turn := 0; ; turn++ {
		maps.DeleteFunc(wanted, func(_ place, g genesis) bool { return errs[g.at] != nil })
		if len(wanted) == 0 {
			return
		}
		places := slices.SortedFunc(maps.Keys(wanted), comparePlaces)
		var err error
		if len(leaders(topics, places)) < len(places) || turn%5 == 0 { // Leaders that were known are not up at once, and seldom move.
			names, _ := topicsOf(places)
			topics, err = b.cluster.metadata(ctx, names)
		}
		if err == nil && !grown {
			grown, err = true, b.growTopics(ctx, tooSmall(topics, wanted))
		}
		if err == nil {
			led := leaders(topics, places)
			b.findBegun(ctx, led, wanted)
			maps.DeleteFunc(led, func(p place, _ int32) bool { _, ok := wanted[p]; return !ok })
			b.writeGenesis(ctx, led, wanted, errs)
			if len(wanted) == 0 {
				return
			}
			err = pause(ctx, turn)
		}
		if err != nil {
			for p, g := range wanted {
				errs[g.at] = first(errs[g.at], fmt.Errorf("cannot write the first record of partition %d of topic %q, which has no leader yet: %w", p.partition, p.topic, b.explain(err)))
			}
			return
		}
	}
}

// tooSmall returns the topics that have fewer partitions than they should, and how many that is.
func tooSmall(topics map[string]topicView, wanted map[place]genesis) map[string]int {
	small := map[string]int{}
	for p, g := range wanted {
		if t, ok := topics[p.topic]; ok && len(t.partitions) > 0 && len(t.partitions) < g.partitions {
			small[p.topic] = g.partitions
		}
	}
	return small
}

// findBegun drops the places that have records.
func (b *Backend) findBegun(ctx context.Context, led map[place]int32, wanted map[place]genesis) {
	unknown := map[place]int32{}
	for p, leader := range led {
		if !wanted[p].fresh {
			unknown[p] = leader
		}
	}
	for p, end := range b.cluster.listOffsets(ctx, unknown, func(place) int64 { return latest }) {
		switch {
		case end.err != nil:
			delete(led, p) // It is not known whether there is one.
		case end.offset > 0:
			delete(wanted, p)
		}
	}
}

func (b *Backend) writeGenesis(ctx context.Context, led map[place]int32, wanted map[place]genesis, errs []error) {
	var mu sync.Mutex
	b.cluster.eachLeader(led, func(leader int32, places []place) {
		mu.Lock()
		batches := make([]batch, len(places))
		for i, p := range places {
			batches[i] = batch{p, []message{wanted[p].message()}}
		}
		mu.Unlock()
		results, err := produce(ctx, b.cluster.at(leader), batches)
		mu.Lock()
		defer mu.Unlock()
		for _, p := range places {
			g := wanted[p]
			switch e := first(err, results[p].err); {
			case e == nil:
				delete(wanted, p)
			case movedLeader(e), errors.Is(e, kerr.NotEnoughReplicas):
			case err != nil, errors.Is(e, kerr.RequestTimedOut), errors.Is(e, kerr.NotEnoughReplicasAfterAppend):
				g.fresh = false // It may be there.
				wanted[p] = g
			default:
				errs[g.at] = first(errs[g.at], fmt.Errorf("cannot write the first record of partition %d of topic %q: %w", p.partition, p.topic, b.explain(e)))
			}
		}
	})
}
