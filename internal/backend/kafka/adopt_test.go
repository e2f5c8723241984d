package kafka

import (
	"context"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// foreign creates a topic as somebody else does.
func (f *fixture) foreign(t *testing.T, name string, partitions int, config map[string]string) {
	t.Helper()
	errs := make([]error, 1)
	if existed := f.backend.createTopics(t.Context(), []newTopic{{0, name, partitions, 1, config}}, errs); len(existed) > 0 || errs[0] != nil {
		t.Fatalf("topic %q: %v, %v", name, existed, errs)
	}
	eventually(t, "the topic", func() bool {
		topics, err := f.backend.cluster.metadata(t.Context(), []string{name})
		return err == nil && len(leaders(topics, placesOf(name, partitions))) == partitions
	})
}

// settle plans and applies until nothing is left to change, and returns what is refused.
func (f *fixture) settle(t *testing.T, d plan.DesiredStore, c plan.Context) []plan.Refusal {
	t.Helper()
	for range 4 {
		change, p := f.change(t, d, c)
		if len(p.Changes) == 0 {
			return p.Refusals
		}
		if err := f.backend.ApplyStores(t.Context(), []backend.StoreChange{change})[0]; err != nil {
			t.Fatal(err)
		}
	}
	t.Fatal("there is always something left to change")
	return nil
}

func tokenOf(t *testing.T, refusals []plan.Refusal, reason plan.Reason) string {
	t.Helper()
	i := slices.IndexFunc(refusals, func(r plan.Refusal) bool { return r.Reason == reason })
	if i < 0 {
		t.Fatalf("refusals: %+v, want %s", refusals, reason)
	}
	return refusals[i].Token
}

// TestAdopt adopts a topic that somebody else has made, of which one partition is empty. What is refused is not done along
// the way: it keeps what it kept, and grows no partition.
func TestAdopt(t *testing.T) {
	f := start(t)
	d, c := f.store("adopt.orders")
	events := layout.KafkaEvents(d.Name)
	week := strconv.FormatInt((7 * 24 * time.Hour).Milliseconds(), 10)
	f.foreign(t, events, 2, map[string]string{keyRetention: week})
	f.produce(t, place{events, 0}, event(1), event(2))
	d.Retention = plan.Retention{Duration: time.Hour}
	_, p := f.change(t, d, c)
	c.Confirm = tokenOf(t, p.Refusals, plan.ReasonUnowned)

	refusals := f.settle(t, d, c)
	tokenOf(t, refusals, plan.ReasonPartitionsChanged)
	confirm := tokenOf(t, refusals, plan.ReasonRetentionShrink)
	if got := f.own(t, events)[keyRetention]; got != week {
		t.Errorf("retention.ms is %s before anybody confirmed that, want %s", got, week)
	}
	o := f.readStore(t, d.Name)
	if o.Partitions != 2 || o.Grown != 0 || len(o.Logs) != 2 || o.Kind != layout.Sourcing {
		t.Errorf("adopted: %+v", o)
	}
	c.Confirm, d.Partitions = confirm, 2
	if o := f.applyStore(t, d, c); o.Retention != d.Retention || o.Kind != layout.Streaming {
		t.Errorf("after the shorter retention was confirmed: %+v", o)
	}
}

// TestForeignSnapshots has a topic of somebody else where a store's snapshots would be. It stays as it is.
func TestForeignSnapshots(t *testing.T) {
	f := start(t)
	mine := func(t *testing.T, name string) (plan.DesiredStore, plan.Context, func()) {
		t.Helper()
		d, c := f.store(name)
		d.Snapshots = true
		topic := layout.KafkaSnapshots(name)
		f.foreign(t, topic, 3, map[string]string{keyRetention: "-1"})
		f.produce(t, place{topic, 0}, event(1))
		return d, c, func() {
			t.Helper()
			if diff := cmp.Diff(map[string]string{keyRetention: "-1"}, f.own(t, topic)); diff != "" {
				t.Errorf("somebody else's topic: -want, +got:\n%s", diff)
			}
		}
	}
	t.Run("NoStore", func(t *testing.T) {
		d, c, untouched := mine(t, "foreign.new")
		change, p := f.change(t, d, c)
		tokenOf(t, p.Refusals, plan.ReasonUnowned)
		if change.Observed.Remains == "" || len(p.Changes) > 0 {
			t.Errorf("plan: %+v", p)
		}
		untouched()
		c.Confirm = tokenOf(t, p.Refusals, plan.ReasonUnowned)
		if o := f.applyStore(t, d, c); !o.Snapshots || f.own(t, layout.KafkaSnapshots(d.Name))[keyCleanup] != "compact" {
			t.Errorf("adopted: %+v", o)
		}
	})
	t.Run("MadeMeanwhile", func(t *testing.T) {
		d, c := f.store("foreign.meanwhile")
		d.Snapshots = true
		change, _ := f.change(t, d, c)
		_, _, untouched := mine(t, d.Name)
		if err := f.backend.ApplyStores(t.Context(), []backend.StoreChange{change})[0]; err == nil {
			t.Error("the store took the topic")
		}
		untouched()
		_, p := f.change(t, d, c)
		tokenOf(t, p.Refusals, plan.ReasonUnowned)
	})
	t.Run("StoreWithout", func(t *testing.T) {
		d, c := f.store("foreign.without")
		f.applyStore(t, d, c)
		d, _, untouched := mine(t, d.Name)
		d.MaxEventBytes = 1 << 20
		change, _ := f.change(t, d, c)
		if err := f.backend.ApplyStores(t.Context(), []backend.StoreChange{change})[0]; err == nil {
			t.Error("the store took the topic")
		}
		untouched()
		if o := f.readStore(t, d.Name); o.Snapshots || o.MaxEventBytes != d.MaxEventBytes {
			t.Errorf("the store: %+v, want its other changes, and no snapshots", o)
		}
		if err := f.backend.DeleteStores(t.Context(), stores(d.Name))[0]; err != nil {
			t.Fatal(err)
		}
		untouched()
	})
	t.Run("Ours", func(t *testing.T) {
		d, c := f.store("foreign.not")
		d.Snapshots = true
		f.applyStore(t, d, c)
		d.Snapshots = false
		f.applyStore(t, d, c)
		if err := f.backend.DeleteStores(t.Context(), stores(d.Name))[0]; err != nil {
			t.Fatal(err)
		}
		topics, err := f.backend.cluster.metadata(t.Context(), []string{layout.KafkaSnapshots(d.Name)})
		if err != nil || len(topics) > 0 {
			t.Errorf("the topic of snapshots that are off: %v, %v, want it to go with its store", topics, err)
		}
	})
}

// TestForeignDeadLetters has a topic of somebody else, with something in it, where a subscription's dead letters go. What is
// in it is kept for as long as it was.
func TestForeignDeadLetters(t *testing.T) {
	f := start(t)
	d, c := f.store("foreign.letters")
	f.applyStore(t, d, c)
	topic := layout.KafkaDeadLetters(d.Name, "reader")
	f.foreign(t, topic, 1, nil)
	f.produce(t, place{topic, 0}, event(1))
	s, sc := f.subscription(d.Name, "reader")
	s.DeadLetterRetention = time.Hour
	var p plan.Plan
	eventually(t, "the subscription to be as it can be", func() bool { // Users and rights are seen later than they are confirmed.
		var change backend.SubscriptionChange
		if change, p = f.changeSubscription(t, s, sc); len(p.Changes) == 0 {
			return p.Unavailable == ""
		}
		if err := f.backend.ApplySubscriptions(t.Context(), []backend.SubscriptionChange{change})[0]; err != nil {
			t.Fatal(err)
		}
		return false
	})
	tokenOf(t, p.Refusals, plan.ReasonDeadLettersNotEmpty)
	if got, set := f.own(t, topic)[keyRetention]; set {
		t.Errorf("retention.ms is %s before anybody confirmed that", got)
	}
}

// TestGrownIsNotEmpty deletes a store whose only records are in a partition that somebody has added.
func TestGrownIsNotEmpty(t *testing.T) {
	f := start(t)
	d, c := f.store("grown.elsewhere")
	f.applyStore(t, d, c)
	events := layout.KafkaEvents(d.Name)
	if failed := f.backend.growTopics(t.Context(), map[string]int{events: 4}); len(failed) > 0 {
		t.Fatal(failed)
	}
	eventually(t, "the partition", func() bool {
		topics, err := f.backend.cluster.metadata(context.WithoutCancel(t.Context()), []string{events})
		return err == nil && len(leaders(topics, placesOf(events, 4))) == 4
	})
	if refusals := plan.DeleteStore(d, f.readStore(t, d.Name), c); len(refusals) > 0 {
		t.Errorf("deletion of an empty store: %+v", refusals)
	}
	f.produce(t, place{events, 3}, event(1))
	tokenOf(t, plan.DeleteStore(d, f.readStore(t, d.Name), c), plan.ReasonNotEmpty)
}
