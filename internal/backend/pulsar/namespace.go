package pulsar

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// A namespace is what Pulsar has of a store's namespace. nil means that there is none.
type namespace struct {
	Properties map[string]string `json:"properties"`
	Auth       struct {
		Namespace     map[string][]string            `json:"namespace_auth"`
		Topics        map[string]map[string][]string `json:"destination_auth"`
		Subscriptions map[string][]string            `json:"subscription_auth_roles"`
	} `json:"auth_policies"`
	Retention *retention `json:"retention_policies"`
	TTL       *int64     `json:"message_ttl_in_seconds"`

	policies map[string]json.RawMessage // All, by name.
}

// readNamespace reads the policies of a store's namespace, with its permissions and properties, in one request.
func (b *Backend) readNamespace(ctx context.Context, kind, store string) (*namespace, error) {
	n := &namespace{}
	if err := b.get(ctx, kind, b.namespace(store), &n.policies); err != nil {
		return nil, unlessAbsent(err)
	}
	all, err := json.Marshal(n.policies)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(all, n); err != nil {
		return nil, fmt.Errorf("cannot read the policies of namespace %q: %w", b.namespaceName(store), err)
	}
	return n, nil
}

// A retention is how long Pulsar keeps what subscriptions have acknowledged, or nobody reads. -1: for ever.
type retention struct {
	Minutes   int64 `json:"retentionTimeInMinutes"`
	Megabytes int64 `json:"retentionSizeInMB"` // Of one partition.
}

// brokerDefault stands for a limit that is not set, so that the broker's own applies, whatever that is. It is as short as
// can be, so that no wish equals it, and every wish is wider.
const brokerDefault = time.Nanosecond

// policyOf returns the policy that keeps at least what is asked for, of a store with so many partitions.
func policyOf(r plan.Retention, partitions int) retention {
	p := retention{Minutes: -1, Megabytes: -1}
	if r.Duration > 0 {
		p.Minutes = roundUp(int64(r.Duration), int64(time.Minute))
	}
	if r.Bytes > 0 {
		p.Megabytes = roundUp(r.Bytes, int64(partitions)<<20)
	}
	return p
}

// observe returns the retention that was asked for, if the policy is what that makes; else what the policy says.
func (p *retention) observe(asked plan.Retention, partitions int) plan.Retention {
	if p == nil {
		return plan.Retention{Duration: brokerDefault}
	}
	want := policyOf(asked, partitions)
	if p.Minutes != want.Minutes {
		asked.Duration = time.Duration(max(p.Minutes, 0)) * time.Minute
		if p.Minutes == 0 {
			asked.Duration = brokerDefault
		}
	}
	if p.Megabytes != want.Megabytes {
		asked.Bytes = max(p.Megabytes, 0) << 20 * int64(partitions)
		if p.Megabytes == 0 {
			asked.Bytes = 1
		}
	}
	return asked
}

// ttlSeconds returns the policy for a time to live. 0: none.
func ttlSeconds(d time.Duration) int64 { return roundUp(int64(d), int64(time.Second)) }

// observeTTL returns the time to live that was asked for, if the policy is what that makes; else what the policy says.
func observeTTL(seconds *int64, asked time.Duration) time.Duration {
	switch {
	case seconds == nil:
		return brokerDefault
	case *seconds == ttlSeconds(asked):
		return asked
	default:
		return time.Duration(*seconds) * time.Second
	}
}

func roundUp(n, unit int64) int64 { return (n + unit - 1) / unit }

// setRetention sets the policy of the namespace.
func (b *Backend) setRetention(ctx context.Context, store string, r plan.Retention, partitions int) error {
	return b.post(ctx, "ApplyStores", b.namespace(store)+"/retention", policyOf(r, partitions))
}

// rightsOf returns what a role may do, as sorted lines: on the namespace, on topics by their local names, on a subscription.
func (n *namespace) rightsOf(role, topicPrefix string) (rights []string) {
	if actions, ok := n.Auth.Namespace[role]; ok {
		rights = append(rights, right("*", actions))
	}
	for topic, roles := range n.Auth.Topics {
		if actions, ok := roles[role]; ok {
			rights = append(rights, right(strings.TrimPrefix(topic, topicPrefix), actions))
		}
	}
	slices.Sort(rights)
	return rights
}

// right spells what may be done with a topic.
func right(topic string, actions []string) string {
	actions = slices.Clone(actions)
	slices.Sort(actions)
	return topic + ": " + strings.Join(actions, ", ")
}

// topics are the local names of the topics that a namespace has; partitions by their own names.
type topics map[string]bool

func (b *Backend) readTopics(ctx context.Context, kind, store string) (topics, error) {
	var names []string
	if err := unlessAbsent(b.get(ctx, kind, b.namespace(store)+"/topics", &names)); err != nil {
		return nil, err
	}
	t := topics{}
	for _, n := range names {
		if local, ok := strings.CutPrefix(n, b.fullName(store, "")); ok {
			t[local] = true
		}
	}
	return t, nil
}

// snapshots reports whether every partition of the topic for snapshots is there.
func (t topics) snapshots(partitions int) bool {
	for p := range partitions {
		if !t[layout.PulsarPartition(layout.PulsarSnapshots, p)] {
			return false
		}
	}
	return partitions > 0
}

// deadLetters returns the subscriptions that keep dead letters.
func (t topics) deadLetters() (subscriptions []string) {
	for local := range t {
		if s, ok := layout.PulsarDeadLettersOf(local); ok {
			subscriptions = append(subscriptions, s)
		}
	}
	slices.Sort(subscriptions)
	return subscriptions
}
