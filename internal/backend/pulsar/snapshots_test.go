package pulsar

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/apache/pulsar-client-go/pulsar"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// TestSnapshotsAreCompacted saves many snapshots of few streams, in a store that forgets: the latest of each stream stays, and
// the others go.
func TestSnapshotsAreCompacted(t *testing.T) {
	f := start(t, broker.PulsarOptions{Config: map[string]string{"managedLedgerMaxEntriesPerLedger": "50", "managedLedgerMinLedgerRolloverTimeMinutes": "0"}})
	d, c := f.store(t, "shop.orders")
	d.Partitions, d.Snapshots, d.Retention = 1, true, plan.Retention{Duration: time.Minute}
	f.applyStore(t, d, c)
	const streams, each = 5, 100
	local := layout.PulsarPartition(layout.PulsarSnapshots, 0)
	topic := f.backend.topic(d.Name, local)
	p, err := f.as(t, f.password(t, d.Principal.Name)).CreateProducer(pulsar.ProducerOptions{Topic: f.backend.fullName(d.Name, local), DisableBatching: true})
	f.must(t, err)
	defer p.Close()
	for i := range streams * each {
		_, err := p.Send(t.Context(), &pulsar.ProducerMessage{Key: fmt.Sprintf("order/%d", i%streams), Payload: fmt.Append(nil, i/streams)})
		f.must(t, err)
	}
	f.must(t, f.backend.put(t.Context(), "test", topic+"/compaction", nil))
	eventually(t, "the compaction", func() error {
		var s struct{ Status string }
		if err := f.backend.get(t.Context(), "test", topic+"/compaction", &s); err != nil || s.Status != "SUCCESS" {
			return fmt.Errorf("%s, %w", s.Status, err)
		}
		return nil
	})
	f.must(t, f.backend.put(t.Context(), "test", topic+"/unload", nil)) // The ledger that is open stays.
	eventually(t, "what was compacted to go", func() error {
		if err := f.backend.post(t.Context(), "test", topic+"/trim", nil); err != nil {
			return err
		}
		stats, _, err := f.backend.readLedger(t.Context(), "test", d.Name, local)
		if stats.Entries > streams*each/2 {
			err = errors.Join(err, fmt.Errorf("%d records are left", stats.Entries))
		}
		return err
	})
	r, err := f.as(t, f.password(t, d.Principal.Name)).CreateReader(pulsar.ReaderOptions{
		Topic: f.backend.fullName(d.Name, local), StartMessageID: pulsar.EarliestMessageID(), ReadCompacted: true,
	})
	f.must(t, err)
	defer r.Close()
	got := map[string]string{}
	for r.HasNext() {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		m, err := r.Next(ctx)
		cancel()
		f.must(t, err)
		got[m.Key()] = string(m.Payload())
	}
	for i := range streams {
		if key := fmt.Sprintf("order/%d", i); got[key] != fmt.Sprint(each-1) {
			t.Errorf("snapshot of %s is %q, want the last, %d", key, got[key], each-1)
		}
	}
}

// TestNoTopicPolicies has a store whose brokers have stopped to let topics have policies.
func TestNoTopicPolicies(t *testing.T) {
	f := start(t, broker.PulsarOptions{Config: map[string]string{"topicLevelPoliciesEnabled": "false"}})
	d, c := f.store(t, "plain")
	f.applyStore(t, d, c)
	f.must(t, f.backend.createPartitioned(t.Context(), "test", d.Name, layout.PulsarSnapshots, d.Partitions, nil))
	f.readStore(t, d.Name)
	d.Snapshots = true
	if _, p := f.planStore(t, d, c); len(p.Refusals) != 1 || p.Refusals[0].Reason != plan.ReasonBrokerLimit || len(settingNames(p.Changes)) > 0 {
		t.Errorf("plan with snapshots: %+v, want a refusal, BrokerLimit, and no settings", p)
	}
	made, c := f.store(t, "made")
	made.Snapshots = true
	if _, p := f.planStore(t, made, c); len(p.Refusals) != 1 || p.Refusals[0].Reason != plan.ReasonBrokerLimit || !p.Blocked() {
		t.Errorf("plan of a new store with snapshots: %+v, want a refusal, BrokerLimit, that blocks", p)
	}
	f.must(t, f.backend.DeleteStores(t.Context(), []backend.StoreDeletion{{Name: d.Name, Owner: d.Owner}})[0])
}
