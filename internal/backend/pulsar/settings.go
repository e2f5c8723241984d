package pulsar

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// compactionThreshold is how much may be written to the topic for snapshots until it is compacted, in each partition.
const compactionThreshold = 16 << 20

// StoreSettings says which policies a store has. Quotas and rates are those of Pulsar's topics, of which each partition is
// one, so each gets its share.
func (b *Backend) StoreSettings(d plan.DesiredStore) (plan.Settings, []plan.Refusal) {
	s := plan.Settings{
		policyTopicCreation:  encode(autoTopicCreation{}),
		policySubCreation:    encode(autoSubscriptionCreation{}),
		policyInactiveTopics: encode(inactiveTopics{Mode: "delete_when_no_subscriptions", MaxSeconds: 60}),
		policySubExpiration:  "0",
		policyBacklogQuota:   encode(quotas(d)),
		settingGenesis:       present,
		// What somebody else may set, and would hide or lose events, or keep applications from them.
		policyEncryption: "", policySubAuth: "", policyEntryFilters: "", settingKept: "", settingTTL: "",
	}
	refusals := b.refuseTenant(d)
	refusals = append(refusals, setPersistence(s, d)...)
	refusals = append(refusals, refuseQuota(d)...)
	setRates(s, d)
	setTiering(s, d)
	refusals = append(refusals, setSchema(s, d)...)
	switch {
	case d.Snapshots && b.configured.noTopicPolicies.Load():
		refusals = append(refusals, plan.Refusal{
			Reason: plan.ReasonBrokerLimit, Field: plan.FieldSnapshots,
			Message: "snapshots needs policies of topics, which these brokers do not have: set topicLevelPoliciesEnabled=true and systemTopicEnabled=true on the brokers, or turn snapshots off",
		})
	case d.Snapshots:
		s[settingCompaction] = strconv.Itoa(compactionThreshold)
		s[settingCompacted] = encode(retention{}) // Compaction keeps the latest of each stream, and reads everything before it goes.
	}
	return s, append(refusals, setNative(s, d)...)
}

// refuseTenant keeps a ProviderConfig to its own tenant. See docs/decisions/0015-one-tenant-for-a-providerconfig.md.
func (b *Backend) refuseTenant(d plan.DesiredStore) []plan.Refusal {
	if d.Tenant == "" || d.Tenant == b.config.Tenant {
		return nil
	}
	return []plan.Refusal{{
		Reason: plan.ReasonUnsupported, Field: plan.FieldPulsarTenant, Blocks: true,
		Message: fmt.Sprintf("pulsar.tenant is %q, and the ProviderConfig is for tenant %q: remove it, or choose a ProviderConfig for that tenant", d.Tenant, b.config.Tenant),
	}}
}

// setPersistence spreads what is written over as many bookies as there are copies.
func setPersistence(s plan.Settings, d plan.DesiredStore) []plan.Refusal {
	refuse := func(field plan.Field, message string) []plan.Refusal {
		return []plan.Refusal{{Reason: plan.ReasonUnsupported, Field: field, Message: message}}
	}
	switch {
	case d.Replicas == 0 && d.MinInSync == 0:
		return nil
	case d.Replicas == 0:
		return refuse(plan.FieldMinInSync, "durability.minInSync needs durability.replicas on Pulsar, which sets both together: set durability.replicas too")
	case d.MinInSync > d.Replicas:
		return refuse(plan.FieldMinInSync, fmt.Sprintf("durability.minInSync is %d and durability.replicas %d, so no append could succeed: lower minInSync", d.MinInSync, d.Replicas))
	}
	p := persistence{Ensemble: d.Replicas, WriteQuorum: d.Replicas, AckQuorum: d.MinInSync}
	if p.AckQuorum == 0 {
		p.AckQuorum = d.Replicas/2 + 1
	}
	s[policyPersistence] = encode(p)
	return nil
}

// quotas makes producers fail, and never evicts. Without a quota it is set all the same, so that a default of the broker that
// evicts does not apply.
func quotas(d plan.DesiredStore) backlogQuotas {
	q := backlogQuotas{Storage: unlimited(), Age: unlimited()}
	if d.Quota.Bytes > 0 {
		q.Storage.Size = share(d.Quota.Bytes, d)
	}
	return q
}

// refuseQuota refuses what Pulsar answers with 412: what subscriptions have not read counts as kept, too.
func refuseQuota(d plan.DesiredStore) []plan.Refusal {
	kept := policyOf(d.Retention, d.PartitionsToCreate()).Megabytes << 20
	if d.Quota.Bytes == 0 || d.Retention.Bytes == 0 || share(d.Quota.Bytes, d) < kept {
		return nil
	}
	return []plan.Refusal{{
		Reason: plan.ReasonBrokerLimit, Field: plan.FieldQuotaBytes,
		Message: fmt.Sprintf("quota.bytes is %d and retention.bytes %d, and Pulsar wants the quota to be smaller: lower quota.bytes, or raise retention.bytes", d.Quota.Bytes, d.Retention.Bytes),
	}}
}

func setRates(s plan.Settings, d plan.DesiredStore) {
	r := publishRate{Messages: -1, Bytes: -1}
	if d.Quota.AppendsPerSecond > 0 {
		r.Messages = share(d.Quota.AppendsPerSecond, d)
	}
	if d.Quota.BytesPerSecond > 0 {
		r.Bytes = share(d.Quota.BytesPerSecond, d)
	}
	if r != (publishRate{Messages: -1, Bytes: -1}) {
		s[policyPublishRate] = encode(r)
	}
}

func setTiering(s plan.Settings, d plan.DesiredStore) {
	if d.Tiering.AfterBytes > 0 {
		s[policyOffloadBytes] = strconv.FormatInt(share(d.Tiering.AfterBytes, d), 10)
	}
	if d.Tiering.After > 0 {
		s[policyOffloadSeconds] = strconv.FormatInt(roundUp(int64(d.Tiering.After), int64(time.Second)), 10)
	}
}

// share is the part of one partition, rounded up.
func share(n int64, d plan.DesiredStore) int64 { return roundUp(n, int64(d.PartitionsToCreate())) }

// setSchema has Pulsar check what is produced. Only the provider changes the schema: a producer that brings another is
// refused.
func setSchema(s plan.Settings, d plan.DesiredStore) []plan.Refusal {
	if d.Schema == (plan.Schema{}) {
		return nil
	}
	compatibility, ok := compatibilities()[d.Schema.Compatibility]
	kind, known := schemaTypes()[d.Schema.Type]
	if !ok || !known {
		return []plan.Refusal{{
			Reason: plan.ReasonUnsupported, Field: plan.FieldPulsarSchema,
			Message: fmt.Sprintf("pulsar.nativeSchema has type %q and compatibility %q, which this provider does not know: use types %v and compatibilities %v",
				d.Schema.Type, d.Schema.Compatibility, slices.Sorted(maps.Keys(schemaTypes())), slices.Sorted(maps.Keys(compatibilities()))),
		}}
	}
	s[policyCompatibility] = encode(compatibility)
	s[policySchemaUpdates] = "false"
	s[settingSchema] = schemaDigest(kind, d.Schema.Definition)
	return nil
}

// schemaDigest names a schema: the text itself is too long for an event.
func schemaDigest(kind, definition string) string {
	sum := sha256.Sum256([]byte(definition))
	return kind + " " + hex.EncodeToString(sum[:8])
}

func schemaTypes() map[string]string {
	return map[string]string{"Avro": "AVRO", "JSON": "JSON", "Protobuf": "PROTOBUF"}
}

func compatibilities() map[string]string {
	return map[string]string{
		"Backward": "BACKWARD", "BackwardTransitive": "BACKWARD_TRANSITIVE",
		"Forward": "FORWARD", "ForwardTransitive": "FORWARD_TRANSITIVE",
		"Full": "FULL", "FullTransitive": "FULL_TRANSITIVE",
		"AlwaysCompatible": "ALWAYS_COMPATIBLE", "AlwaysIncompatible": "ALWAYS_INCOMPATIBLE",
		"": "FULL_TRANSITIVE",
	}
}

// setNative adds what the spec sets by Pulsar's own names.
func setNative(s plan.Settings, d plan.DesiredStore) (refusals []plan.Refusal) {
	known := policies()
	for _, name := range slices.Sorted(maps.Keys(d.Native)) {
		refuse := func(format string, args ...any) {
			refusals = append(refusals, plan.Refusal{
				Reason: plan.ReasonUnsupported, Field: plan.FieldPulsarPolicies,
				Message: fmt.Sprintf("pulsar.policies sets %s: ", name) + fmt.Sprintf(format, args...),
			})
		}
		p, ok := known[name]
		_, taken := s[name]
		switch {
		case !ok:
			refuse("this provider does not know that policy: remove it; it knows %v", settable(known))
			continue
		case p.instead != "":
			refuse("%s", p.instead)
			continue
		case taken:
			refuse("another field of the spec sets it: remove it from pulsar.policies")
			continue
		}
		value, err := p.spell(json.RawMessage(d.Native[name]), true)
		if err != nil {
			refuse("%s is not a value for it (%v): correct it", d.Native[name], err)
			continue
		}
		if value == p.zero {
			value = ""
		}
		s[name] = value
	}
	return refusals
}

// settable returns the names of the policies that a spec may set.
func settable(known map[string]policy) (names []string) {
	for n, p := range known {
		if p.instead == "" {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	return names
}

// Settings of a subscription.
const (
	settingRestricted  = "subscription_auth_roles" // Who may use the subscription.
	settingDeadLetters = "dlq/topic"

	present = "present"
)

// SubscriptionSettings says what a subscription has beside its position: nobody else may use it, and there is a topic for
// what it gives up on.
func (b *Backend) SubscriptionSettings(d plan.DesiredSubscription) plan.Settings {
	s := plan.Settings{settingRestricted: present}
	if d.DeadLetter {
		s[settingDeadLetters] = present
	}
	return s
}
