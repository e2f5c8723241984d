package pulsar

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// natives are values of every policy that a spec may set.
func natives() map[string]string {
	return map[string]string{
		"deduplicationEnabled":                  `true`,
		"deduplicationSnapshotIntervalSeconds":  `600`,
		"delayed_delivery_policies":             `{"active": false, "tickTime": 2000}`,
		"max_producers_per_topic":               `100`,
		"max_consumers_per_topic":               `100`,
		"max_consumers_per_subscription":        `100`,
		"max_unacked_messages_per_consumer":     `1000`,
		"max_unacked_messages_per_subscription": `2000`,
		"max_subscriptions_per_topic":           `50`,
		"max_topics_per_namespace":              `500`,
		"offload_deletion_lag_ms":               `60000`,
		"topicDispatchRate":                     `{"dispatchThrottlingRateInMsg": 1000}`,
		"subscriptionDispatchRate":              `{"dispatchThrottlingRateInByte": 1048576, "ratePeriodInSecond": 10}`,
		"clusterSubscribeRate":                  `{"subscribeThrottlingRatePerConsumer": 10}`,
		"schema_validation_enforced":            `true`,
		"subscription_types_enabled":            `["Exclusive", "Failover", "Key_Shared", "Shared"]`,
		"is_allow_auto_update_schema":           `false`,
	}
}

// TestNativePolicies sets every policy, at creation and afterwards, lets somebody remove it, and resets it when it leaves the
// spec.
func TestNativePolicies(t *testing.T) {
	f := start(t, broker.PulsarOptions{})
	if diff := cmp.Diff(settable(policies()), slices.Sorted(maps.Keys(natives()))); diff != "" {
		t.Errorf("policies that a spec may set, and those tried here: -want, +got:\n%s", diff)
	}
	d, c := f.store(t, "at-creation")
	d.Native = natives()
	f.applyStore(t, d, c)
	for name, value := range natives() {
		t.Run(name, func(t *testing.T) {
			d, c := f.store(t, "afterwards."+strings.ToLower(strings.ReplaceAll(name, "_", "-")))
			plain := f.applyStore(t, d, c).Settings[name]
			d.Native = map[string]string{name: value}
			if got := f.applyStore(t, d, c).Settings[name]; got == plain {
				t.Fatalf("the policy is %q before it was set and afterwards", got)
			}
			f.must(t, f.backend.setPolicy(t.Context(), d.Name, name, ""))
			if _, p := f.planStore(t, d, c); len(p.Changes) != 1 || p.Changes[0].Setting != name {
				t.Errorf("plan after somebody has reset it: %v, want one change of it", p.Changes)
			}
			f.applyStore(t, d, c)
			d.Native, c.AppliedSettings = nil, []string{name}
			if got := f.applyStore(t, d, c).Settings[name]; got != plain {
				t.Errorf("the policy is %q after it has left the spec, want %q", got, plain)
			}
		})
	}
}

// TestFields sets each field of the spec that Pulsar has a policy for, changes it, and removes it.
func TestFields(t *testing.T) {
	f := start(t, broker.PulsarOptions{})
	for name, tc := range map[string]struct {
		set, change func(d *plan.DesiredStore)
		policy      string
		want        string // After the change.
	}{
		"quota-bytes": {
			set: func(d *plan.DesiredStore) { d.Quota.Bytes = 1000 }, change: func(d *plan.DesiredStore) { d.Quota.Bytes = 3001 },
			policy: policyBacklogQuota,
			want:   `{"destination_storage":{"limitSize":1001,"limitTime":-1,"policy":"producer_exception"},"message_age":{"limitSize":-1,"limitTime":-1,"policy":"producer_exception"}}`,
		},
		"publish-rate": {
			set: func(d *plan.DesiredStore) { d.Quota.BytesPerSecond = 3000 }, change: func(d *plan.DesiredStore) { d.Quota.AppendsPerSecond = 30 },
			policy: policyPublishRate, want: `{"publishThrottlingRateInMsg":10,"publishThrottlingRateInByte":1000}`,
		},
		"durability": {
			set: func(d *plan.DesiredStore) { d.Replicas = 1 }, change: func(d *plan.DesiredStore) { d.MinInSync = 1 },
			policy: policyPersistence, want: `{"bookkeeperEnsemble":1,"bookkeeperWriteQuorum":1,"bookkeeperAckQuorum":1,"managedLedgerMaxMarkDeleteRate":0}`,
		},
		"tiering-bytes": {
			set: func(d *plan.DesiredStore) { d.Tiering.AfterBytes = 300 }, change: func(d *plan.DesiredStore) { d.Tiering.AfterBytes = 600 },
			policy: policyOffloadBytes, want: "200",
		},
		"tiering-duration": {
			set: func(d *plan.DesiredStore) { d.Tiering.After = time.Hour }, change: func(d *plan.DesiredStore) { d.Tiering.After = time.Hour + time.Millisecond },
			policy: policyOffloadSeconds, want: "3601",
		},
		"schema": {
			set: func(d *plan.DesiredStore) {
				d.Schema = plan.Schema{Type: "JSON", Compatibility: "Backward", Definition: `{"type":"record","name":"E","fields":[{"name":"a","type":"string"}]}`}
			},
			change: func(d *plan.DesiredStore) {
				d.Schema = plan.Schema{Type: "JSON", Compatibility: "FullTransitive", Definition: `{"type":"record","name":"E","fields":[{"name":"a","type":"string"},{"name":"b","type":["null","string"],"default":null}]}`}
			},
			policy: policyCompatibility, want: `"FULL_TRANSITIVE"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			d, c := f.store(t, "fields."+name)
			plain := f.applyStore(t, d, c)
			tc.set(&d)
			f.applyStore(t, d, c)
			tc.change(&d)
			o := f.applyStore(t, d, c)
			if got := o.Settings[tc.policy]; got != tc.want {
				t.Errorf("policy %s is %s, want %s", tc.policy, got, tc.want)
			}
			// Somebody removes all of it.
			for setting, value := range o.Settings {
				if plain.Settings[setting] == value {
					continue
				}
				if setting == settingSchema {
					f.must(t, f.backend.setSchema(t.Context(), d.Name, plan.Schema{}))
				} else {
					f.must(t, f.backend.setPolicy(t.Context(), d.Name, setting, ""))
				}
				c.AppliedSettings = append(c.AppliedSettings, setting)
			}
			if _, p := f.planStore(t, d, c); len(p.Changes) != len(c.AppliedSettings) {
				t.Errorf("plan after somebody has removed %v: %v", c.AppliedSettings, p.Changes)
			}
			f.applyStore(t, d, c)
			d, _ = f.store(t, d.Name)
			if diff := cmp.Diff(plain.Settings, f.applyStore(t, d, c).Settings); diff != "" {
				t.Errorf("settings after the field was removed: -want, +got:\n%s", diff)
			}
			made, c := f.store(t, "fields.made-with-"+name)
			tc.set(&made)
			tc.change(&made)
			if diff := cmp.Diff(o.Settings, f.applyStore(t, made, c).Settings); diff != "" {
				t.Errorf("settings of a store that is created with the field: -want, +got:\n%s", diff)
			}
		})
	}
	t.Run("TooManyReplicas", func(t *testing.T) {
		d, c := f.store(t, "fields.replicas")
		d.Replicas = 3
		change, _ := f.planStore(t, d, c)
		err := f.backend.ApplyStores(t.Context(), []backend.StoreChange{change})[0]
		if err == nil || !strings.Contains(err.Error(), "the cluster has 1 bookies") {
			t.Errorf("ApplyStores with more copies than bookies: %v", err)
		}
		if f.readStore(t, d.Name).Exists() {
			t.Error("the store was created all the same")
		}
	})
	t.Run("MessageTTL", func(t *testing.T) {
		d, c := f.store(t, "fields.ttl")
		d.MessageTTL = 90*time.Second + time.Nanosecond
		f.applyStore(t, d, c)
		d.MessageTTL = time.Minute
		_, p := f.planStore(t, d, c)
		if len(p.Refusals) != 1 || p.Refusals[0].Reason != plan.ReasonTTLShortened {
			t.Fatalf("plan: %+v, want a refusal, TTLShortened", p)
		}
		c.Confirm = p.Refusals[0].Token
		f.applyStore(t, d, c)
		s, sc := f.subscription(t, d.Name, "reader")
		f.applySubscription(t, s, sc)
		f.append(t, d.Name, 0, 20)
		eventually(t, "skipped events to be counted", func() error {
			// What the brokers do every five minutes, now, with those that are older than a second.
			partition := f.backend.topic(d.Name, layout.PulsarPartition(layout.PulsarEvents, 0))
			if err := unlessConflict(f.backend.post(t.Context(), "test", partition+"/subscription/reader/expireMessages/1", nil)); err != nil {
				return err
			}
			if n := f.readStore(t, d.Name).Expired; n != 20 && n != 21 { // The genesis record may be among them.
				return fmt.Errorf("%d, want 20", n)
			}
			return nil
		})
	})
	t.Run("SchemaAndLostLog", func(t *testing.T) {
		d, c := f.store(t, "fields.schema-and-lost-log")
		d.Schema = plan.Schema{Type: "Avro", Definition: `{"type":"record","name":"E","fields":[]}`}
		f.applyStore(t, d, c)
		f.loseLog(t, d.Name, 1)
		f.applyStore(t, d, c) // The genesis record has no schema.
	})
	t.Run("MaxEventBytes", func(t *testing.T) {
		d, c := f.store(t, "fields.max-event-bytes")
		d.MaxEventBytes = 5<<20 + 1
		if _, p := f.planStore(t, d, c); len(p.Refusals) != 1 || p.Refusals[0].Reason != plan.ReasonBrokerLimit {
			t.Errorf("plan: %+v, want a refusal, BrokerLimit", p)
		}
		d.MaxEventBytes = 5 << 20
		f.applyStore(t, d, c)
	})
	t.Run("QuotaAndRetention", func(t *testing.T) {
		d, c := f.store(t, "fields.quota-and-retention")
		d.Retention.Bytes, d.Quota.Bytes = 300<<20, 150<<20
		f.applyStore(t, d, c)
		for _, step := range []int64{30, 600} { // Pulsar wants the quota to be less at every moment.
			d.Retention.Bytes, d.Quota.Bytes = step<<20, step<<19
			_, p := f.planStore(t, d, c)
			for _, r := range p.Refusals {
				c.Confirm += r.Token + ","
			}
			f.applyStore(t, d, c)
		}
	})
	t.Run("IncompatibleSchema", func(t *testing.T) {
		d, c := f.store(t, "fields.incompatible")
		d.Schema = plan.Schema{Type: "Avro", Compatibility: "Full", Definition: `{"type":"record","name":"E","fields":[{"name":"a","type":"string"}]}`}
		f.applyStore(t, d, c)
		d.Schema.Definition = `{"type":"record","name":"E","fields":[{"name":"b","type":"int"}]}`
		change, _ := f.planStore(t, d, c)
		err := f.backend.ApplyStores(t.Context(), []backend.StoreChange{change})[0]
		if err == nil || !strings.Contains(err.Error(), "does not fit the one before") {
			t.Errorf("ApplyStores with an incompatible schema: %v", err)
		}
		// It keeps nothing else from being done, and can be corrected.
		d.Native, d.Quota.AppendsPerSecond = map[string]string{"max_producers_per_topic": "100"}, 30
		d.Principal = f.backend.StorePrincipal(d.Name, "team-shop", "")
		change, _ = f.planStore(t, d, c)
		if err := f.backend.ApplyStores(t.Context(), []backend.StoreChange{change})[0]; err == nil {
			t.Error("ApplyStores with an incompatible schema once more: no error")
		}
		if _, p := f.planStore(t, d, c); len(p.Changes) != 1 || p.Changes[0].Setting != settingSchema {
			t.Errorf("plan after a schema was refused: %v, want nothing but the schema", p.Changes)
		}
		d.Schema.Compatibility = "AlwaysCompatible"
		f.applyStore(t, d, c)
	})
}

func TestStoreSettingsRefuses(t *testing.T) {
	b := &Backend{}
	b.config.Tenant = "shop"
	for name, tc := range map[string]struct {
		reason string
		edit   func(d *plan.DesiredStore)
		want   plan.Field
	}{
		"OtherTenant":       {reason: "One ProviderConfig is for one tenant.", edit: func(d *plan.DesiredStore) { d.Tenant = "another" }, want: plan.FieldPulsarTenant},
		"MinInSyncAlone":    {reason: "Pulsar sets both together.", edit: func(d *plan.DesiredStore) { d.MinInSync = 2 }, want: plan.FieldMinInSync},
		"MinInSyncTooMany":  {reason: "No append could succeed.", edit: func(d *plan.DesiredStore) { d.Replicas, d.MinInSync = 2, 3 }, want: plan.FieldMinInSync},
		"QuotaOverRetained": {reason: "Pulsar answers 412.", edit: func(d *plan.DesiredStore) { d.Retention.Bytes, d.Quota.Bytes = 6<<20, 60<<20 }, want: plan.FieldQuotaBytes},
		"SchemaType":        {reason: "The API server lets only known types through.", edit: func(d *plan.DesiredStore) { d.Schema.Type = "XML" }, want: plan.FieldPulsarSchema},
		"UnknownPolicy":     {reason: "What is not known cannot be set or reset.", edit: native("no_such_policy", "1"), want: plan.FieldPulsarPolicies},
		"PolicyOfAField":    {reason: "A field of the spec sets it.", edit: native("retention_policies", "{}"), want: plan.FieldPulsarPolicies},
		"FixedPolicy":       {reason: "Another value loses events.", edit: native("inactive_topic_policies", "{}"), want: plan.FieldPulsarPolicies},
		"NoJSON":            {reason: "Values are JSON.", edit: native("deduplicationEnabled", "yes"), want: plan.FieldPulsarPolicies},
		"WrongType":         {reason: "Values have a type.", edit: native("max_producers_per_topic", `"many"`), want: plan.FieldPulsarPolicies},
		"Null":              {reason: "To have the default is to say nothing.", edit: native("deduplicationEnabled", "null"), want: plan.FieldPulsarPolicies},
		"TwoValues":         {reason: "One policy has one value.", edit: native("deduplicationEnabled", "true false"), want: plan.FieldPulsarPolicies},
		"UnknownPart":       {reason: "A typing error must not be ignored.", edit: native("topicDispatchRate", `{"rate":1}`), want: plan.FieldPulsarPolicies},
		"TakenBySchema": {reason: "nativeSchema sets it.", edit: func(d *plan.DesiredStore) {
			d.Schema = plan.Schema{Type: "Avro", Definition: "{}"}
			d.Native = map[string]string{policySchemaUpdates: "true"}
		}, want: plan.FieldPulsarPolicies},
	} {
		t.Run(name, func(t *testing.T) {
			d := plan.DesiredStore{Name: "orders"}
			d.Partitions = 3
			tc.edit(&d)
			_, refusals := b.StoreSettings(d)
			if len(refusals) != 1 || refusals[0].Field != tc.want || !strings.Contains(refusals[0].Message, ":") {
				t.Errorf("%s\nrefusals: %+v, want one of %s that says what to do", tc.reason, refusals, tc.want)
			}
		})
	}
}

func native(name, value string) func(d *plan.DesiredStore) {
	return func(d *plan.DesiredStore) { d.Native = map[string]string{name: value} }
}

// FuzzPolicies proves that what is spelled once is spelled the same when it is read again.
func FuzzPolicies(f *testing.F) {
	for name, value := range natives() {
		f.Add(name, value)
	}
	f.Fuzz(func(t *testing.T, name, value string) {
		p, ok := policies()[name]
		if !ok || p.spell == nil {
			return
		}
		once, err := p.spell(json.RawMessage(value), true)
		if err != nil {
			return
		}
		if twice, err := p.spell(json.RawMessage(once), true); err != nil || twice != once {
			t.Errorf("%s: %q is spelled %q, and that %q (%v)", name, value, once, twice, err)
		}
	})
}

// TestDefaultsThatLoseEvents runs on brokers whose defaults would discard what nobody has read: stores have policies of their
// own against it.
func TestDefaultsThatLoseEvents(t *testing.T) {
	f := start(t, broker.PulsarOptions{Config: map[string]string{
		"brokerDeleteInactiveTopicsEnabled": "true", "brokerDeleteInactiveTopicsFrequencySeconds": "1", "brokerDeleteInactiveTopicsMaxInactiveDurationSeconds": "1",
		"brokerDeleteInactivePartitionedTopicMetadataEnabled": "true",
		"backlogQuotaDefaultLimitBytes":                       "10", "backlogQuotaDefaultRetentionPolicy": "consumer_backlog_eviction", "backlogQuotaCheckIntervalInSeconds": "1",
		"ttlDurationDefaultInSeconds": "1", "messageExpiryCheckIntervalInMinutes": "1",
		"allowAutoTopicCreation": "true", "allowAutoSubscriptionCreation": "true",
	}})
	d, c := f.store(t, "shop.orders")
	f.applyStore(t, d, c)
	idle, c2 := f.store(t, "shop.idle")
	f.applyStore(t, idle, c2)
	s, sc := f.subscription(t, d.Name, "reader")
	f.applySubscription(t, s, sc)
	f.append(t, d.Name, 0, 20)
	// A topic that nothing protects shows that the brokers have looked.
	f.must(t, f.backend.put(t.Context(), "test", "namespaces/"+f.tenant+"/unprotected", map[string]any{}))
	f.must(t, f.backend.createPartitioned(t.Context(), "test", "unprotected", "probe", 1, nil))
	f.must(t, produceTo(t.Context(), f.client, f.backend.fullName("unprotected", layout.PulsarPartition("probe", 0)), 1))
	eventually(t, "the brokers to delete what is inactive", func() error {
		all, err := f.backend.readTopics(t.Context(), "test", "unprotected")
		if len(all) > 0 {
			err = errors.New("it is still there")
		}
		return err
	})
	if o := f.applyStore(t, d, c); o.Records() != 20 {
		t.Errorf("%d records, want 20", o.Records())
	}
	if o := f.applySubscription(t, s, sc); o.Lag() != 20 {
		t.Errorf("lag is %d, want 20", o.Lag())
	}
	f.applyStore(t, idle, c2)
}
