package pulsar

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/apache/pulsar-client-go/pulsar"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// TestGrown adds partitions to a store, and writes into one of them.
func TestGrown(t *testing.T) {
	f := start(t, broker.PulsarOptions{})
	d, c := f.store(t, "grown")
	f.applyStore(t, d, c)
	f.must(t, f.backend.post(t.Context(), "test", f.backend.topic(d.Name, layout.PulsarEvents)+"/partitions", 5))
	_, p := f.planStore(t, d, c)
	if !p.Has(plan.ReasonPartitionsGrown) || len(p.Changes) > 0 {
		t.Errorf("plan: %+v, want a refusal, PartitionsGrown", p)
	}
	if o := f.readStore(t, d.Name); o.Grown != 2 || o.GrownRecords != 0 || len(plan.DeleteStore(d, o, c)) > 0 {
		t.Errorf("two partitions more, and nothing in them: %+v", o)
	}
	f.append(t, d.Name, 4, 2)
	if o := f.readStore(t, d.Name); o.Grown != 2 || o.GrownRecords != 2 || o.Records() != 0 || len(plan.DeleteStore(d, o, c)) == 0 {
		t.Errorf("records in a partition that was added: %+v", o)
	}
}

// TestForgottenAndRestarted restarts a broker after a streaming store has forgotten all that it had.
func TestForgottenAndRestarted(t *testing.T) {
	f := start(t, broker.PulsarOptions{Config: map[string]string{"managedLedgerMaxEntriesPerLedger": "1", "managedLedgerMinLedgerRolloverTimeMinutes": "0"}})
	d, c := f.store(t, "forgetful")
	d.Partitions, d.Retention = 1, plan.Retention{Duration: time.Minute}
	f.applyStore(t, d, c)
	f.append(t, d.Name, 0, 5)
	c.KnownRecords = map[int]int64{0: f.readStore(t, d.Name).Records()}
	partition := f.backend.topic(d.Name, layout.PulsarPartition(layout.PulsarEvents, 0))
	// Nothing is kept, and the ledger that is open is closed.
	f.must(t, f.backend.post(t.Context(), "test", f.backend.namespace(d.Name)+"/retention", retention{}))
	eventually(t, "the broker to forget everything", func() error {
		err := errors.Join(f.backend.put(t.Context(), "test", partition+"/unload", nil), f.backend.post(t.Context(), "test", partition+"/trim", nil))
		if r, readErr := f.backend.readEvents(t.Context(), "test", d.Name, true); readErr != nil || len(r.virgin(1)) == 0 {
			return errors.Join(err, readErr, errors.New("there is something left"))
		}
		return nil
	})
	f.must(t, f.backend.setRetention(t.Context(), d.Name, d.Retention, 1))
	_, p := f.planStore(t, d, c)
	if len(p.Refusals) > 0 || len(p.Changes) != 1 || p.Changes[0].Setting != settingGenesis {
		t.Fatalf("plan: %+v, want the genesis record", p)
	}
	f.applyStore(t, d, c)
}

// TestPositionWithoutMarker adopts a subscription that consumers use, and loses its provider right after it was claimed.
func TestPositionWithoutMarker(t *testing.T) {
	f := start(t, broker.PulsarOptions{})
	d, c := f.store(t, "positions")
	f.applyStore(t, d, c)
	for p := range 3 {
		f.append(t, d.Name, p, 3)
	}
	id := backend.SubscriptionID{Store: d.Name, Name: "reader"}
	s, sc := f.subscription(t, d.Name, id.Name)
	early, _ := f.planSubscription(t, s, sc)
	for _, p := range []int{0, 1} { // At their ends.
		f.must(t, f.backend.place(t.Context(), id, p, latest))
	}
	if err := f.backend.ApplySubscriptions(t.Context(), []backend.SubscriptionChange{early})[0]; !errors.Is(err, backend.ErrConflict) {
		t.Errorf("ApplySubscriptions of a plan from before somebody made it: %v, want ErrConflict", err)
	}
	change, p := f.planSubscription(t, s, sc)
	if len(change.Observed.Groups) != 2 || !p.Has(plan.ReasonUnowned) {
		t.Fatalf("plan: %+v, want a refusal, Unowned; positions: %+v", p, change.Observed.Groups)
	}
	sc.Confirm = p.Refusals[0].Token
	change, _ = f.planSubscription(t, s, sc)
	leave := f.occupy(t, id, 0, "consumer")
	defer leave()
	cut := change
	cut.Changes = change.Changes[:1]
	f.must(t, f.backend.ApplySubscriptions(t.Context(), []backend.SubscriptionChange{cut})[0])
	o := f.applySubscription(t, s, sc)
	if len(o.Groups) != 3 || o.Groups[0].Lag != 0 || o.Groups[1].Lag != 0 || o.Groups[2].Lag != 3 {
		t.Errorf("positions: %+v, want two that stay, and one at the beginning", o.Groups)
	}
}

// TestDeletesEachPosition deletes a subscription while one partition is lost, and another fails.
func TestDeletesEachPosition(t *testing.T) {
	f := start(t, broker.PulsarOptions{})
	d, c := f.store(t, "each.position")
	f.applyStore(t, d, c)
	s, sc := f.subscription(t, d.Name, "reader")
	f.applySubscription(t, s, sc)
	f.loseLog(t, d.Name, 0)
	target := must2(url.Parse(f.AdminURL))
	proxy := httputil.NewSingleHostReverseProxy(target)
	bad := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodDelete && strings.Contains(r.URL.Path, "/events-partition-2/subscription/") {
			http.Error(w, `{"reason":"it has gone wrong"}`, http.StatusInternalServerError)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	defer bad.Close()
	config := f.config()
	config.AdminURL = bad.URL
	deletion := []backend.SubscriptionDeletion{{ID: backend.SubscriptionID{Store: d.Name, Name: s.Name}, Owner: s.Owner}}
	if err := f.connect(t, config).DeleteSubscriptions(t.Context(), deletion)[0]; err == nil {
		t.Error("a deletion succeeds though a partition has refused")
	}
	if !f.readSubscription(t, d.Name, s.Name).Marked {
		t.Error("the marker is gone before the positions are")
	}
	f.must(t, f.backend.DeleteSubscriptions(t.Context(), deletion)[0])
	for p, log := range must2(f.backend.readLogs(t.Context(), "test", d.Name, true)) {
		if _, ok := log.Cursors[s.Name]; ok {
			t.Errorf("the position in partition %d was left behind", p)
		}
	}
}

// TestLargeProperties appends events whose properties do not fit into the headers in which brokers tell them.
func TestLargeProperties(t *testing.T) {
	f := start(t, broker.PulsarOptions{})
	for _, kind := range []plan.Retention{{}, {Duration: time.Hour}} {
		d, c := f.store(t, "properties."+string(kind.Kind()))
		d.Retention, d.Partitions = kind, 1
		f.applyStore(t, d, c)
		topic := f.backend.fullName(d.Name, layout.PulsarPartition(layout.PulsarEvents, 0))
		p, err := f.client.CreateProducer(pulsar.ProducerOptions{Topic: topic, DisableBatching: true})
		f.must(t, err)
		_, err = p.Send(t.Context(), &pulsar.ProducerMessage{Payload: []byte("x"), Properties: map[string]string{"large": strings.Repeat("x", 20<<10)}})
		p.Close()
		f.must(t, err)
		if o := f.applyStore(t, d, c); o.Records() != 1 || o.Logs[0].Last == "" {
			t.Errorf("store with large properties: %+v", o.Logs)
		}
		s, sc := f.subscription(t, d.Name, "reader")
		if o := f.applySubscription(t, s, sc); o.Lag() != 1 {
			t.Errorf("lag is %d, want 1", o.Lag())
		}
	}
}
