package redis

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// ApplyStores makes planned changes, step by step for all stores at once: markers, settings, logs, users. That is the
// order of a plan. A store whose step fails takes no further one.
func (b *Backend) ApplyStores(ctx context.Context, changes []backend.StoreChange) []error {
	errs := make([]error, len(changes))
	for lo, hi := range chunks(len(changes)) {
		b.applyStores(ctx, changes[lo:hi], errs[lo:hi])
	}
	for i, err := range errs {
		if err != nil {
			errs[i] = fmt.Errorf("cannot apply store %q: %w", changes[i].Desired.Name, err)
		}
	}
	return errs
}

func (b *Backend) applyStores(ctx context.Context, changes []backend.StoreChange, errs []error) {
	for i, c := range changes {
		errs[i] = layout.ValidateStore(c.Desired.Name)
		b.searched.take(c.Desired.Name) // Its user may write keys that were looked for already.
	}
	b.claimStores(ctx, changes, errs)
	b.setStores(ctx, changes, errs)
	b.createLogs(ctx, changes, errs)
	b.applyUsers(ctx, "ApplyStores", storeUsers(changes, errs), errs)
}

// each runs one script for every resource that has not failed and for which arguments returns keys, in one round trip.
func (b *Backend) each(ctx context.Context, kind string, s script, errs []error, arguments func(i int) ([]string, []any)) {
	replies := make([]*redis.Cmd, len(errs))
	b.send(ctx, kind, func(t *trip) {
		for i := range errs {
			if errs[i] != nil {
				continue
			}
			if keys, args := arguments(i); len(keys) > 0 {
				replies[i] = t.run(s, keys, args...)
			}
		}
	})
	for i, r := range replies {
		if r != nil {
			errs[i] = b.owned(r)
		}
	}
}

// eachPart runs one script over partitions of every resource that has not failed, in the way of each.
func (b *Backend) eachPart(ctx context.Context, kind string, s script, errs []error, arguments func(i int) (common []any, parts []part)) {
	replies := make([]spread, len(errs))
	b.send(ctx, kind, func(t *trip) {
		for i := range errs {
			if errs[i] == nil {
				common, parts := arguments(i)
				replies[i] = t.over(s, parts, common...)
			}
		}
	})
	for i, all := range replies {
		for _, r := range all {
			errs[i] = cmpErr(errs[i], b.owned(r))
		}
	}
}

func (b *Backend) claimStores(ctx context.Context, changes []backend.StoreChange, errs []error) {
	b.each(ctx, "ApplyStores", claimScript, errs, func(i int) ([]string, []any) {
		c := changes[i]
		if !has(c.Changes, plan.FieldOwner) {
			return nil, nil
		}
		settings := plan.StoreSettings{}
		if !c.Observed.Exists() { // What is adopted keeps everything, until the plan's other changes say otherwise.
			settings = c.Desired.StoreSettings
		}
		return []string{layout.RedisMarker(c.Desired.Name)}, claimArgs("", c.Observed.Owner, c.Desired.Owner, c.Observed.Marked,
			newStoreMarker(settings, plan.PartitionCount(c.Desired, c.Observed))...)
	})
}

// setStores writes settings. A retention that becomes finite makes the store a streaming one, for good: events may be
// gone from then on.
func (b *Backend) setStores(ctx context.Context, changes []backend.StoreChange, errs []error) {
	b.each(ctx, "ApplyStores", setScript, errs, func(i int) ([]string, []any) {
		d := changes[i].Desired
		var fields []string
		for _, change := range changes[i].Changes {
			switch change.Field {
			case plan.FieldRetentionDuration:
				fields = append(fields, fieldRetention, d.Retention.Duration.String())
				if d.Retention.Duration > 0 {
					fields = append(fields, layout.RedisMarkerKind, string(layout.Streaming))
				}
			case plan.FieldRetentionBytes:
				fields = append(fields, fieldBytes, strconv.FormatInt(d.Retention.Bytes, 10))
				if d.Retention.Bytes > 0 {
					fields = append(fields, layout.RedisMarkerKind, string(layout.Streaming))
				}
			case plan.FieldSnapshots:
				fields = append(fields, fieldSnapshots, strconv.FormatBool(d.Snapshots))
			case plan.FieldMaxEventBytes:
				fields = append(fields, fieldMaxEventBytes, strconv.FormatInt(d.MaxEventBytes, 10))
			}
		}
		if len(fields) == 0 {
			return nil, nil
		}
		return []string{layout.RedisMarker(d.Name)}, ownedArgs(d.Owner, fields...)
	})
}

func (b *Backend) createLogs(ctx context.Context, changes []backend.StoreChange, errs []error) {
	b.eachPart(ctx, "ApplyStores", createScript, errs, func(i int) (_ []any, parts []part) {
		for _, change := range changes[i].Changes {
			if change.Field == plan.FieldEvents {
				parts = append(parts, part{keys: []string{layout.RedisEvents(changes[i].Desired.Name, change.Partition)}})
			}
		}
		return nil, parts
	})
}

func storeUsers(changes []backend.StoreChange, errs []error) []userChange {
	var users []userChange
	for i, c := range changes {
		if errs[i] != nil || !has(c.Changes, plan.FieldPrincipal) {
			continue
		}
		u := userChange{
			at: i, name: layout.StorePrincipal(c.Desired.Name), rules: layout.RedisStoreACL(c.Desired.Name),
			marker: layout.RedisMarker(c.Desired.Name), owner: c.Desired.Owner, claimed: has(c.Changes, plan.FieldOwner),
		}
		users, errs[i] = appendUser(users, u, c.Desired.Principal, c.Observed.Principal, c.Password)
	}
	return users
}

// appendUser completes the change of a user: with a password, or none if nobody is to receive one.
func appendUser(users []userChange, u userChange, desired, observed plan.Principal, password string) ([]userChange, error) {
	none := plan.Principal{}
	if desired == none {
		return append(users, u), nil
	}
	if password == "" {
		return users, fmt.Errorf("cannot set user %q: there is no password for it", u.name)
	}
	u.password, u.renewed = password, observed != none && (observed.Digest != desired.Digest || observed.Rights == rightsUncut)
	return append(users, u), nil
}

func has(changes []plan.Change, f plan.Field) bool {
	return slices.ContainsFunc(changes, func(c plan.Change) bool { return c.Field == f })
}
