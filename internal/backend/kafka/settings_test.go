package kafka

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect/kafkaclient"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

func TestRetentionSurvives(t *testing.T) {
	day := 24 * time.Hour
	cases := map[string]struct {
		reason     string
		asked      plan.Retention
		partitions int
		ms, bytes  string
	}{
		"ForEver":     {reason: "Nothing is left to the broker's default.", partitions: 6, ms: "-1", bytes: "-1"},
		"Days":        {reason: "Milliseconds.", asked: plan.Retention{Duration: 3 * day}, partitions: 6, ms: "259200000", bytes: "-1"},
		"Nanoseconds": {reason: "Never shorter than asked for.", asked: plan.Retention{Duration: 3*day + 1}, partitions: 1, ms: "259200001", bytes: "-1"},
		"Bytes":       {reason: "A share for each partition, together at least that.", asked: plan.Retention{Bytes: 1000}, partitions: 6, ms: "-1", bytes: "167"},
		"Byte":        {reason: "A share of something is never nothing, which would be everything.", asked: plan.Retention{Bytes: 1}, partitions: 6, ms: "-1", bytes: "1"},
		"Longest":     {reason: "As long as a duration can be.", asked: plan.Retention{Duration: math.MaxInt64 - time.Second}, partitions: 1, ms: "9223372035855", bytes: "-1"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			c := config{}
			for k, v := range retentionConfig(tc.asked, tc.partitions) {
				c[k] = configValue{value: v, own: true}
			}
			if c[keyRetention].value != tc.ms || c[keyRetainedBytes].value != tc.bytes {
				t.Errorf("%s\nconfig: %v, want %s and %s", tc.reason, c, tc.ms, tc.bytes)
			}
			if got := c.retention(tc.asked, tc.partitions); got != tc.asked {
				t.Errorf("%s\nread back: %+v, want %+v", tc.reason, got, tc.asked)
			}
			// Somebody has set something else: that is seen, and it is not what was asked for.
			c[keyRetention], c[keyRetainedBytes] = configValue{value: "5000", own: true}, configValue{value: "7"}
			if got, want := c.retention(tc.asked, tc.partitions), (plan.Retention{Duration: 5 * time.Second, Bytes: 7 * int64(tc.partitions)}); got != want {
				t.Errorf("%s\nread after a change: %+v, want %+v", tc.reason, got, want)
			}
		})
	}
}

func TestStoreSettingsRefuse(t *testing.T) {
	learn := func(b *Backend, brokers int, remote string) {
		b.cluster.count(brokers)
		b.limits.learn([]kmsg.DescribeConfigsResponseResourceConfig{{Name: brokerRemoteStorage, Value: &remote}})
	}
	cases := map[string]struct {
		reason string
		d      plan.DesiredStore
		want   []plan.Field
	}{
		"Nothing":        {reason: "A plain store asks for nothing special."},
		"Owned":          {reason: "Another field sets it.", d: plan.DesiredStore{Native: map[string]string{"retention.ms": "1", "segment.ms": "5"}}, want: []plan.Field{plan.FieldKafkaConfig}},
		"Fixed":          {reason: "Events would be lost or reordered.", d: plan.DesiredStore{Native: map[string]string{"cleanup.policy": "compact", "unclean.leader.election.enable": "true"}}, want: []plan.Field{plan.FieldKafkaConfig, plan.FieldKafkaConfig}},
		"FixedTiering":   {reason: "What was moved would be deleted as soon as tiering is taken away.", d: plan.DesiredStore{Native: map[string]string{"remote.log.delete.on.disable": "true"}}, want: []plan.Field{plan.FieldKafkaConfig}},
		"UnmanagedOwned": {reason: "What a field sets is managed.", d: plan.DesiredStore{Unmanaged: []string{"max.message.bytes", "segment.ms"}}, want: []plan.Field{plan.FieldKafkaUnmanaged}},
		"UnmanagedVote":  {reason: "A service may decide on elections itself.", d: plan.DesiredStore{Unmanaged: []string{"unclean.leader.election.enable"}}},
		"MinInSync":      {reason: "There can be no more confirmations than copies.", d: plan.DesiredStore{StoreSettings: plan.StoreSettings{Replicas: 1}, MinInSync: 2}, want: []plan.Field{plan.FieldMinInSync}},
		"Replicas":       {reason: "Nor more copies than brokers.", d: plan.DesiredStore{StoreSettings: plan.StoreSettings{Replicas: 4}}, want: []plan.Field{plan.FieldReplicas}},
		"Tiering":        {reason: "There is nowhere to move events to.", d: plan.DesiredStore{Tiering: plan.Tiering{After: time.Hour}}, want: []plan.Field{plan.FieldTieringDuration}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			b := &Backend{cluster: &cluster{}, config: kafkaclient.Config{Mechanism: kafkaclient.ScramSHA512}}
			learn(b, 3, "false")
			learn(b, 1, "false") // Two of them restart.
			_, refusals := b.StoreSettings(tc.d)
			var got []plan.Field
			for _, r := range refusals {
				got = append(got, r.Field)
				if !strings.Contains(r.Message, ": ") || strings.ContainsAny(r.Message, "\n") {
					t.Errorf("%s\nmessage: %q", tc.reason, r.Message)
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s\nStoreSettings: -want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}

// TestSettingsReachTheBroker creates a store with every field that Kafka has, changes them, and takes them away.
func TestSettingsReachTheBroker(t *testing.T) {
	f := startOwn(t, broker.KafkaOptions{TieredStorage: true})
	d, c := f.store("full.orders")
	d.Retention = plan.Retention{Duration: 300 * time.Hour, Bytes: 3 << 30}
	d.Snapshots, d.MaxEventBytes, d.Replicas, d.MinInSync = true, 2<<20, 1, 1
	d.Tiering, d.Quota = plan.Tiering{After: time.Hour, AfterBytes: 3 << 20}, plan.Quota{BytesPerSecond: 1 << 20}
	d.Native = map[string]string{"segment.ms": "600000", "compression.type": "zstd", "index.interval.bytes": "8192"}
	d.Unmanaged = []string{"flush.ms"}
	c.Confirm = ""
	f.readStore(t, d.Name)
	o := f.applyStore(t, d, c)
	want := map[string]string{
		"retention.ms": "1080000000", "retention.bytes": "1073741824", "max.message.bytes": "2099200", "min.insync.replicas": "1",
		"cleanup.policy": "delete", "message.timestamp.type": "LogAppendTime", "unclean.leader.election.enable": "false",
		"remote.storage.enable": "true", "local.retention.ms": "3600000", "local.retention.bytes": "1048576",
		"segment.ms": "600000", "compression.type": "zstd", "index.interval.bytes": "8192",
	}
	if diff := cmp.Diff(want, f.own(t, layout.KafkaEvents(d.Name))); diff != "" {
		t.Errorf("events: -want, +got:\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"cleanup.policy": "compact", "min.insync.replicas": "1", "unclean.leader.election.enable": "false"}, f.own(t, layout.KafkaSnapshots(d.Name))); diff != "" {
		t.Errorf("snapshots: -want, +got:\n%s", diff)
	}
	if o.Settings["quota/producer_byte_rate"] != "1048576" || o.Kind != layout.Streaming || o.MaxEventBytesLimit < 50<<20 {
		t.Errorf("observed: %+v", o)
	}

	// What is somebody else's stays, what was ours and left the spec goes back to the default.
	f.alter(t, layout.KafkaEvents(d.Name), "flush.ms", "1000")
	f.alter(t, layout.KafkaEvents(d.Name), "preallocate", "true")
	c.AppliedSettings = []string{"segment.ms", "compression.type", "index.interval.bytes"}
	d.Native = map[string]string{"segment.ms": "700000"}
	d.MaxEventBytes, d.MinInSync, d.Quota = 0, 0, plan.Quota{}
	d.Retention = plan.Retention{Duration: 400 * time.Hour}
	f.applyStore(t, d, c)
	for _, k := range []string{"compression.type", "index.interval.bytes", "max.message.bytes", "min.insync.replicas"} {
		delete(want, k)
	}
	want["segment.ms"], want["retention.ms"], want["retention.bytes"] = "700000", "1440000000", "-1"
	want["flush.ms"], want["preallocate"] = "1000", "true"
	if diff := cmp.Diff(want, f.own(t, layout.KafkaEvents(d.Name))); diff != "" {
		t.Errorf("events after a change: -want, +got:\n%s", diff)
	}
}

// own returns what is set on a topic itself.
func (f *fixture) own(t *testing.T, topic string) map[string]string {
	t.Helper()
	configs, denied, err := f.backend.configs(t.Context(), []string{topic})
	if err := first(err, denied[topic]); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for k, v := range configs[topic] {
		if v.own {
			got[k] = v.value
		}
	}
	return got
}

// TestRefusedByTheBroker asks for what only the broker knows to be wrong: its own words are passed on, and nobody else is hurt.
func TestRefusedByTheBroker(t *testing.T) {
	f := start(t)
	good, _ := f.store("refused.good")
	bad, _ := f.store("refused.bad")
	bad.Native = map[string]string{"segment.ms": "soon"}
	var all []backend.StoreChange
	for _, d := range []plan.DesiredStore{bad, good} {
		_, c := f.store(d.Name)
		change, _ := f.change(t, d, c)
		all = append(all, change)
	}
	errs := f.backend.ApplyStores(t.Context(), all)
	if errs[0] == nil || !strings.Contains(errs[0].Error(), "INVALID_CONFIG") || !strings.Contains(errs[0].Error(), "segment.ms") || errs[1] != nil {
		t.Errorf("errors: %v", errs)
	}
	if o := f.readStore(t, "refused.good"); len(o.Logs) != 3 {
		t.Errorf("the other store: %+v", o)
	}
	bad.Native = nil
	_, c := f.store(bad.Name)
	f.applyStore(t, bad, c)
}

// TestGrown adds partitions behind our back: that is said, and they are not used.
func TestGrown(t *testing.T) {
	f := start(t)
	d, c := f.store("grown.orders")
	f.applyStore(t, d, c)
	f.append(t, d.Name, 1, 2)
	if failed := f.backend.growTopics(t.Context(), map[string]int{layout.KafkaEvents(d.Name): 5}); len(failed) > 0 {
		t.Fatal(failed)
	}
	eventually(t, "the partitions", func() bool { return f.readStore(t, d.Name).Grown == 2 })
	f.produce(t, place{layout.KafkaEvents(d.Name), 4}, event(1))
	change, p := f.change(t, d, c)
	if len(p.Changes) > 0 || len(p.Refusals) != 1 || p.Refusals[0].Reason != plan.ReasonPartitionsGrown || p.Blocked() {
		t.Errorf("plan: %+v", p)
	}
	if o := change.Observed; len(o.Logs) != 3 || o.Partitions != 3 || o.Records() != 2 || o.GrownRecords != 1 {
		t.Errorf("observed: %+v", o)
	}
	s, sc := f.subscription(d.Name, "reader")
	if o := f.applySubscription(t, s, sc); len(o.Groups) != 3 || o.Lag() != 2 {
		t.Errorf("subscription: %+v", o)
	}
}

// TestTruncated deletes the records of a partition: a store that keeps everything has lost some.
func TestTruncated(t *testing.T) {
	f := start(t)
	d, c := f.store("truncated.orders")
	f.applyStore(t, d, c)
	f.append(t, d.Name, 1, 5)
	truncate := func(to int64) {
		req := kmsg.NewPtrDeleteRecordsRequest()
		topic := kmsg.NewDeleteRecordsRequestTopic()
		topic.Topic, topic.Partitions = layout.KafkaEvents(d.Name), []kmsg.DeleteRecordsRequestTopicPartition{{Partition: 1, Offset: to}}
		req.Topics, req.TimeoutMillis = append(req.Topics, topic), 5000
		resp, err := req.RequestWith(t.Context(), f.admin())
		must(t, resp, err)
	}
	truncate(3)
	l := f.readStore(t, d.Name).Logs[1]
	if l.Records != 3 || l.First != "3" || l.Last != "5" {
		t.Errorf("a partition whose first records are gone: %+v", l)
	}
	s, sc := f.subscription(d.Name, "early")
	s.StartFrom = plan.Start{Positions: map[int]string{1: "1", 0: "900"}}
	o := f.applySubscription(t, s, sc)
	if o.Lag() != 3 || o.Groups[1].Position != "3" || o.Groups[0].Position != "1" {
		t.Errorf("a subscription from what is gone, and from what never was: %+v", o.Groups)
	}
	truncate(6)
	c.KnownRecords = map[int]int64{1: 5}
	if _, p := f.change(t, d, c); len(p.Refusals) != 1 || p.Refusals[0].Reason != plan.ReasonDataLost {
		t.Errorf("plan: %+v", p)
	}
	if !slices.ContainsFunc(f.readStore(t, d.Name).Logs, func(l plan.Log) bool { return l.Partition == 1 && l.Records == 0 }) {
		t.Error("an emptied partition is not there")
	}
}
