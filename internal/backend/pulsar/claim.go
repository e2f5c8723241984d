package pulsar

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// A subject is what a marker is of: a store, or one of its subscriptions.
type subject struct {
	store  string
	prefix string // How its properties begin.
	topic  string // How the topics begin that decide who wins a round.
}

func ofStore(store string) subject {
	return subject{store: store, prefix: storePrefix, topic: deciding}
}

func ofSubscription(id backend.SubscriptionID) subject {
	return subject{store: id.Store, prefix: subscriptionKeys(id.Name), topic: id.Name + "." + deciding}
}

// deciding is how the names of a store's deciding topics begin.
const deciding = "owner."

// claimProperty is the property of a deciding topic that has the claim.
const claimProperty = "claim"

// win begins the round after current with a claim, or fails with [backend.ErrConflict] if somebody else has begun it. For
// each round there is a partitioned topic, which Pulsar creates for one of several claimants, with the claim in its
// properties: whoever crashes before the claim is in the marker finds it there, and whoever loses to it puts it into the
// marker. Nothing is ever written to these topics, and no principal may use them.
func win[S any](ctx context.Context, b *Backend, kind string, of subject, current marker[S], next claim, settings S) (marker[S], error) {
	won := marker[S]{round: current.round + 1, claim: next, settings: settings}
	err := b.decide(ctx, kind, of, won.round, next)
	if isConflict(err) {
		if current.round == 0 {
			// Of a marker that got lost the topics are left: the last one says whose it was.
			if won.round, err = b.lastRound(ctx, kind, of); err != nil {
				return current, err
			}
		}
		decided, err := b.decided(ctx, kind, of, won.round)
		if err != nil {
			return current, err
		}
		if decided.owner() != next.owner() || decided.Deleting != next.Deleting {
			key := of.prefix + strconv.Itoa(won.round)
			return current, first(b.setProperties(ctx, kind, of.store, map[string]string{key: encode(decided)}), backend.ErrConflict)
		}
		won.claim = decided
	} else if err != nil {
		return current, err
	}
	return won, b.setProperties(ctx, kind, of.store, won.properties(of.prefix))
}

// decide creates the topic that decides a round.
func (b *Backend) decide(ctx context.Context, kind string, of subject, round int, next claim) error {
	return b.createPartitioned(ctx, kind, of.store, of.topic+strconv.Itoa(round), 1, map[string]string{claimProperty: encode(next)})
}

// lastRound returns the highest round that a topic has decided, and 1 if the broker does not list any yet.
func (b *Backend) lastRound(ctx context.Context, kind string, of subject) (int, error) {
	rounds, err := b.rounds(ctx, kind, of)
	last := 1
	for _, r := range rounds {
		last = max(last, r)
	}
	return last, err
}

// rounds returns the rounds that topics have decided.
func (b *Backend) rounds(ctx context.Context, kind string, of subject) (rounds []int, err error) {
	var topics []string
	if err := unlessAbsent(b.get(ctx, kind, "persistent/"+b.namespaceName(of.store)+"/partitioned", &topics)); err != nil {
		return nil, err
	}
	for _, t := range topics {
		rest, ok := strings.CutPrefix(t, b.fullName(of.store, of.topic))
		if round, err := strconv.Atoi(rest); ok && err == nil {
			rounds = append(rounds, round)
		}
	}
	return rounds, nil
}

// decidedTimeout is how long a broker may take to know of a topic that it has just said exists: what it looked up before is
// in its cache.
const decidedTimeout = 3 * time.Second

// decided returns the claim that a topic has.
func (b *Backend) decided(ctx context.Context, kind string, of subject, round int) (c claim, err error) {
	topic := of.topic + strconv.Itoa(round)
	var metadata struct {
		Properties map[string]string `json:"properties"`
	}
	ctx, cancel := context.WithTimeout(ctx, decidedTimeout)
	defer cancel()
	for {
		err := b.get(ctx, kind, b.topic(of.store, topic)+"/partitions", &metadata)
		if err == nil {
			break
		}
		if !isAbsent(err) {
			return c, err
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return c, err
		}
	}
	if err := json.Unmarshal([]byte(metadata.Properties[claimProperty]), &c); err != nil {
		return c, dataError{fmt.Errorf("its marker is damaged: topic %q has no claim that can be read: delete that topic", topic)}
	}
	return c, nil
}

func (b *Backend) setProperties(ctx context.Context, kind, store string, properties map[string]string) error {
	return b.put(ctx, kind, b.namespace(store)+"/properties", properties)
}

// takeOver claims what is marked for owner, if the marker is as it was observed. It returns the marker as it is then.
func takeOver[S any](ctx context.Context, b *Backend, kind string, of subject, current marker[S], observed plan.Owner, marked bool, next claim, settings S) (marker[S], error) {
	owner := next.owner()
	switch {
	case current.marked() && current.claim.owner() == owner && !current.claim.Deleting:
		return current, nil
	case current.marked() && current.claim.Deleting:
		return current, deletionError{}
	case current.marked() != marked, marked && current.claim.owner() != observed:
		return current, backend.ErrConflict
	}
	if current.marked() {
		next = current.claim
		next.Owner = ownerJSON(owner)
		if !current.claim.same(owner) {
			next.Takeovers++
		}
	}
	return win(ctx, b, kind, of, current, next, settings)
}

// doom begins the deletion of what is marked, on behalf of a resource. From then on nobody else can claim it.
func doom[S any](ctx context.Context, b *Backend, kind string, of subject, current marker[S], owner plan.Owner) (marker[S], error) {
	if err := current.deletable(owner); err != nil || current.claim.Deleting {
		return current, err
	}
	next := current.claim
	next.Deleting = true
	return win(ctx, b, kind, of, current, next, current.settings)
}

// deletable fails with [backend.ErrConflict] unless the marker is the resource's, which may have been made anew since.
func (m marker[S]) deletable(owner plan.Owner) error {
	if !m.claim.same(owner) {
		return backend.ErrConflict
	}
	return nil
}

// ownedBy fails with [backend.ErrConflict] unless the marker belongs to owner.
func (m marker[S]) ownedBy(owner plan.Owner) error {
	switch {
	case !m.marked() || m.claim.owner() != owner:
		return backend.ErrConflict
	case m.claim.Deleting:
		return deletionError{}
	}
	return nil
}
