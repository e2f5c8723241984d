package pulsar

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/backend/backendtest"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// storeDrifts change what the suite's stores have: a retention of an hour, snapshots and a limit for events.
func (f *fixture) storeDrifts() []backendtest.Drift[string] {
	var drifts []backendtest.Drift[string]
	add := func(name string, want plan.Field, do func(t *testing.T, s string) error) {
		drifts = append(drifts, backendtest.Drift[string]{Name: name, Want: want, Make: func(t *testing.T, s string) {
			t.Helper()
			f.must(t, do(t, s))
		}})
	}
	set := func(name string, want plan.Field, path, body string, query ...string) {
		add(name, want, func(t *testing.T, s string) error {
			t.Helper()
			return f.backend.post(t.Context(), "test", f.backend.namespace(s)+"/"+path, json.RawMessage(body), query...)
		})
	}
	remove := func(name string, want plan.Field, path string, query ...string) {
		add(name, want, func(t *testing.T, s string) error {
			t.Helper()
			return f.backend.delete(t.Context(), "test", f.backend.namespace(s)+"/"+path, query...)
		})
	}
	set("RetentionShrunk", plan.FieldRetentionDuration, "retention", `{"retentionTimeInMinutes":1,"retentionSizeInMB":-1}`)
	set("RetentionGrown", plan.FieldRetentionDuration, "retention", `{"retentionTimeInMinutes":-1,"retentionSizeInMB":-1}`)
	set("BytesAdded", plan.FieldRetentionBytes, "retention", `{"retentionTimeInMinutes":60,"retentionSizeInMB":100}`)
	remove("RetentionRemoved", plan.FieldRetentionDuration, "retention")
	set("TTLAdded", plan.FieldMessageTTL, "messageTTL", `60`)
	remove("TTLRemoved", plan.FieldMessageTTL, "messageTTL")
	set("TopicCreationAllowed", plan.FieldSetting, "autoTopicCreation", `{"allowAutoTopicCreation":true,"topicType":"non-partitioned"}`)
	remove("TopicCreationRemoved", plan.FieldSetting, "autoTopicCreation")
	set("SubscriptionCreationAllowed", plan.FieldSetting, "autoSubscriptionCreation", `{"allowAutoSubscriptionCreation":true}`)
	remove("SubscriptionCreationRemoved", plan.FieldSetting, "autoSubscriptionCreation")
	set("InactiveTopicsDeleted", plan.FieldSetting, "inactiveTopicPolicies", `{"inactiveTopicDeleteMode":"delete_when_no_subscriptions","maxInactiveDurationSeconds":60,"deleteWhileInactive":true}`)
	remove("InactiveTopicsRemoved", plan.FieldSetting, "inactiveTopicPolicies")
	set("SubscriptionsExpire", plan.FieldSetting, "subscriptionExpirationTime", `10`)
	remove("SubscriptionExpirationRemoved", plan.FieldSetting, "subscriptionExpirationTime")
	set("BacklogEvicted", plan.FieldSetting, "backlogQuota", `{"limitSize":1000,"limitTime":-1,"policy":"consumer_backlog_eviction"}`, "backlogQuotaType", "destination_storage")
	set("OldBacklogEvicted", plan.FieldSetting, "backlogQuota", `{"limitSize":-1,"limitTime":10,"policy":"consumer_backlog_eviction"}`, "backlogQuotaType", "message_age")
	set("EncryptionRequired", plan.FieldSetting, "encryptionRequired", `true`)
	set("SubscriptionsNamedByRole", plan.FieldSetting, "subscriptionAuthMode", `"Prefix"`)
	remove("BacklogQuotaRemoved", plan.FieldSetting, "backlogQuota", "backlogQuotaType", "destination_storage")

	f.topicDrifts(add)
	f.markerDrifts(add)
	f.permissionDrifts(func(name string, do func(t *testing.T, store, role string) error) {
		add(name, plan.FieldPrincipal, func(t *testing.T, s string) error {
			t.Helper()
			return do(t, s, layout.StorePrincipal(s))
		})
	})
	return drifts
}

func (f *fixture) topicDrifts(add func(name string, want plan.Field, do func(t *testing.T, s string) error)) {
	const compaction = "/compactionThreshold"
	add("CompactionChanged", plan.FieldSetting, func(t *testing.T, s string) error {
		t.Helper()
		return f.backend.post(t.Context(), "test", f.backend.topic(s, layout.PulsarSnapshots)+compaction, 1<<30)
	})
	add("CompactionRemoved", plan.FieldSetting, func(t *testing.T, s string) error {
		t.Helper()
		return f.backend.delete(t.Context(), "test", f.backend.topic(s, layout.PulsarSnapshots)+compaction)
	})
	add("CompactedKept", plan.FieldSetting, func(t *testing.T, s string) error {
		t.Helper()
		return f.backend.post(t.Context(), "test", f.backend.topic(s, layout.PulsarSnapshots)+"/retention", policyOf(plan.Retention{}, 1))
	})
	add("SnapshotsDeleted", "snapshots, setting", func(t *testing.T, s string) error {
		t.Helper()
		return f.backend.deletePartitioned(t.Context(), "test", s, layout.PulsarSnapshots)
	})
	override := func(name, policy string, value any, query ...string) {
		add(name, plan.FieldSetting, func(t *testing.T, s string) error {
			t.Helper()
			f.backend.overrides.put(s, nil, time.Now()) // As if it had come to be read.
			return f.backend.post(t.Context(), "test", f.backend.topic(s, layout.PulsarEvents)+policy, value, query...)
		})
	}
	override("EventsForgotten", "/retention", retention{Minutes: 1, Megabytes: 1})
	override("EventsExpire", "/messageTTL", nil, "messageTTL", "1")
	add("LogDeleted", plan.FieldEvents, func(t *testing.T, s string) error {
		t.Helper()
		return f.backend.deleteTopic(t.Context(), "test", s, layout.PulsarPartition(layout.PulsarEvents, 1))
	})
}

func (f *fixture) markerDrifts(add func(name string, want plan.Field, do func(t *testing.T, s string) error)) {
	edit := func(name string, want plan.Field, change func(m *marker[storeSettings])) {
		add(name, want, func(t *testing.T, s string) error {
			t.Helper()
			n, err := f.backend.readNamespace(t.Context(), "test", s)
			f.must(t, err)
			m, err := decodeStore(n.Properties)
			f.must(t, err)
			change(&m)
			return f.backend.setProperties(t.Context(), "test", s, m.properties(storePrefix))
		})
	}
	edit("OwnerChanged", plan.FieldOwner, func(m *marker[storeSettings]) { m.claim.Owner.UID = "another" })
	edit("MaxEventBytesRemoved", plan.FieldMaxEventBytes, func(m *marker[storeSettings]) { m.settings.MaxEventBytes = 0 })
	edit("SnapshotsOff", plan.FieldSnapshots, func(m *marker[storeSettings]) { m.settings.Snapshots = false })
	edit("PrincipalForgotten", plan.FieldPrincipal, func(m *marker[storeSettings]) { m.settings.Principal = nil })
	edit("PrincipalOfAnotherKey", plan.FieldPrincipal, func(m *marker[storeSettings]) { m.settings.Principal.Digest = "another" })
}

// permissionDrifts change what a role may do.
func (f *fixture) permissionDrifts(add func(name string, do func(t *testing.T, store, role string) error)) {
	grant := func(name, local string, actions ...string) {
		add(name, func(t *testing.T, s, role string) error {
			t.Helper()
			return f.backend.post(t.Context(), "test", f.backend.topic(s, local)+"/permissions/"+role, actions)
		})
	}
	grant("RightsReduced", layout.PulsarEvents)
	grant("RightsAdded", layout.PulsarEvents, produce, consume, "functions")
	grant("RightsOnPartitionAdded", layout.PulsarPartition(layout.PulsarEvents, 0), produce, consume)
	add("RightsOnNamespaceAdded", func(t *testing.T, s, role string) error {
		t.Helper()
		return f.backend.post(t.Context(), "test", f.backend.namespace(s)+"/permissions/"+role, []string{produce, consume})
	})
	add("RightsRevoked", func(t *testing.T, s, role string) error {
		t.Helper()
		return f.backend.revoke(t.Context(), "test", s, role, []string{layout.PulsarEvents})
	})
}

// subscriptionDrifts change what the suite's subscriptions have: dead letters that are kept for an hour.
func (f *fixture) subscriptionDrifts() []backendtest.Drift[backend.SubscriptionID] {
	var drifts []backendtest.Drift[backend.SubscriptionID]
	add := func(name string, want plan.Field, do func(t *testing.T, id backend.SubscriptionID) error) {
		drifts = append(drifts, backendtest.Drift[backend.SubscriptionID]{Name: name, Want: want, Make: func(t *testing.T, id backend.SubscriptionID) {
			t.Helper()
			f.must(t, do(t, id))
		}})
	}
	dead := func(id backend.SubscriptionID) string {
		return f.backend.topic(id.Store, layout.PulsarDeadLetters(id.Name))
	}
	add("DeadLetterRetentionShrunk", plan.FieldDeadLetterRetention, func(t *testing.T, id backend.SubscriptionID) error {
		t.Helper()
		return f.backend.post(t.Context(), "test", dead(id)+"/retention", retention{Minutes: 1, Megabytes: -1})
	})
	add("DeadLetterRetentionRemoved", plan.FieldDeadLetterRetention, func(t *testing.T, id backend.SubscriptionID) error {
		t.Helper()
		return f.backend.delete(t.Context(), "test", dead(id)+"/retention")
	})
	add("DeadLettersDeleted", plan.FieldSetting, func(t *testing.T, id backend.SubscriptionID) error {
		t.Helper()
		return f.backend.deleteTopic(t.Context(), "test", id.Store, layout.PulsarDeadLetters(id.Name))
	})
	add("RestrictionWidened", plan.FieldPrincipal, func(t *testing.T, id backend.SubscriptionID) error {
		t.Helper()
		return f.backend.post(t.Context(), "test", f.backend.namespace(id.Store)+"/permissions/subscription/"+id.Name,
			[]string{layout.SubscriptionPrincipal(id.Store, id.Name), "intruder"})
	})
	add("RestrictionRemoved", "setting, principal", func(t *testing.T, id backend.SubscriptionID) error {
		t.Helper()
		return f.backend.delete(t.Context(), "test", f.backend.namespace(id.Store)+"/permissions/"+id.Name+"/"+layout.SubscriptionPrincipal(id.Store, id.Name))
	})
	add("OwnerChanged", plan.FieldOwner, func(t *testing.T, id backend.SubscriptionID) error {
		t.Helper()
		n, err := f.backend.readNamespace(t.Context(), "test", id.Store)
		f.must(t, err)
		m, err := decodeSubscription(n.Properties, id.Name)
		f.must(t, err)
		m.claim.Owner.UID = "another"
		return f.backend.setProperties(t.Context(), "test", id.Store, m.properties(subscriptionKeys(id.Name)))
	})
	f.permissionDrifts(func(name string, do func(t *testing.T, store, role string) error) {
		add(name, plan.FieldPrincipal, func(t *testing.T, id backend.SubscriptionID) error {
			t.Helper()
			return do(t, id.Store, layout.SubscriptionPrincipal(id.Store, id.Name))
		})
	})
	return drifts
}
