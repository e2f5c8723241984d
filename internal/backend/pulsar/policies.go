package pulsar

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// A policy is one of a namespace's policies. Its value is spelled in one way, so that what a spec says and what Pulsar says
// can be compared: JSON with all fields, in the order of the type. "" is the broker's default.
type policy struct {
	path       string // Below the namespace's, in the admin API.
	method     string // That sets it. Default: POST.
	reset      string // Body that resets it. Default: DELETE does.
	zero       string // How Pulsar spells a policy that is not set, beside null.
	perCluster bool   // Pulsar keeps one value for each cluster.
	field      plan.Field
	instead    string // If a spec may not set it by pulsar.policies: what sets it.

	// spell checks a value and spells it. What Pulsar says may have fields that are not known here; what a spec says may not.
	spell func(raw json.RawMessage, strict bool) (string, error)
}

// as spells values of a type. defaults are what Pulsar takes for fields that are left out.
func as[T any](defaults T) func(json.RawMessage, bool) (string, error) {
	return func(raw json.RawMessage, strict bool) (string, error) {
		if bytes.Equal(bytes.TrimSpace(raw), []byte("null")) {
			return "", errors.New("null is not a value: remove the policy to have the broker's default")
		}
		v := defaults
		d := json.NewDecoder(bytes.NewReader(raw))
		if strict {
			d.DisallowUnknownFields()
		}
		if err := d.Decode(&v); err != nil {
			return "", err
		}
		if _, err := d.Token(); !errors.Is(err, io.EOF) {
			return "", errors.New("there is something after the value")
		}
		return encode(v), nil
	}
}

// set spells a list whose order means nothing.
func set(raw json.RawMessage, strict bool) (string, error) {
	text, err := as([]string{})(raw, strict)
	if err != nil {
		return "", err
	}
	var list []string
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		return "", err
	}
	slices.Sort(list)
	return encode(slices.Compact(list)), nil
}

type dispatchRate struct {
	Messages int64 `json:"dispatchThrottlingRateInMsg"`
	Bytes    int64 `json:"dispatchThrottlingRateInByte"`
	Relative bool  `json:"relativeToPublishRate"`
	Period   int64 `json:"ratePeriodInSecond"`
}

type subscribeRate struct {
	PerConsumer int64 `json:"subscribeThrottlingRatePerConsumer"`
	Period      int64 `json:"ratePeriodInSecond"`
}

type publishRate struct {
	Messages int64 `json:"publishThrottlingRateInMsg"`
	Bytes    int64 `json:"publishThrottlingRateInByte"`
}

type delayedDelivery struct {
	Tick     int64 `json:"tickTime"`
	Active   bool  `json:"active"`
	MaxDelay int64 `json:"maxDeliveryDelayInMillis"`
}

type inactiveTopics struct {
	Mode       string `json:"inactiveTopicDeleteMode"`
	MaxSeconds int64  `json:"maxInactiveDurationSeconds"`
	Delete     bool   `json:"deleteWhileInactive"`
}

type persistence struct {
	Ensemble       int     `json:"bookkeeperEnsemble"`
	WriteQuorum    int     `json:"bookkeeperWriteQuorum"`
	AckQuorum      int     `json:"bookkeeperAckQuorum"`
	MarkDeleteRate float64 `json:"managedLedgerMaxMarkDeleteRate"`
}

type backlogQuota struct {
	Size   int64  `json:"limitSize"`
	Time   int64  `json:"limitTime"`
	Policy string `json:"policy"`
}

type backlogQuotas struct {
	Storage *backlogQuota `json:"destination_storage"`
	Age     *backlogQuota `json:"message_age"`
}

type autoTopicCreation struct {
	Allow bool `json:"allowAutoTopicCreation"`
}

type autoSubscriptionCreation struct {
	Allow bool `json:"allowAutoSubscriptionCreation"`
}

type entryFilters struct {
	Names string `json:"entryFilterNames"`
}

// Names of policies that the provider sets.
const (
	policyPersistence      = "persistence"
	policyBacklogQuota     = "backlog_quota_map"
	policyPublishRate      = "publishMaxMessageRate"
	policyOffloadBytes     = "offload_threshold"
	policyOffloadSeconds   = "offload_threshold_in_seconds"
	policyOffloadLag       = "offload_deletion_lag_ms"
	policyCompatibility    = "schema_compatibility_strategy"
	policySchemaUpdates    = "is_allow_auto_update_schema"
	policyTopicCreation    = "autoTopicCreationOverride"
	policySubCreation      = "autoSubscriptionCreationOverride"
	policyInactiveTopics   = "inactive_topic_policies"
	policySubExpiration    = "subscription_expiration_time_minutes"
	policyEncryption       = "encryption_required"
	policySubAuth          = "subscription_auth_mode"
	policyEntryFilters     = "entryFilters"
	policyOffload          = "offload_policies"
	settingKept            = "events/retention_policies"      // What the events topic keeps, in place of the namespace's.
	settingTTL             = "events/message_ttl_in_seconds"  // When its events expire, in place of the namespace's.
	settingGenesis         = "events/genesis"                 // No partition of a streaming store is without any record.
	settingSchema          = "events/schema"                  // Type and digest of the schema of the events topic.
	settingCompaction      = "snapshots/compaction_threshold" // Bytes after which the topic for snapshots is compacted.
	settingCompacted       = "snapshots/retention_policies"   // What is kept of that topic once it is compacted.
	fixedBecause           = "it is fixed, because other values lose events: remove it"
	fixedBecauseProvider   = "it belongs to the provider: remove it"
	fixedBecauseUnreadable = "the provider and the SDK could not use the store any more: remove it"
)

// policies returns the policies that are known here, by Pulsar's names.
func policies() map[string]policy {
	number, flag := as(int64(0)), as(false)
	dispatch := as(dispatchRate{Messages: -1, Bytes: -1, Period: 1})
	owned := func(field plan.Field) policy {
		return policy{field: field, instead: string("it belongs to spec.forProvider." + field + ": set that")}
	}
	m := map[string]policy{
		"deduplicationEnabled":                  {path: "deduplication", spell: flag},
		"deduplicationSnapshotIntervalSeconds":  {path: "deduplicationSnapshotInterval", spell: number, reset: "null"},
		"delayed_delivery_policies":             {path: "delayedDelivery", spell: as(delayedDelivery{Tick: 1000, Active: true})},
		"max_producers_per_topic":               {path: "maxProducersPerTopic", spell: number},
		"max_consumers_per_topic":               {path: "maxConsumersPerTopic", spell: number},
		"max_consumers_per_subscription":        {path: "maxConsumersPerSubscription", spell: number},
		"max_unacked_messages_per_consumer":     {path: "maxUnackedMessagesPerConsumer", spell: number},
		"max_unacked_messages_per_subscription": {path: "maxUnackedMessagesPerSubscription", spell: number},
		"max_subscriptions_per_topic":           {path: "maxSubscriptionsPerTopic", spell: number},
		"max_topics_per_namespace":              {path: "maxTopicsPerNamespace", spell: number},
		policyOffloadLag:                        {path: "offloadDeletionLagMs", spell: number, method: http.MethodPut},
		"topicDispatchRate":                     {path: "dispatchRate", spell: dispatch, perCluster: true},
		"subscriptionDispatchRate":              {path: "subscriptionDispatchRate", spell: dispatch, perCluster: true},
		"clusterSubscribeRate":                  {path: "subscribeRate", spell: as(subscribeRate{PerConsumer: -1, Period: 30}), perCluster: true},
		"schema_validation_enforced":            {path: "schemaValidationEnforced", spell: flag, reset: "false", zero: "false"},
		"subscription_types_enabled":            {path: "subscriptionTypesEnabled", spell: set, zero: "[]"},
		policyPersistence:                       {path: "persistence", spell: as(persistence{}), instead: owned("durability").instead},
		policyPublishRate:                       {path: "publishRate", spell: as(publishRate{Messages: -1, Bytes: -1}), perCluster: true, instead: owned("quota.publishRate").instead},
		policyBacklogQuota:                      {spell: as(backlogQuotas{}), instead: owned("quota.bytes").instead},
		policyOffloadBytes:                      {path: "offloadThreshold", method: http.MethodPut, reset: "-1", zero: "-1", spell: number, instead: owned("tiering").instead},
		policyOffloadSeconds:                    {path: "offloadThresholdInSeconds", method: http.MethodPut, reset: "-1", zero: "-1", spell: number, instead: owned("tiering").instead},
		policyCompatibility:                     {path: "schemaCompatibilityStrategy", method: http.MethodPut, reset: `"UNDEFINED"`, zero: `"UNDEFINED"`, spell: as(""), instead: owned("pulsar.nativeSchema.compatibility").instead},
		policySchemaUpdates:                     {path: "isAllowAutoUpdateSchema", reset: "true", zero: "true", spell: flag},
		policyTopicCreation:                     {path: "autoTopicCreation", spell: as(autoTopicCreation{}), instead: fixedBecause},
		policySubCreation:                       {path: "autoSubscriptionCreation", spell: as(autoSubscriptionCreation{}), instead: fixedBecause},
		policyInactiveTopics:                    {path: "inactiveTopicPolicies", spell: as(inactiveTopics{}), instead: fixedBecause},
		policySubExpiration:                     {path: "subscriptionExpirationTime", spell: number, instead: fixedBecause},
		"retention_policies":                    owned(plan.FieldRetentionDuration),
		"message_ttl_in_seconds":                owned(plan.FieldMessageTTL),
		policyOffload:                           owned("tiering"),
		policyEncryption:                        {path: "encryptionRequired", reset: "false", zero: "false", spell: flag, instead: fixedBecauseUnreadable},
		policySubAuth:                           {path: "subscriptionAuthMode", reset: `"None"`, zero: `"None"`, spell: as(""), instead: fixedBecauseUnreadable},
		"compaction_threshold":                  {instead: "only the topic for snapshots is compacted: remove it"},
		"replication_clusters":                  {instead: "events of several clusters would mix: remove it"},
		"allowed_clusters":                      {instead: "events of several clusters would mix: remove it"},
		policyEntryFilters:                      {path: "entryFilters", spell: as(entryFilters{}), instead: "it hides events from subscriptions: set filter.eventTypes of the Subscription"},
		"auth_policies":                         {instead: fixedBecauseProvider},
		"properties":                            {instead: fixedBecauseProvider},
		"deleted":                               {instead: fixedBecauseProvider},
		"bundles":                               {instead: fixedBecauseProvider},
		"migrated":                              {instead: fixedBecauseProvider},
	}
	return m
}

func unlimited() *backlogQuota {
	return &backlogQuota{Size: -1, Time: -1, Policy: "producer_exception"}
}

// observeSettings returns the policies that differ from the broker's defaults.
func (n *namespace) observeSettings() plan.Settings {
	raw := n.policies
	if offload := n.offload(); len(offload) > 0 { // Once set, Pulsar keeps both thresholds there.
		raw = maps.Clone(raw)
		maps.Copy(raw, offload)
	}
	s := plan.Settings{}
	for name, p := range policies() {
		v, ok := raw[name]
		if !ok || p.spell == nil {
			continue
		}
		if p.perCluster {
			v = commonValue(v)
		}
		if text, err := p.spell(v, false); err == nil && text != p.zero {
			s[name] = text
		}
	}
	if string(raw[policyBacklogQuota]) == "{}" {
		delete(s, policyBacklogQuota)
	}
	return s
}

// offload returns the policies that Pulsar moves there when they are set.
func (n *namespace) offload() map[string]json.RawMessage {
	var v map[string]json.RawMessage
	if json.Unmarshal(n.policies[policyOffload], &v) != nil {
		return nil
	}
	m := map[string]json.RawMessage{}
	for name, there := range map[string]string{
		policyOffloadBytes:   "managedLedgerOffloadThresholdInBytes",
		policyOffloadSeconds: "managedLedgerOffloadThresholdInSeconds",
		policyOffloadLag:     "managedLedgerOffloadDeletionLagInMillis",
	} {
		if value, ok := v[there]; ok {
			m[name] = value
		}
	}
	return m
}

// commonValue returns what all clusters have; null if there is nothing, or not the same.
func commonValue(raw json.RawMessage) json.RawMessage {
	var values map[string]json.RawMessage
	none := json.RawMessage("null")
	if json.Unmarshal(raw, &values) != nil || len(values) == 0 {
		return none
	}
	all := slices.Collect(maps.Values(values))
	for _, v := range all[1:] {
		if !bytes.Equal(v, all[0]) {
			return none
		}
	}
	return all[0]
}

// setPolicy sets a policy of a namespace, or resets it if value is empty.
func (b *Backend) setPolicy(ctx context.Context, store, name, value string) error {
	p, ok := policies()[name]
	if !ok || p.spell == nil {
		return dataError{errors.New("policy " + name + " is not known to this provider: remove it")}
	}
	path := b.namespace(store) + "/" + p.path
	switch {
	case name == policyBacklogQuota:
		return b.setBacklogQuota(ctx, store, value)
	case value == "" && p.reset == "":
		return b.delete(ctx, "ApplyStores", path)
	case value == "":
		value = p.reset
	}
	if p.method == http.MethodPut {
		return b.put(ctx, "ApplyStores", path, json.RawMessage(value))
	}
	return b.post(ctx, "ApplyStores", path, json.RawMessage(value))
}

func (b *Backend) setBacklogQuota(ctx context.Context, store, value string) error {
	path := b.namespace(store) + "/backlogQuota"
	var quotas map[string]json.RawMessage
	if value != "" {
		if err := json.Unmarshal([]byte(value), &quotas); err != nil {
			return err
		}
	}
	for _, kind := range []string{"destination_storage", "message_age"} {
		var err error
		if q, ok := quotas[kind]; ok {
			err = b.post(ctx, "ApplyStores", path, q, "backlogQuotaType", kind)
		} else {
			err = b.delete(ctx, "ApplyStores", path, "backlogQuotaType", kind)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// creationPolicies returns those of the settings that a namespace can be created with. The others are set afterwards: they
// are kept by cluster, or in another place.
func creationPolicies(s plan.Settings) map[string]json.RawMessage {
	m := map[string]json.RawMessage{}
	all := policies()
	for name, value := range s {
		if p, ok := all[name]; ok && !p.perCluster && !strings.HasPrefix(name, "offload_") && value != "" {
			m[name] = json.RawMessage(value)
		}
	}
	return m
}
