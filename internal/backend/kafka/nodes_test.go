package kafka

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// TestNodesComeAndGo administers a cluster of three while each of its nodes is killed and comes back, and so the controller
// moves: what fails is tried again, as the mirror does, and nothing is made twice or lost.
func TestNodesComeAndGo(t *testing.T) {
	f := startOwn(t, broker.KafkaOptions{Nodes: 3})
	t.Cleanup(func() {
		if t.Failed() {
			f.tell(t)
		}
	})
	made := func(name string) {
		t.Helper()
		d, c := f.store(name)
		d.Replicas, d.MinInSync = 3, 2
		s, sc := f.subscription(name, "reader")
		eventually(t, "store "+name, func() bool {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			err := f.tryStore(ctx, d, c)
			if err == nil {
				err = f.trySubscription(ctx, s, sc)
			}
			return said(t, name, err)
		})
	}
	made("nodes.before")
	for i, n := range f.Nodes {
		if err := n.Kill(); err != nil {
			t.Fatal(err)
		}
		made(fmt.Sprintf("nodes.without-%d", i))
		var wg sync.WaitGroup
		wg.Go(func() { made(fmt.Sprintf("nodes.while-%d-returns", i)) })
		if err := n.Restart(context.WithoutCancel(t.Context())); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
	}
	made("nodes.after")
	names := []string{"nodes.before", "nodes.after"}
	for i := range f.Nodes {
		names = append(names, fmt.Sprintf("nodes.without-%d", i), fmt.Sprintf("nodes.while-%d-returns", i))
	}
	eventually(t, "every store to be well", func() bool {
		for i, r := range f.backend.ReadStores(t.Context(), names) {
			if r.Err != nil || r.Value.Unavailable != "" || r.Value.Records() != 0 || len(r.Value.Logs) != 3 || r.Value.Replicas != 3 {
				return said(t, names[i], fmt.Errorf("%+v, %w", r.Value, r.Err))
			}
		}
		return true
	})
}

// tell logs what each node that runs says of who leads the registry, and the controllers.
func (f *fixture) tell(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 30*time.Second)
	defer cancel()
	c, registry := f.backend.cluster, f.backend.registry.topic
	home, err := c.homeID(ctx)
	t.Logf("what can be asked of any broker is asked of %d, %v", home, err)
	for _, n := range f.Nodes {
		if !n.Process().Running() {
			t.Logf("node %d does not run", n.ID)
			continue
		}
		metadata := kmsg.NewPtrMetadataRequest()
		asked := kmsg.NewMetadataRequestTopic()
		asked.Topic = &registry
		metadata.Topics = append(metadata.Topics, asked)
		known, err := metadata.RequestWith(ctx, c.at(int32(n.ID)))
		t.Logf("node %d of the registry: %+v, %v", n.ID, known, err)
		quorum := kmsg.NewPtrDescribeQuorumRequest()
		log, partition := kmsg.NewDescribeQuorumRequestTopic(), kmsg.NewDescribeQuorumRequestTopicPartition()
		log.Topic = "__cluster_metadata"
		log.Partitions = append(log.Partitions, partition)
		quorum.Topics = append(quorum.Topics, log)
		voters, err := quorum.RequestWith(ctx, c.at(int32(n.ID)))
		t.Logf("node %d of the controllers: %+v, %v", n.ID, voters, err)
	}
}

// said logs an error that is not the one before, and reports whether there is none.
func said(t *testing.T, what string, err error) bool {
	t.Helper()
	lastSaid.mu.Lock()
	defer lastSaid.mu.Unlock()
	if err != nil && lastSaid.text != err.Error() {
		lastSaid.text = err.Error()
		t.Logf("%s: %v", what, err)
	}
	return err == nil
}

var lastSaid struct {
	mu   sync.Mutex
	text string
}

// tryStore plans and applies, once.
func (f *fixture) tryStore(ctx context.Context, d plan.DesiredStore, c plan.Context) error {
	r := f.backend.ReadStores(ctx, []string{d.Name})[0]
	if r.Err != nil {
		return r.Err
	}
	d.Settings, _ = f.backend.StoreSettings(d)
	p := plan.Store(d, r.Value, c)
	if p.Unavailable != "" || len(p.Refusals) > 0 {
		return fmt.Errorf("unavailable: %q, refused: %+v", p.Unavailable, p.Refusals)
	}
	if len(p.Changes) == 0 {
		return nil
	}
	return f.backend.ApplyStores(ctx, []backend.StoreChange{{Desired: d, Observed: r.Value, Changes: p.Changes, Password: passwordOf(d.Name)}})[0]
}

func (f *fixture) trySubscription(ctx context.Context, d plan.DesiredSubscription, c plan.Context) error {
	r := f.backend.ReadSubscriptions(ctx, []backend.SubscriptionID{{Store: d.Store, Name: d.Name}})[0]
	if r.Err != nil {
		return r.Err
	}
	d.Settings = f.backend.SubscriptionSettings(d)
	p := plan.Subscription(d, r.Value, c)
	if p.Unavailable != "" || len(p.Refusals) > 0 {
		return fmt.Errorf("unavailable: %q, refused: %+v", p.Unavailable, p.Refusals)
	}
	if len(p.Changes) == 0 {
		return nil
	}
	return f.backend.ApplySubscriptions(ctx, []backend.SubscriptionChange{{Desired: d, Observed: r.Value, Changes: p.Changes, Password: passwordOf(d.Store + d.Name)}})[0]
}

// TestPartitionWithoutLeader stops the broker that has the only copy of some partitions: they are not there, and not lost,
// and the other stores are as they were.
func TestPartitionWithoutLeader(t *testing.T) {
	f := startOwn(t, broker.KafkaOptions{Nodes: 3})
	copies := func(name string, n int) {
		d, c := f.store(name)
		d.Replicas, d.Partitions = n, 6
		f.applyStore(t, d, c)
	}
	copies("leader.one", 1)
	copies("leader.three", 3)
	s, sc := f.subscription("leader.one", "reader")
	f.applySubscription(t, s, sc)
	for p := range 6 {
		f.append(t, "leader.one", p, 1)
	}
	topics, err := f.backend.cluster.metadata(t.Context(), []string{layout.KafkaEvents("leader.one")})
	if err != nil {
		t.Fatal(err)
	}
	gone := topics[layout.KafkaEvents("leader.one")].partitions[2].leader
	if err := f.Nodes[gone-1].Kill(); err != nil {
		t.Fatal(err)
	}
	d, c := f.store("leader.one")
	d.Partitions = 6
	c.KnownRecords = map[int]int64{0: 1, 1: 1, 2: 1, 3: 1, 4: 1, 5: 1}
	eventually(t, "partitions without a leader", func() bool {
		r := f.backend.ReadStores(t.Context(), []string{"leader.one", "leader.three"})
		if r[0].Err != nil || r[1].Err != nil {
			return said(t, "leader", first(r[0].Err, r[1].Err)) // While the cluster finds out.
		}
		p := plan.Store(d, r[0].Value, c)
		if len(p.Refusals) > 0 || len(p.Changes) > 0 && r[0].Value.Unavailable != "" {
			t.Errorf("plan while partitions are away: %+v", p)
		}
		return strings.Contains(p.Unavailable, "has no leader") && r[1].Value.Unavailable == "" && len(r[1].Value.Logs) == 6
	})
	if r := f.backend.ReadSubscriptions(t.Context(), []backend.SubscriptionID{{Store: "leader.one", Name: "reader"}})[0]; r.Err != nil || r.Value.Unavailable == "" {
		t.Errorf("the subscription: %+v, %v", r.Value, r.Err)
	}
	if err := f.Nodes[gone-1].Restart(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the partitions to be back", func() bool {
		r := f.backend.ReadStores(t.Context(), []string{"leader.one"})[0]
		return r.Err == nil && r.Value.Unavailable == "" && r.Value.Records() == 6
	})
}

func TestRegistryWarnings(t *testing.T) {
	partition := func(leader int32, replicas, inSync int) kmsg.MetadataResponseTopic {
		return kmsg.MetadataResponseTopic{Partitions: []kmsg.MetadataResponseTopicPartition{{Leader: leader, Replicas: make([]int32, replicas), ISR: make([]int32, inSync)}}}
	}
	cases := map[string]struct {
		reason  string
		topic   kmsg.MetadataResponseTopic
		brokers int
		want    string
	}{
		"Well":       {reason: "As many copies as there should be.", topic: partition(1, 3, 3), brokers: 3},
		"Alone":      {reason: "On one broker there is no second copy to be had.", topic: partition(1, 1, 1), brokers: 1},
		"Missing":    {reason: "It is made when it is needed.", brokers: 3},
		"OneCopy":    {reason: "Its broker is all that stands between us and forgetting everything.", topic: partition(1, 1, 1), brokers: 3, want: "one copy on a cluster of 3 brokers"},
		"Lagging":    {reason: "A broker is missing.", topic: partition(1, 3, 2), brokers: 2, want: "2 of its 3 copies"},
		"Leaderless": {reason: "Nothing works.", topic: partition(-1, 3, 0), brokers: 2, want: "has no leader"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := registryWarnings(tc.topic, tc.brokers, "r")
			if len(got) != min(len(tc.want), 1) || len(got) > 0 && !strings.Contains(got[0], tc.want) {
				t.Errorf("%s\nregistryWarnings: %q, want %q", tc.reason, got, tc.want)
			}
		})
	}
}
