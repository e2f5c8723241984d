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
	fresh      bool  // The topic was created a moment ago by us: nothing is in it.
	why        error // Why it could not be written when that was tried last.
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
// Places that do not get there fail, while the others go on.
func (b *Backend) begin(ctx context.Context, wanted map[place]genesis, errs []error) {
	all := &beginning{wanted: wanted, errs: errs}
	v := newVigil(ctx, len(wanted))
	for turn := 0; all.left() > 0; turn++ {
		now, done := v.turn(ctx)
		err := b.beginSome(now, turn, all)
		done()
		if moved := v.saw(all.left()); err == nil || moved && ctx.Err() == nil {
			continue
		}
		for p, g := range wanted {
			why := b.explain(first(g.why, err))
			if g.why == nil && errors.Is(err, errStuck) {
				why = errNoLeader
			}
			errs[g.at] = first(errs[g.at], fmt.Errorf("cannot write the first record of partition %d of topic %q: %w", p.partition, p.topic, why))
		}
		return
	}
}

// errNoLeader says why nothing can be written yet.
var errNoLeader = dataError{errors.New("it has no leader yet, and is looked at again")}

// A beginning is what is left to begin.
type beginning struct {
	wanted map[place]genesis
	errs   []error
	topics map[string]topicView
	grown  bool // Topics that were too small have what they lacked.
}

// left drops what has failed, and returns how much is left.
func (a *beginning) left() int {
	maps.DeleteFunc(a.wanted, func(_ place, g genesis) bool { return a.errs[g.at] != nil })
	return len(a.wanted)
}

// beginSome writes the genesis of those places that have a leader, and pauses if there are others.
func (b *Backend) beginSome(ctx context.Context, turn int, all *beginning) error {
	places := slices.SortedFunc(maps.Keys(all.wanted), comparePlaces)
	if len(leaders(all.topics, places)) < len(places) || turn%5 == 0 { // Leaders that were known are not up at once, and seldom move.
		names, _ := topicsOf(places)
		topics, err := b.cluster.metadata(ctx, names)
		if err != nil {
			return err
		}
		all.topics = topics
	}
	if !all.grown {
		all.grown = true
		for topic, err := range b.growTopics(ctx, tooSmall(all.topics, all.wanted)) {
			for p, g := range all.wanted {
				if p.topic == topic {
					all.errs[g.at] = first(all.errs[g.at], fmt.Errorf("cannot add partitions to topic %q: %w", topic, b.explain(err)))
				}
			}
		}
	}
	led := leaders(all.topics, places)
	b.findBegun(ctx, led, all.wanted)
	maps.DeleteFunc(led, func(p place, _ int32) bool { _, ok := all.wanted[p]; return !ok })
	b.writeGenesis(ctx, led, all.wanted, all.errs)
	if all.left() == 0 {
		return nil
	}
	return pause(ctx, turn)
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
			g := wanted[p]
			g.why = end.err
			wanted[p] = g
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
				g.why = e
				wanted[p] = g
			case err != nil, errors.Is(e, kerr.RequestTimedOut), errors.Is(e, kerr.NotEnoughReplicasAfterAppend):
				g.fresh, g.why = false, e // It may be there.
				wanted[p] = g
			default:
				errs[g.at] = first(errs[g.at], fmt.Errorf("cannot write the first record of partition %d of topic %q: %w", p.partition, p.topic, b.explain(e)))
			}
		}
	})
}
