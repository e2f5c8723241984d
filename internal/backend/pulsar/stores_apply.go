package pulsar

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// ApplyStores makes planned changes: the marker, which is created with the namespace and most of its policies, the logs, the
// settings, the principal. That is the order of a plan. Stores are worked on side by side.
func (b *Backend) ApplyStores(ctx context.Context, changes []backend.StoreChange) []error {
	errs := make([]error, len(changes))
	parallel(len(changes), func(i int) {
		err := layout.ValidateStore(changes[i].Desired.Name)
		if err == nil && len(changes[i].Changes) > 0 {
			err = b.applyStore(ctx, changes[i])
		}
		if err != nil {
			errs[i] = fmt.Errorf("cannot apply store %q: %w", changes[i].Desired.Name, b.explain(err))
		}
	})
	return errs
}

// A storeState is a store while its changes are made.
type storeState struct {
	namespace *namespace
	marker    marker[storeSettings]
	created   bool // By this call, with everything that a namespace can be created with.
	adopted   bool // By this call: the namespace was there, and nothing said whose it was.
}

func (b *Backend) applyStore(ctx context.Context, c backend.StoreChange) error {
	if err := checkRole(c.Desired.Principal); err != nil {
		return err
	}
	release, err := b.exclusion.shared(ctx, c.Desired.Name)
	if err != nil {
		return err
	}
	defer release()
	s, err := b.claimStore(ctx, c)
	if err != nil {
		return err
	}
	if err := b.dismissFormer(ctx, c, s); err != nil {
		return err
	}
	if err := b.noteStore(ctx, c, &s); err != nil {
		return err
	}
	limits := b.setLimits(ctx, c, s)
	if limits != nil && s.adopted {
		return limits // Nobody is to write into what may forget.
	}
	if err := b.createLogs(ctx, c, s); err != nil {
		return err
	}
	// What is refused keeps nothing else from being done.
	return b.join(limits, b.setSettings(ctx, c, s), b.setStorePrincipal(ctx, c, s))
}

// claimStore makes the marker the owner's, or fails if it is somebody else's.
func (b *Backend) claimStore(ctx context.Context, c backend.StoreChange) (storeState, error) {
	const kind = "ApplyStores"
	d := c.Desired
	claims := has(c.Changes, plan.FieldOwner)
	if claims && !c.Observed.Exists() {
		s, err := b.createNamespace(ctx, c)
		if !isConflict(err) {
			return s, err
		}
	}
	n, err := b.readNamespace(ctx, kind, d.Name)
	if err != nil {
		return storeState{}, err
	}
	if n == nil {
		return storeState{}, backend.ErrConflict // It was there when it was observed.
	}
	m, err := decodeStore(n.Properties)
	if err != nil {
		return storeState{}, err
	}
	s := storeState{namespace: n, marker: m, adopted: claims && !m.marked()}
	if !claims {
		return s, m.ownedBy(d.Owner)
	}
	settings := m.settings
	if s.adopted {
		if !c.Observed.Exists() {
			return s, backend.ErrConflict // Somebody made the namespace since, and nobody has confirmed that it is to be adopted.
		}
		settings = newSettings(plan.DesiredStore{}) // What is adopted keeps everything, until the plan's other changes say otherwise.
	}
	next := newClaim(d, plan.PartitionCount(d, c.Observed))
	s.marker, err = takeOver(ctx, b, kind, ofStore(d.Name), m, c.Observed.Owner, c.Observed.Marked, next, settings)
	return s, err
}

func newClaim(d plan.DesiredStore, partitions int) claim {
	return claim{Layout: layout.Version, Partitions: partitions, Hash: layout.Hash, Owner: ownerJSON(d.Owner), Created: now()}
}

func now() string { return time.Now().UTC().Format(time.RFC3339Nano) }

// createNamespace creates the namespace with its marker, so that of two claimants one fails.
func (b *Backend) createNamespace(ctx context.Context, c backend.StoreChange) (storeState, error) {
	if err := b.ensureTenant(ctx); err != nil {
		return storeState{}, err
	}
	d := c.Desired
	if err := b.checkBookies(ctx, d); err != nil {
		return storeState{}, err
	}
	partitions := plan.PartitionCount(d, c.Observed)
	m := marker[storeSettings]{round: 1, claim: newClaim(d, partitions), settings: newSettings(d)}
	if has(c.Changes, plan.FieldPrincipal) {
		m.settings.Principal = note(d.Principal)
	}
	m.settings.Schema = d.Settings[settingSchema] != ""
	body := map[string]any{}
	for name, value := range creationPolicies(d.Settings) {
		body[name] = value
	}
	body["properties"] = m.properties(storePrefix)
	body["retention_policies"] = policyOf(d.Retention, partitions)
	body["message_ttl_in_seconds"] = ttlSeconds(d.MessageTTL)
	err := b.put(ctx, "ApplyStores", b.namespace(d.Name), body)
	return storeState{namespace: &namespace{}, marker: m, created: true}, err
}

func note(p plan.Principal) *principalNote {
	if p == (plan.Principal{}) {
		return nil
	}
	return &principalNote{Name: p.Name, Digest: p.Digest}
}

// noteStore writes the marker's settings. Of the principal it is noted whom it is, before it gets its rights, and that a store
// forgets, before it does: then it is a streaming one for good.
func (b *Backend) noteStore(ctx context.Context, c backend.StoreChange, s *storeState) error {
	settings, d := s.marker.settings, c.Desired
	for _, change := range c.Changes {
		switch change.Field { //nolint:exhaustive // The others are not in the marker.
		case plan.FieldRetentionDuration:
			settings.Retention = duration(d.Retention.Duration)
		case plan.FieldRetentionBytes:
			settings.RetentionBytes = d.Retention.Bytes
		case plan.FieldMessageTTL:
			settings.MessageTTL = duration(d.MessageTTL)
		case plan.FieldMaxEventBytes:
			settings.MaxEventBytes = d.MaxEventBytes
		case plan.FieldSnapshots:
			settings.Snapshots = d.Snapshots
		case plan.FieldPrincipal:
			settings.Principal = renote(settings.Principal, d.Principal)
		}
	}
	if settings.Retention != 0 || settings.RetentionBytes != 0 {
		settings.Kind = layout.Streaming
	}
	if slices.Contains(settingNames(c.Changes), settingSchema) {
		settings.Schema = d.Settings[settingSchema] != ""
	}
	return b.note(ctx, "ApplyStores", d.Name, s, settings)
}

// note writes settings into the marker, unless it has them.
func (b *Backend) note(ctx context.Context, kind, store string, s *storeState, settings storeSettings) error {
	before := s.marker.settings
	s.marker.settings = settings
	if encode(before) == encode(settings) {
		return nil
	}
	key := storePrefix + strconv.Itoa(s.marker.round) + settingsSuffix
	return b.setProperties(ctx, kind, store, map[string]string{key: encode(settings)})
}

// setLimits sets how long events are kept and delivered. What is adopted gets what the marker says, because nobody has looked at
// the policies that it had.
func (b *Backend) setLimits(ctx context.Context, c backend.StoreChange, s storeState) error {
	d := c.Desired
	if s.adopted || has(c.Changes, plan.FieldRetentionDuration) || has(c.Changes, plan.FieldRetentionBytes) {
		r := plan.Retention{Duration: time.Duration(s.marker.settings.Retention), Bytes: s.marker.settings.RetentionBytes}
		err := b.setRetention(ctx, d.Name, r, s.marker.claim.Partitions)
		if hasCode(err, http.StatusPreconditionFailed) && slices.Contains(settingNames(c.Changes), policyBacklogQuota) {
			// It would be less than the quota that is about to shrink, too.
			err = b.setSetting(ctx, d, s.marker.claim.Partitions, policyBacklogQuota)
			if err == nil {
				err = b.setRetention(ctx, d.Name, r, s.marker.claim.Partitions)
			}
		}
		if err != nil {
			return err
		}
	}
	if s.adopted || has(c.Changes, plan.FieldMessageTTL) {
		return b.post(ctx, "ApplyStores", b.namespace(d.Name)+"/messageTTL", ttlSeconds(time.Duration(s.marker.settings.MessageTTL)))
	}
	return nil
}

// setSettings sets policies and what topics have, each whether others are refused or not. The schema is last: whether it fits
// depends on a policy.
func (b *Backend) setSettings(ctx context.Context, c backend.StoreChange, s storeState) error {
	withNamespace := creationPolicies(c.Desired.Settings)
	names := settingNames(c.Changes)
	if i := slices.Index(names, settingSchema); i >= 0 {
		names = append(slices.Delete(names, i, i+1), settingSchema)
	}
	var errs []error
	for _, name := range names {
		if _, ok := withNamespace[name]; s.created && (ok || name == settingGenesis) {
			continue
		}
		err := b.setSetting(ctx, c.Desired, s.marker.claim.Partitions, name)
		if err == nil {
			continue
		}
		errs = append(errs, fmt.Errorf("cannot set %s: %w", name, b.explain(err)))
		if r, ok := errors.AsType[*reachError](b.explain(err)); ok && !r.unauthorized {
			break // The others would fail alike.
		}
	}
	return b.join(errs...)
}

func (b *Backend) setSetting(ctx context.Context, d plan.DesiredStore, partitions int, name string) error {
	switch name {
	case settingGenesis:
		return b.fillEmpty(ctx, d.Name, partitions)
	case settingKept:
		return b.dropOverride(ctx, d.Name, "retention")
	case settingTTL:
		return b.dropOverride(ctx, d.Name, "messageTTL")
	case settingSchema:
		return b.setSchema(ctx, d.Name, d.Schema)
	case settingCompaction:
		return b.setTopicPolicy(ctx, b.topic(d.Name, layout.PulsarSnapshots)+"/compactionThreshold", d.Settings[name])
	case settingCompacted:
		return b.setTopicPolicy(ctx, b.topic(d.Name, layout.PulsarSnapshots)+"/retention", d.Settings[name])
	case policyPersistence:
		if err := b.checkBookies(ctx, d); err != nil {
			return err
		}
	}
	return b.setPolicy(ctx, d.Name, name, d.Settings[name])
}

// setTopicPolicy sets a policy of one topic, or resets it if value is empty.
func (b *Backend) setTopicPolicy(ctx context.Context, path, value string) error {
	if value == "" {
		return unlessAbsent(b.delete(ctx, "ApplyStores", path))
	}
	return b.post(ctx, "ApplyStores", path, json.RawMessage(value))
}

// checkBookies refuses more copies than there are bookies: Pulsar would take the policy, and then no append.
func (b *Backend) checkBookies(ctx context.Context, d plan.DesiredStore) error {
	if d.Settings[policyPersistence] == "" || d.Replicas == 0 {
		return nil
	}
	var all struct {
		Bookies []struct{} `json:"bookies"`
	}
	err := b.get(ctx, "ApplyStores", "bookies/all", &all)
	if hasCode(err, 401) || hasCode(err, 403) || hasCode(err, 404) {
		return nil // Only a super user may look.
	}
	if err == nil && len(all.Bookies) > 0 && len(all.Bookies) < d.Replicas {
		err = dataError{fmt.Errorf("durability.replicas is %d, and the cluster has %d bookies: lower it, or add bookies", d.Replicas, len(all.Bookies))}
	}
	return err
}

// dismissFormer takes the rights of a principal that is to be another, or none, before the marker forgets it.
func (b *Backend) dismissFormer(ctx context.Context, c backend.StoreChange, s storeState) error {
	former := s.marker.settings.Principal
	if s.created || !has(c.Changes, plan.FieldPrincipal) || former == nil || former.Name == c.Desired.Principal.Name {
		return nil
	}
	return b.dismiss(ctx, "ApplyStores", c.Desired.Name, s.namespace, former, storePrefix)
}

// setStorePrincipal gives the principal its rights.
func (b *Backend) setStorePrincipal(ctx context.Context, c backend.StoreChange, s storeState) error {
	const kind = "ApplyStores"
	d := c.Desired
	renewed := has(c.Changes, plan.FieldSnapshots) && c.Observed.Principal.Name == d.Principal.Name
	role := s.marker.settings.Principal
	if role == nil || !has(c.Changes, plan.FieldPrincipal) && !renewed {
		return nil
	}
	t := topics{}
	if !s.created || d.Snapshots {
		var err error
		if t, err = b.readTopics(ctx, kind, d.Name); err != nil {
			return err
		}
	}
	permissions := storePermissions(t, s.marker.claim.Partitions)
	if !role.provided() {
		return b.setRights(ctx, kind, d.Name, s.namespace, role.Name, permissions)
	}
	return b.withRights(ctx, kind, d.Name, func(n *namespace) error {
		settings := s.marker.settings
		settings.Principal = role.noting(b, d.Name, n, storePrefix, permissions)
		if err := b.note(ctx, kind, d.Name, &s, settings); err != nil {
			return err
		}
		return b.addRights(ctx, kind, d.Name, n, role.Name, permissions)
	})
}

func has(changes []plan.Change, f plan.Field) bool {
	return slices.ContainsFunc(changes, func(c plan.Change) bool { return c.Field == f })
}
