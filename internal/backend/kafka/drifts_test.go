package kafka

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/backend/backendtest"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// alter changes a topic's configuration as administrator, and waits until that is seen.
func (f *fixture) alter(t *testing.T, topic, key, value string) {
	t.Helper()
	errs := make([]error, 1)
	a := []alteration{{0, topic, map[string]string{key: value}}}
	f.backend.alterTopics(t.Context(), a, errs)
	f.backend.awaitConfigs(t.Context(), a, errs)
	if errs[0] != nil {
		t.Fatal(errs[0])
	}
}

func (f *fixture) deleteTopic(t *testing.T, topic string) {
	t.Helper()
	errs := make([]error, 1)
	f.backend.deleteTopics(t.Context(), []deadTopic{{0, topic}}, errs)
	if errs[0] != nil {
		t.Fatal(errs[0])
	}
}

// rights adds an entry to the list of rights, or takes it out, and waits until that is seen.
func (f *fixture) rights(t *testing.T, e acl, there bool) {
	t.Helper()
	errs := make([]error, 1)
	if there {
		f.backend.addRights(t.Context(), []aclChange{{e, 0}}, errs)
	} else {
		f.backend.removeRights(t.Context(), []aclChange{{e, 0}}, errs)
	}
	if errs[0] != nil {
		t.Fatal(errs[0])
	}
	user := strings.TrimPrefix(e.principal, "User:")
	eventually(t, "the right to be seen", func() bool {
		a, err := f.backend.access(t.Context(), interest{users: []string{user}})
		if err != nil {
			t.Fatal(err)
		}
		return a.rights.has(e) == there
	})
}

// scram sets a credential of a user, or deletes it if there are no iterations, and waits until that is seen.
func (f *fixture) scram(t *testing.T, user string, mechanism int8, n int32) {
	t.Helper()
	req := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
	if n == 0 {
		req.Deletions = []kmsg.AlterUserSCRAMCredentialsRequestDeletion{{Name: user, Mechanism: mechanism}}
	} else {
		size := map[int8]int{scramSHA256: 32, scramSHA512: 64}[mechanism]
		req.Upsertions = []kmsg.AlterUserSCRAMCredentialsRequestUpsertion{{
			Name: user, Mechanism: mechanism, Iterations: n, Salt: []byte("0123456789abcdef"), SaltedPassword: make([]byte, size),
		}}
	}
	resp, err := req.RequestWith(t.Context(), f.admin())
	for _, r := range must(t, resp, err).Results {
		if err := answer(r.ErrorCode, r.ErrorMessage); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the credential to be seen", func() bool {
		a, err := f.backend.access(t.Context(), interest{users: []string{user}})
		if err != nil {
			t.Fatal(err)
		}
		return a.users[user][mechanism] == n
	})
}

func (f *fixture) quota(t *testing.T, user, value string) {
	t.Helper()
	errs := make([]error, 1)
	q := []quotaChange{{0, user, value}}
	f.backend.setQuotas(t.Context(), q, errs)
	f.backend.awaitQuotas(t.Context(), q, errs)
	if errs[0] != nil {
		t.Fatal(errs[0])
	}
}

func (f *fixture) storeDrifts() []backendtest.Drift[string] {
	var drifts []backendtest.Drift[string]
	add := func(name string, want plan.Field, make func(t *testing.T, store string)) {
		drifts = append(drifts, backendtest.Drift[string]{Name: name, Want: want, Make: make})
	}
	topic := func(name string, want plan.Field, key, value string) {
		add(name, want, func(t *testing.T, s string) { f.alter(t, layout.KafkaEvents(s), key, value) })
	}
	topic("RetentionShrunk", plan.FieldRetentionDuration, keyRetention, "60000")
	topic("RetentionGrown", plan.FieldRetentionDuration, keyRetention, "-1")
	topic("RetentionRemoved", plan.FieldRetentionDuration, keyRetention, "")
	topic("BytesAdded", plan.FieldRetentionBytes, keyRetainedBytes, "5000000")
	topic("MaxEventBytesChanged", plan.FieldMaxEventBytes, keyMaxMessage, "500000")
	topic("MaxEventBytesRemoved", plan.FieldMaxEventBytes, keyMaxMessage, "")
	topic("CleanupChanged", plan.FieldSetting, keyCleanup, "compact")
	topic("CleanupRemoved", plan.FieldSetting, keyCleanup, "")
	topic("TimestampChanged", plan.FieldSetting, keyTimestamp, "CreateTime")
	topic("TimestampRemoved", plan.FieldSetting, keyTimestamp, "")
	topic("UncleanElection", plan.FieldSetting, keyUnclean, "true")
	topic("MinInSyncAdded", plan.FieldSetting, keyMinInSync, "1")
	topic("LocalRetentionAdded", plan.FieldSetting, keyLocalRetention, "1000")
	add("SnapshotsCleanupChanged", plan.FieldSetting, func(t *testing.T, s string) { f.alter(t, layout.KafkaSnapshots(s), keyCleanup, "delete") })
	add("SnapshotsMinInSyncAdded", plan.FieldSetting, func(t *testing.T, s string) { f.alter(t, layout.KafkaSnapshots(s), keyMinInSync, "1") })
	add("SnapshotsDeleted", "snapshots, setting", func(t *testing.T, s string) { f.deleteTopic(t, layout.KafkaSnapshots(s)) })
	add("SnapshotsOff", plan.FieldSnapshots, func(t *testing.T, s string) {
		f.editStore(t, s, func(m map[string]any) { m["snapshots"] = false })
	})
	add("EventsDeleted", "setting, events", func(t *testing.T, s string) { f.deleteTopic(t, layout.KafkaEvents(s)) })
	add("EventsMadeAnewWithFewerPartitions", "retention.duration, maxEventBytes, setting, events", func(t *testing.T, s string) {
		f.deleteTopic(t, layout.KafkaEvents(s))
		errs := make([]error, 1)
		f.backend.createTopics(t.Context(), []newTopic{{0, layout.KafkaEvents(s), 1, 1, nil}}, errs)
		if errs[0] != nil {
			t.Fatal(errs[0])
		}
		eventually(t, "the topic", func() bool {
			topics, err := f.backend.cluster.metadata(t.Context(), []string{layout.KafkaEvents(s)})
			return err == nil && len(topics) == 1
		})
	})
	add("QuotaAdded", plan.FieldSetting, func(t *testing.T, s string) { f.quota(t, layout.StorePrincipal(s), "12345") })
	add("OwnerChanged", plan.FieldOwner, func(t *testing.T, s string) {
		f.editStore(t, s, func(m map[string]any) { m["owner"].(map[string]any)["uid"] = "another" })
	})
	add("PasswordForgotten", plan.FieldPrincipal, func(t *testing.T, s string) {
		f.editStore(t, s, func(m map[string]any) { delete(m["grant"].(map[string]any), "password") })
	})
	for name, drift := range f.userDrifts() {
		add(name, plan.FieldPrincipal, func(t *testing.T, s string) {
			drift(t, layout.StorePrincipal(s), layout.KafkaStoreACL(s)[1])
		})
	}
	return drifts
}

// userDrifts are changes of a user and its rights; of the rights one is given.
func (f *fixture) userDrifts() map[string]func(t *testing.T, user string, one layout.KafkaACL) {
	drifts := map[string]func(*testing.T, string, layout.KafkaACL){
		"UserDeleted":         func(t *testing.T, u string, _ layout.KafkaACL) { f.scram(t, u, scramSHA512, 0) },
		"UserPasswordChanged": func(t *testing.T, u string, _ layout.KafkaACL) { f.scram(t, u, scramSHA512, 4096) },
		"UserMechanismAdded":  func(t *testing.T, u string, _ layout.KafkaACL) { f.scram(t, u, scramSHA256, 4096) },
		"RightRemoved":        func(t *testing.T, u string, one layout.KafkaACL) { f.rights(t, right(u, one), false) },
	}
	for name, edit := range map[string]func(e *acl){
		"RightToAll":          func(e *acl) { e.operation = "ALL" },
		"RightToAlter":        func(e *acl) { e.operation = "ALTER" },
		"RightWithPrefix":     func(e *acl) { e.pattern = "PREFIXED" },
		"RightToEveryTopic":   func(e *acl) { e.typ, e.name = "TOPIC", "*" },
		"RightToTheCluster":   func(e *acl) { e.typ, e.name, e.operation = "CLUSTER", "kafka-cluster", "ALTER" },
		"RightToTransactions": func(e *acl) { e.typ, e.name, e.operation = "TRANSACTIONAL_ID", "*", "WRITE" },
		"RightFromOneHost":    func(e *acl) { e.host = "10.0.0.1" },
		"RightDenied":         func(e *acl) { e.permission = "DENY" },
	} {
		drifts[name] = func(t *testing.T, u string, one layout.KafkaACL) {
			e := right(u, one)
			edit(&e)
			f.rights(t, e, true)
		}
	}
	return drifts
}

func (f *fixture) subscriptionDrifts() []backendtest.Drift[backend.SubscriptionID] {
	var drifts []backendtest.Drift[backend.SubscriptionID]
	add := func(name string, want plan.Field, make func(t *testing.T, id backend.SubscriptionID)) {
		drifts = append(drifts, backendtest.Drift[backend.SubscriptionID]{Name: name, Want: want, Make: make})
	}
	topic := func(name string, want plan.Field, key, value string) {
		add(name, want, func(t *testing.T, id backend.SubscriptionID) {
			f.alter(t, layout.KafkaDeadLetters(id.Store, id.Name), key, value)
		})
	}
	marker := func(name string, want plan.Field, edit func(m map[string]any)) {
		add(name, want, func(t *testing.T, id backend.SubscriptionID) {
			f.edit(t, layout.KafkaSubscriptionKey(id.Store, id.Name), edit)
		})
	}
	topic("DeadLetterRetentionShrunk", plan.FieldDeadLetterRetention, keyRetention, "1000")
	topic("DeadLetterRetentionRemoved", plan.FieldDeadLetterRetention, keyRetention, "")
	topic("DeadLetterCleanupChanged", plan.FieldSetting, keyCleanup, "compact")
	topic("DeadLetterSizeRemoved", plan.FieldSetting, keyMaxMessage, "")
	add("DeadLettersDeleted", plan.FieldSetting, func(t *testing.T, id backend.SubscriptionID) {
		f.deleteTopic(t, layout.KafkaDeadLetters(id.Store, id.Name))
	})
	marker("OwnerChanged", plan.FieldOwner, func(m map[string]any) { m["owner"].(map[string]any)["uid"] = "another" })
	marker("PositionedForgotten", plan.FieldPositioned, func(m map[string]any) { delete(m, "positioned") })
	for name, drift := range f.userDrifts() {
		add(name, plan.FieldPrincipal, func(t *testing.T, id backend.SubscriptionID) {
			drift(t, layout.SubscriptionPrincipal(id.Store, id.Name), layout.KafkaSubscriptionACL(id.Store, id.Name)[1])
		})
	}
	return drifts
}
