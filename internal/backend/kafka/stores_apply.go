package kafka

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// ApplyStores makes planned changes, step by step for all stores at once: markers, topics and their settings, users, the
// first records, rights. A store whose step fails takes no further one.
//
// The brokers bring partitions up while users are made, who cannot do anything yet. Rights come last: nobody can write before
// every partition has its first record. Of a store that has users already, and lost its topic, they are barred meanwhile.
func (b *Backend) ApplyStores(ctx context.Context, changes []backend.StoreChange) []error {
	errs := make([]error, len(changes))
	for i, c := range changes {
		errs[i] = layout.ValidateStore(c.Desired.Name)
	}
	b.shared.wrote()
	changes, spared := b.spareSnapshots(ctx, changes, errs)
	before := b.claimStores(ctx, changes, errs)
	barred := b.bar(ctx, changes, errs)
	created, configured := b.applyTopics(ctx, changes, errs)
	quotas := quotaChanges(changes, errs)
	b.setQuotas(ctx, quotas, errs)
	grants := b.applyUsers(ctx, storeGrants(changes, before, errs), errs)
	b.begin(ctx, beginnings(changes, created, errs), errs)
	b.applyRights(ctx, grants, errs)
	b.removeRights(ctx, barred, errs)
	b.awaitConfigs(ctx, configured, errs)
	b.awaitQuotas(ctx, quotas, errs)
	b.awaitGrants(ctx, grants, errs)
	b.awaitEntries(ctx, barred, false, errs)
	b.shared.wrote()
	for i, err := range errs {
		if err = first(err, spared[i]); err != nil {
			errs[i] = fmt.Errorf("cannot apply store %q: %w", changes[i].Desired.Name, b.explain(err)) //nolint:gosec // There is one for each.
		}
	}
	return errs
}

// applyTopics creates topics that are missing, and configures those that are there. It returns which of them are new, and
// what is to be waited for.
//
// One that is found to be there when it is created was made by a step that was interrupted, or by somebody else, and may
// hold something: it gets what the plan changes, and not what a new one gets. The next plan finds what else is to be done,
// or refused.
func (b *Backend) applyTopics(ctx context.Context, changes []backend.StoreChange, errs []error) (created map[string]bool, configured []alteration) {
	var missing []newTopic
	var seen, altered []alteration
	for i, c := range changes {
		if errs[i] == nil {
			missing = append(missing, missingTopics(i, c)...)
		}
	}
	created = map[string]bool{}
	for _, t := range missing {
		created[t.name] = true
	}
	for _, t := range b.createTopics(ctx, missing, errs) {
		created[t.name] = false
	}
	for _, t := range missing {
		if created[t.name] && t.name != layout.KafkaEvents(changes[t.at].Desired.Name) {
			seen = append(seen, alteration{t.at, t.name, t.config}) // Of events it is seen by their first records.
		}
	}
	for i, c := range changes {
		if errs[i] == nil {
			altered = append(altered, slices.DeleteFunc(storeAlterations(i, c), func(a alteration) bool {
				return created[a.topic] || len(a.set) == 0
			})...)
		}
	}
	b.alterTopics(ctx, altered, errs)
	return created, append(seen, altered...)
}

// missingTopics returns the topics that a store's plan makes.
func missingTopics(at int, c backend.StoreChange) (topics []newTopic) {
	d := c.Desired
	n := plan.PartitionCount(d, c.Observed)
	if has(c.Changes, plan.FieldEvents) {
		config := retentionConfig(retentionToKeep(c), n)
		if d.MaxEventBytes > 0 {
			config[keyMaxMessage] = maxMessage(d.MaxEventBytes)
		}
		maps.Copy(config, settingsOf(d, ""))
		topics = append(topics, newTopic{at, layout.KafkaEvents(d.Name), n, d.Replicas, config})
	}
	if makesSnapshots(c) {
		topics = append(topics, newTopic{at, layout.KafkaSnapshots(d.Name), n, d.Replicas, settingsOf(d, snapshotsPrefix)})
	}
	return topics
}

// retentionToKeep is what a new topic of events keeps: of what is refused, as much as before.
func retentionToKeep(c backend.StoreChange) plan.Retention {
	r := c.Observed.Retention
	if !c.Observed.Exists() || has(c.Changes, plan.FieldRetentionDuration) {
		r.Duration = c.Desired.Retention.Duration
	}
	if !c.Observed.Exists() || has(c.Changes, plan.FieldRetentionBytes) {
		r.Bytes = c.Desired.Retention.Bytes
	}
	return r
}

// settingsOf returns the desired settings with a prefix, by their keys, that are not somebody else's.
func settingsOf(d plan.DesiredStore, prefix string) map[string]string {
	config := map[string]string{}
	for name, v := range d.Settings {
		if p, key := cutSetting(name); p == prefix && v != "" && !slices.Contains(d.Unmanaged, name) {
			config[key] = v
		}
	}
	return config
}

// storeAlterations returns what a store's plan changes of the configurations of its topics.
func storeAlterations(at int, c backend.StoreChange) []alteration {
	d := c.Desired
	n := plan.PartitionCount(d, c.Observed)
	events, snapshots := map[string]string{}, map[string]string{}
	for _, change := range c.Changes {
		switch change.Field {
		case plan.FieldRetentionDuration:
			events[keyRetention] = retentionConfig(d.Retention, n)[keyRetention]
		case plan.FieldRetentionBytes:
			events[keyRetainedBytes] = retentionConfig(d.Retention, n)[keyRetainedBytes]
		case plan.FieldMaxEventBytes:
			events[keyMaxMessage] = ""
			if d.MaxEventBytes > 0 {
				events[keyMaxMessage] = maxMessage(d.MaxEventBytes)
			}
		case plan.FieldSetting:
			switch prefix, key := cutSetting(change.Setting); prefix {
			case "":
				events[key] = d.Settings[change.Setting]
			case snapshotsPrefix:
				snapshots[key] = d.Settings[change.Setting]
			}
		}
	}
	return []alteration{{at, layout.KafkaEvents(d.Name), events}, {at, layout.KafkaSnapshots(d.Name), snapshots}}
}

func quotaChanges(changes []backend.StoreChange, errs []error) (quotas []quotaChange) {
	for i, c := range changes {
		if errs[i] == nil && slices.ContainsFunc(c.Changes, func(c plan.Change) bool { return c.Setting == quotaPrefix+keyByteRate }) {
			quotas = append(quotas, quotaChange{i, layout.StorePrincipal(c.Desired.Name), c.Desired.Settings[quotaPrefix+keyByteRate]})
		}
	}
	return quotas
}

func storeGrants(changes []backend.StoreChange, before []grant, errs []error) (grants []grantChange) {
	for i, c := range changes {
		if errs[i] != nil || !has(c.Changes, plan.FieldPrincipal) {
			continue
		}
		n := c.Desired.Name
		g := grantChange{
			at: i, managed: layout.StorePrincipal(n), previous: before[i].User, list: layout.KafkaStoreACL(n), topic: layout.KafkaEvents(n),
		}
		if g, errs[i] = newGrant(g, c.Desired.Principal, c.Observed.Principal, c.Password); errs[i] == nil {
			grants = append(grants, g)
		}
	}
	return grants
}

// beginnings returns the first records that the plans write.
func beginnings(changes []backend.StoreChange, created map[string]bool, errs []error) map[place]genesis {
	wanted := map[place]genesis{}
	for i, c := range changes {
		if errs[i] != nil {
			continue
		}
		topic := layout.KafkaEvents(c.Desired.Name)
		for _, change := range c.Changes {
			if change.Field == plan.FieldEvents {
				wanted[place{topic, int32(change.Partition)}] = genesis{at: i, partitions: plan.PartitionCount(c.Desired, c.Observed), fresh: created[topic]}
			}
		}
	}
	return wanted
}
