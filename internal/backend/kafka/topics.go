package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// recordsPerRequest is how many records one request adds to the controllers' log at most. They refuse more than 10,000.
const recordsPerRequest = 8000

// A newTopic is one to be created.
type newTopic struct {
	at         int // Which of the batch's resources it belongs to.
	name       string
	partitions int
	replicas   int // 0: the broker's default.
	config     map[string]string
}

// createTopics creates topics, and returns which of them existed already.
func (b *Backend) createTopics(ctx context.Context, topics []newTopic, errs []error) (existed []newTopic) {
	for len(topics) > 0 {
		n, records := 0, 0
		for n < len(topics) && (n == 0 || records+topics[n].records() <= recordsPerRequest) {
			records += topics[n].records()
			n++
		}
		more, refused := b.createSome(ctx, topics[:n], errs)
		existed = append(existed, more...)
		more, _ = b.createSome(ctx, refused, errs)
		existed = append(existed, more...)
		topics = topics[n:]
	}
	return existed
}

func (t newTopic) records() int { return 1 + t.partitions + len(t.config) }

// createSome sends one request. refused are topics that may be taken without what their configuration says of elections.
func (b *Backend) createSome(ctx context.Context, topics []newTopic, errs []error) (existed, refused []newTopic) {
	if len(topics) == 0 {
		return nil, nil
	}
	req := kmsg.NewPtrCreateTopicsRequest()
	req.TimeoutMillis = int32(adminTimeout / time.Millisecond)
	for _, t := range topics {
		one := kmsg.NewCreateTopicsRequestTopic()
		one.Topic, one.NumPartitions, one.ReplicationFactor = t.name, int32(t.partitions), -1
		if t.replicas > 0 {
			one.ReplicationFactor = int16(t.replicas)
		}
		for _, k := range slices.Sorted(maps.Keys(t.config)) {
			if v := t.config[k]; v != "" {
				c := kmsg.NewCreateTopicsRequestTopicConfig()
				c.Name, c.Value = k, &v
				one.Configs = append(one.Configs, c)
			}
		}
		req.Topics = append(req.Topics, one)
	}
	resp, err := req.RequestWith(ctx, b.cluster.controller())
	outcome := map[string]error{}
	if err == nil {
		for _, t := range resp.Topics {
			outcome[t.Topic] = answer(t.ErrorCode, t.ErrorMessage)
		}
	}
	for _, t := range topics {
		switch e := first(err, outcome[t.name]); {
		case errors.Is(e, kerr.TopicAlreadyExists):
			existed = append(existed, t)
		case t.config[keyUnclean] != "" && refusesConfig(e):
			t.config = maps.Clone(t.config)
			delete(t.config, keyUnclean)
			refused = append(refused, t)
		case e != nil:
			errs[t.at] = first(errs[t.at], fmt.Errorf("cannot create topic %q: %w", t.name, b.explain(e)))
		}
	}
	return existed, refused
}

// refusesConfig reports whether a topic's configuration is refused. Some services refuse even what they have as the default:
// their own rule for elections.
func refusesConfig(err error) bool {
	return errors.Is(err, kerr.InvalidConfig) || errors.Is(err, kerr.PolicyViolation)
}

// An alteration sets keys of a topic's configuration; to the broker's default, those that have no value.
type alteration struct {
	at    int
	topic string
	set   map[string]string
}

// alterTopics changes configurations.
func (b *Backend) alterTopics(ctx context.Context, alterations []alteration, errs []error) {
	for some := range slices.Chunk(alterations, 500) {
		req := kmsg.NewPtrIncrementalAlterConfigsRequest()
		for _, a := range some {
			r := kmsg.NewIncrementalAlterConfigsRequestResource()
			r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeTopic, a.topic
			for _, k := range slices.Sorted(maps.Keys(a.set)) {
				c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
				v := a.set[k]
				if c.Name, c.Op = k, kmsg.IncrementalAlterConfigOpDelete; v != "" {
					c.Op, c.Value = kmsg.IncrementalAlterConfigOpSet, &v
				}
				r.Configs = append(r.Configs, c)
			}
			req.Resources = append(req.Resources, r)
		}
		resp, err := req.RequestWith(ctx, b.cluster.controller())
		outcome := map[string]error{}
		if err == nil {
			for _, r := range resp.Resources {
				outcome[r.ResourceName] = answer(r.ErrorCode, r.ErrorMessage)
			}
		}
		for _, a := range some {
			if e := first(err, outcome[a.topic]); e != nil {
				errs[a.at] = first(errs[a.at], fmt.Errorf("cannot configure topic %q: %w", a.topic, b.explain(e)))
			}
		}
	}
}

// awaitConfigs waits until the home shows what was set.
func (b *Backend) awaitConfigs(ctx context.Context, alterations []alteration, errs []error) {
	v := newVigil(ctx, len(alterations))
	for turn := 0; ; turn++ {
		alterations = slices.DeleteFunc(alterations, func(a alteration) bool { return errs[a.at] != nil })
		if len(alterations) == 0 {
			return
		}
		var names []string
		for _, a := range alterations {
			names = append(names, a.topic)
		}
		configs, denied, err := b.configs(ctx, names)
		for _, a := range alterations {
			errs[a.at] = first(errs[a.at], b.explain(denied[a.topic]))
		}
		if err == nil {
			alterations = slices.DeleteFunc(alterations, func(a alteration) bool { return configs[a.topic].shows(a.set) })
			err = v.pause(ctx, turn, len(alterations))
		}
		if err != nil {
			for _, a := range alterations {
				errs[a.at] = first(errs[a.at], fmt.Errorf("cannot see that topic %q was configured: %w", a.topic, b.explain(err)))
			}
			return
		}
	}
}

// shows reports whether a configuration is as it was set.
func (c config) shows(set map[string]string) bool {
	for k, v := range set {
		is := c[k]
		if k == keyUnclean && v == safeElection && is.value == v {
			continue
		}
		if is.own != (v != "") || v != "" && canonical(is.value) != canonical(v) {
			return false
		}
	}
	return true
}

// growTopics adds partitions to topics that have fewer than they should: somebody has made them anew.
// It returns why one could not grow.
func (b *Backend) growTopics(ctx context.Context, wanted map[string]int) map[string]error {
	req := kmsg.NewPtrCreatePartitionsRequest()
	req.TimeoutMillis = int32(adminTimeout / time.Millisecond)
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		t := kmsg.NewCreatePartitionsRequestTopic()
		t.Topic, t.Count = name, int32(wanted[name])
		req.Topics = append(req.Topics, t)
	}
	if len(req.Topics) == 0 {
		return nil
	}
	failed := map[string]error{}
	resp, err := req.RequestWith(ctx, b.cluster.controller())
	if err != nil {
		for n := range wanted {
			failed[n] = err
		}
		return failed
	}
	for _, t := range resp.Topics {
		if err := answer(t.ErrorCode, t.ErrorMessage); err != nil && !errors.Is(err, kerr.InvalidPartitions) { // It has grown meanwhile.
			failed[t.Topic] = err
		}
	}
	return failed
}

// A deadTopic is one to be deleted.
type deadTopic struct {
	at   int
	name string
}

// namesOf returns the names of topics, each once: two resources of a batch may be the same.
func namesOf(topics []deadTopic) []string {
	names := make([]string, len(topics))
	for i, t := range topics {
		names[i] = t.name
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// deleteTopics deletes topics, and waits until the home does not show them any more: Kafka answers before they are gone.
func (b *Backend) deleteTopics(ctx context.Context, topics []deadTopic, errs []error) {
	for some := range slices.Chunk(topics, 1000) {
		req := kmsg.NewPtrDeleteTopicsRequest()
		req.TimeoutMillis = int32(adminTimeout / time.Millisecond)
		for _, name := range namesOf(some) {
			one := kmsg.NewDeleteTopicsRequestTopic()
			one.Topic = &name
			req.Topics, req.TopicNames = append(req.Topics, one), append(req.TopicNames, name)
		}
		resp, err := req.RequestWith(ctx, b.cluster.controller())
		outcome := map[string]error{}
		if err == nil {
			for _, t := range resp.Topics {
				if e := answer(t.ErrorCode, t.ErrorMessage); t.Topic != nil && !errors.Is(e, kerr.UnknownTopicOrPartition) {
					outcome[*t.Topic] = e
				}
			}
		}
		for _, t := range some {
			if e := first(err, outcome[t.name]); e != nil {
				errs[t.at] = first(errs[t.at], fmt.Errorf("cannot delete topic %q: %w", t.name, b.explain(e)))
			}
		}
	}
	b.awaitGone(ctx, topics, errs)
}

func (b *Backend) awaitGone(ctx context.Context, topics []deadTopic, errs []error) {
	v := newVigil(ctx, len(topics))
	for turn := 0; ; turn++ {
		topics = slices.DeleteFunc(topics, func(t deadTopic) bool { return errs[t.at] != nil })
		if len(topics) == 0 {
			return
		}
		left, err := b.cluster.metadata(ctx, namesOf(topics))
		if err == nil {
			topics = slices.DeleteFunc(topics, func(t deadTopic) bool { _, ok := left[t.name]; return !ok })
			if len(topics) == 0 {
				return
			}
			err = v.pause(ctx, turn, len(topics))
		}
		if err != nil {
			for _, t := range topics {
				errs[t.at] = first(errs[t.at], fmt.Errorf("cannot see that topic %q is gone: %w", t.name, b.explain(err)))
			}
			return
		}
	}
}
