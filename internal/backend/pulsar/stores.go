package pulsar

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// ReadStores observes stores. See the package's documentation for its requests.
func (b *Backend) ReadStores(ctx context.Context, names []string) []backend.Result[plan.ObservedStore] {
	results := make([]backend.Result[plan.ObservedStore], len(names))
	if len(names) == 0 {
		return results
	}
	limit := b.brokerConfig(ctx).number("maxMessageSize")
	parallel(len(names), func(i int) {
		results[i].Value.Persists, results[i].Value.Persistence = true, persistenceText
		if layout.ValidateStore(names[i]) != nil {
			return // Nothing exists under a name that none can have.
		}
		o, err := b.readStore(ctx, names[i])
		o.MaxEventBytesLimit = limit
		if err != nil {
			err = fmt.Errorf("cannot read store %q: %w", names[i], b.explain(err))
		}
		results[i] = backend.Result[plan.ObservedStore]{Value: o, Err: err}
	})
	return results
}

// persistenceText says how Pulsar keeps what it has acknowledged.
const persistenceText = "BookKeeper: on the disks of as many bookies as must confirm"

// A storeReading is what Pulsar has of one store.
type storeReading struct {
	topicReading

	namespace *namespace
	topics    topics
}

// readAll makes requests that do not need each other, all at once.
func readAll(reads ...func() error) error {
	errs := make([]error, len(reads))
	parallel(len(reads), func(i int) { errs[i] = reads[i]() })
	return first(errs...)
}

func (b *Backend) readStore(ctx context.Context, store string) (plan.ObservedStore, error) {
	const kind = "ReadStores"
	o := plan.ObservedStore{Persists: true, Persistence: persistenceText}
	var r storeReading
	err := readAll(
		func() (err error) { r.namespace, err = b.readNamespace(ctx, kind, store); return err },
		func() (err error) { r.topics, err = b.readTopics(ctx, kind, store); return err },
		func() (err error) { r.topicReading, err = b.readEvents(ctx, kind, store, false); return err },
	)
	if err != nil || r.namespace == nil {
		return o, err
	}
	m, err := decodeStore(r.namespace.Properties)
	if err != nil {
		return o, err
	}
	if !m.marked() {
		o.Partitions = r.partitions
		err := b.observeLogs(ctx, store, &o, r, m)
		o.Remains = b.remains(store, r.topics, len(o.Logs) > 0)
		return o, err
	}
	o.Marked, o.Layout, o.Kind, o.Takeovers = true, m.claim.Layout, m.settings.Kind, m.claim.Takeovers
	o.Owner, o.Partitions = m.claim.owner(), m.claim.Partitions
	if o.Layout > layout.Version {
		return o, nil
	}
	if err := b.observeLogs(ctx, store, &o, r, m); err != nil {
		return o, err
	}
	return o, b.observeMarked(ctx, store, &o, r, m)
}

// observeMarked adds what the marker and the policies say.
func (b *Backend) observeMarked(ctx context.Context, store string, o *plan.ObservedStore, r storeReading, m marker[storeSettings]) error {
	o.Retention = r.namespace.Retention.observe(plan.Retention{Duration: time.Duration(m.settings.Retention), Bytes: m.settings.RetentionBytes}, o.Partitions)
	o.MessageTTL = observeTTL(r.namespace.TTL, time.Duration(m.settings.MessageTTL))
	o.MaxEventBytes = m.settings.MaxEventBytes
	o.Snapshots = m.settings.Snapshots && r.topics.snapshots(o.Partitions)
	o.Settings = r.namespace.observeSettings()
	if len(r.virgin(o.Partitions)) == 0 || o.Kind != layout.Streaming {
		o.Settings[settingGenesis] = present
	}
	o.Principal = r.namespace.observePrincipal(m.settings.Principal, storePermissions(r.topics, o.Partitions), storeRights, b.fullName(store, ""))
	return b.observeTopicSettings(ctx, store, o, r, m)
}

// observeTopicSettings adds what topics have that the store has asked for.
func (b *Backend) observeTopicSettings(ctx context.Context, store string, o *plan.ObservedStore, r storeReading, m marker[storeSettings]) error {
	if err := b.observeOverrides(ctx, store, o.Settings); err != nil {
		return err
	}
	if r.topics.snapshots(o.Partitions) {
		if err := b.observeSnapshots(ctx, store, o.Settings); err != nil {
			return err
		}
	}
	if m.settings.Schema {
		digest, err := b.readSchema(ctx, "ReadStores", store)
		if err != nil {
			return err
		}
		if digest != "" {
			o.Settings[settingSchema] = digest
		}
	}
	return nil
}

// observeSnapshots adds how the topic for snapshots is compacted.
func (b *Backend) observeSnapshots(ctx context.Context, store string, s plan.Settings) error {
	const kind = "ReadStores"
	var threshold *int64
	var kept *retention
	err := readAll(
		func() error {
			return unlessNoPolicies(b.get(ctx, kind, b.topic(store, layout.PulsarSnapshots)+"/compactionThreshold", &threshold))
		},
		func() (err error) { kept, err = b.topicRetention(ctx, kind, store, layout.PulsarSnapshots); return err },
	)
	if threshold != nil {
		s[settingCompaction] = strconv.FormatInt(*threshold, 10)
	}
	if kept != nil {
		s[settingCompacted] = encode(*kept)
	}
	return err
}

// observeLogs adds the partitions, and counts dead letters.
func (b *Backend) observeLogs(ctx context.Context, store string, o *plan.ObservedStore, r storeReading, m marker[storeSettings]) error {
	const kind = "ReadStores"
	for p := range max(o.Partitions, r.partitions) {
		stats, answered := r.logs[p]
		if !answered {
			if r.topics[layout.PulsarPartition(layout.PulsarEvents, p)] {
				o.Unavailable = fmt.Sprintf("partition %d has no broker", p)
			}
			continue
		}
		if p >= o.Partitions {
			o.GrownRecords += stats.Entries
			continue
		}
		o.Expired += stats.expired()
		l, exists, err := b.observeLog(ctx, kind, store, m.settings.Kind, p, stats.ledgerStats)
		if err != nil {
			return err
		}
		// Of a streaming store everything may be gone that there ever was, the genesis record with it.
		if exists || m.settings.Kind == layout.Streaming {
			o.Logs = append(o.Logs, l)
		}
	}
	o.Grown = max(r.partitions-o.Partitions, 0)
	for _, s := range r.topics.deadLetters() {
		stats, _, err := b.readLedger(ctx, kind, store, layout.PulsarDeadLetters(s))
		if err != nil {
			return err
		}
		o.DeadLetters += stats.Entries
	}
	return nil
}

// virgin reports whether there is one ledger, and nothing in it: nothing was ever written, or all that was written is
// forgotten, and the topic was loaded again since.
func (s ledgerStats) virgin() bool {
	end, err := parsePosition(s.LastConfirmed)
	return s.Entries == 0 && len(s.Ledgers) <= 1 && (err != nil || end.entry < 0)
}

// virgin returns which of a store's partitions have nothing in them.
func (r topicReading) virgin(partitions int) (empty []int) {
	for p := range partitions {
		if stats, answered := r.logs[p]; answered && stats.virgin() {
			empty = append(empty, p)
		}
	}
	return empty
}

// readSchema returns the digest of the schema of a store's events; empty if there is none.
func (b *Backend) readSchema(ctx context.Context, kind, store string) (digest string, err error) {
	var schema struct {
		Type string `json:"type"`
		Data string `json:"data"`
	}
	err = b.get(ctx, kind, b.schema(store), &schema)
	if isAbsent(err) || hasCode(err, 404) {
		return "", nil
	}
	if err != nil || schema.Type == "" {
		return "", err
	}
	return schemaDigest(schema.Type, schema.Data), nil
}

// schema is the path of the schema of a store's events.
func (b *Backend) schema(store string) string {
	return "schemas/" + b.namespaceName(store) + "/" + layout.PulsarEvents + "/schema"
}

// setSchema uploads the schema of a store's events, or deletes it.
func (b *Backend) setSchema(ctx context.Context, store string, s plan.Schema) error {
	if s == (plan.Schema{}) {
		return unlessAbsent(b.delete(ctx, "ApplyStores", b.schema(store)))
	}
	err := b.post(ctx, "ApplyStores", b.schema(store), map[string]any{"type": schemaTypes()[s.Type], "schema": s.Definition, "properties": map[string]string{}})
	if isConflict(err) {
		return dataError{errors.New("Pulsar refuses the schema, because it does not fit the one before: correct pulsar.nativeSchema, or its compatibility")}
	}
	return err
}

// settingNames returns the settings that changes are of.
func settingNames(changes []plan.Change) []string {
	names := map[string]bool{}
	for _, c := range changes {
		if c.Field == plan.FieldSetting {
			names[c.Setting] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}
