package provider_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"k8s.io/utils/ptr"

	"github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
	namespacedv1alpha1 "github.com/crossplane-contrib/provider-eventstore/apis/namespaced/v1alpha1"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// pulsarEffects are what fields do on Pulsar.
var pulsarEffects = map[plan.Field]effect{
	plan.FieldPartitions:        topicAnswers("events", "/partitions", "3", "partitions"),
	plan.FieldRetentionDuration: policyIs("1", "retention_policies", "retentionTimeInMinutes"), // Whole minutes, rounded up.
	plan.FieldRetentionBytes:    policyIs("1", "retention_policies", "retentionSizeInMB"),      // Whole MiB, rounded up.
	plan.FieldSnapshots: func(t *testing.T, s specimen) {
		s.says(t, map[string]string{layout.SecretSnapshots: "true"})
		topicAnswers("snapshots", "/partitions", "1", "partitions")(t, s)
	},
	plan.FieldMaxEventBytes: func(t *testing.T, s specimen) {
		s.says(t, map[string]string{layout.SecretMaxEventBytes: "4096"})
	},
	plan.FieldReplicas:        policyIs("1", "persistence", "bookkeeperWriteQuorum"),
	plan.FieldMinInSync:       policyIs("1", "persistence", "bookkeeperAckQuorum"),
	plan.FieldTieringDuration: policyIs("3600", "offload_policies", "managedLedgerOffloadThresholdInSeconds"),
	plan.FieldTieringBytes:    policyIs("1048576", "offload_policies", "managedLedgerOffloadThresholdInBytes"),
	plan.FieldMessageTTL:      policyIs("3600", "message_ttl_in_seconds"),
	plan.FieldQuotaBytes:      policyIs("1048576", "backlog_quota_map", "destination_storage", "limitSize"),
	plan.FieldQuotaByteRate:   policyIs("54321", "publishMaxMessageRate", "standalone", "publishThrottlingRateInByte"),
	plan.FieldQuotaAppendRate: policyIs("54", "publishMaxMessageRate", "standalone", "publishThrottlingRateInMsg"),
	plan.FieldPulsarTenant: func(t *testing.T, s specimen) {
		s.says(t, map[string]string{layout.SecretTenant: backdoorTenant})
		other := on(s.anyBroker, store(s.ns, "other-tenant"))
		other.Spec.ForProvider.Pulsar = &v1alpha1.EventStorePulsar{Tenant: ptr.To("public")}
		create(t, other)
		refused(t, other, v1alpha1.ReasonUnsupported, `pulsar.tenant is "public"`, "choose a ProviderConfig for that tenant")
	},
	plan.FieldPulsarPolicies: func(t *testing.T, s specimen) {
		policyIs("true", "deduplicationEnabled")(t, s)
		change(t, s.resource, func(o *namespacedv1alpha1.EventStore) { o.Spec.ForProvider.Pulsar = nil })
		policyIs("null", "deduplicationEnabled")(t, s) // The broker's default.
	},
	plan.FieldPulsarSchema: func(t *testing.T, s specimen) {
		policyIs("FORWARD", "schema_compatibility_strategy")(t, s)
		shows(t, "the type of the schema", s.rest(t, "schemas/"+layout.PulsarNamespace(backdoorTenant, s.store)+"/events/schema", "type"), "AVRO")
	},

	plan.FieldStartFrom: func(t *testing.T, s specimen) { s.atEndOfLedgers(t) },
	plan.FieldReplay:    func(t *testing.T, s specimen) { s.atEndOfLedgers(t) },
	plan.FieldType:      saysType,
	plan.FieldRetry:     saysRetry,
	plan.FieldFilter:    saysFilter,
	plan.FieldDeadLetter: func(t *testing.T, s specimen) {
		s.says(t, map[string]string{layout.SecretDeadLetter: "true"})
		topicAnswers(layout.PulsarDeadLetters(s.sub), "/stats", "0", "msgInCounter")(t, s)
	},
	plan.FieldDeadLetterRetention: func(t *testing.T, s specimen) {
		topicAnswers(layout.PulsarDeadLetters(s.sub), "/retention", "1", "retentionTimeInMinutes")(t, s) // Whole minutes, rounded up.
	},
}

// rest looks at something in an answer of the admin API, by the keys that lead there.
func (b *anyBroker) rest(t *testing.T, path string, keys ...string) func() (string, error) {
	t.Helper()
	return func() (string, error) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.pulsar.AdminURL+"/admin/v2/"+path, nil)
		if err != nil {
			return "", err
		}
		req.Header.Set("Authorization", "Bearer "+b.pulsar.AdminToken)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return "", err
		}
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return "", fmt.Errorf("pulsar answered %s", res.Status)
		}
		var at json.RawMessage
		if err := json.NewDecoder(res.Body).Decode(&at); err != nil {
			return "", err
		}
		for _, k := range keys {
			var m map[string]json.RawMessage
			if err := json.Unmarshal(at, &m); err != nil {
				return "", err
			}
			at = m[k]
		}
		if at == nil {
			return "null", nil
		}
		return strings.Trim(string(at), `"`), nil
	}
}

// policyIs looks at a policy of the store's namespace.
func policyIs(want string, keys ...string) effect {
	return func(t *testing.T, s specimen) {
		t.Helper()
		shows(t, strings.Join(keys, "."), s.rest(t, "namespaces/"+layout.PulsarNamespace(backdoorTenant, s.store), keys...), want)
	}
}

// topicAnswers looks at what the admin API says of a topic, by its local name.
func topicAnswers(topic, path, want string, keys ...string) effect {
	return func(t *testing.T, s specimen) {
		t.Helper()
		shows(t, topic+path, s.rest(t, "persistent/"+layout.PulsarNamespace(backdoorTenant, s.store)+"/"+topic+path, keys...), want)
	}
}

// atEndOfLedgers waits until the subscription has nothing to read.
func (s specimen) atEndOfLedgers(t *testing.T) {
	t.Helper()
	topicAnswers(layout.PulsarPartition("events", 0), "/stats", "0", "subscriptions", s.sub, "msgBacklog")(t, s)
}
