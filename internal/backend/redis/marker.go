package redis

import (
	"fmt"
	"strconv"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// Fields of markers beside those that the SDK reads.
const (
	fieldCreated       = "created" // When the marker was made, by the provider's clock.
	fieldRetention     = "retention-duration"
	fieldBytes         = "retention-bytes"
	fieldSnapshots     = "snapshots"
	fieldMaxEventBytes = "max-event-bytes"

	fieldTakeovers = "takeovers" // How often the owner has changed; absent: never.
	fieldDeletion  = "deletion"  // "begun", or "destroyed" once something is gone; absent: nobody deletes it. See doom.lua.

	fieldRights    = "principal-rights"    // Digest of the rules that the user was given.
	fieldRendering = "principal-rendering" // Digest of how Redis showed the user right after.

	fieldDeadLetterRetention = "dead-letter-retention"
	fieldPositioned          = "positioned"    // "true" once every partition had a position.
	fieldPositionedIn        = "positioned-in" // fieldCreated of the store that it had them in.
	fieldReplay              = "replay"        // The replay that was done last.
	fieldReplayPending       = "replay-pending"
	fieldReplayPlaces        = "replay-places" // Of the pending one.
)

// ownerFields are the fields of a marker that say whose it is, in the order of ownerValues.
func ownerFields() []string {
	return []string{"owner-control-plane", "owner-group", "owner-kind", "owner-namespace", "owner-name", "owner-uid"}
}

func ownerValues(o plan.Owner) []string {
	return []string{o.ControlPlane, o.Group, o.Kind, o.Namespace, o.Name, o.UID}
}

func decodeOwner(m map[string]string) plan.Owner {
	f := ownerFields()
	return plan.Owner{ControlPlane: m[f[0]], Group: m[f[1]], Kind: m[f[2]], Namespace: m[f[3]], Name: m[f[4]], UID: m[f[5]]}
}

// claimArgs are the arguments of claim.lua.
func claimArgs(member string, observed, desired plan.Owner, marked bool, settings ...string) []any {
	args := []any{len(ownerFields()), 0, member, fieldDeletion, fieldTakeovers}
	if marked {
		args[1] = 1
	}
	return add(args, ownerFields(), ownerValues(observed), ownerValues(desired), settings)
}

// ownedArgs are the arguments of the scripts that write a marker only while it belongs to the owner.
func ownedArgs(owner plan.Owner, rest ...string) []any {
	return add([]any{len(ownerFields())}, ownerFields(), ownerValues(owner), rest)
}

// deletionArgs are the arguments of the scripts that delete on behalf of a resource. It is known by its name: whoever made
// it anew must be able to finish what it began.
func deletionArgs(owner plan.Owner, rest ...string) []any {
	n := len(ownerFields()) - 1
	return add([]any{n}, ownerFields()[:n], ownerValues(owner)[:n], []string{fieldDeletion}, rest)
}

func add(args []any, lists ...[]string) []any {
	for _, l := range lists {
		for _, s := range l {
			args = append(args, s)
		}
	}
	return args
}

// newStoreMarker returns the settings that a store begins with.
func newStoreMarker(s plan.StoreSettings, partitions int) []string {
	return []string{
		layout.RedisMarkerLayout, strconv.Itoa(layout.Version),
		layout.RedisMarkerPartitions, strconv.Itoa(partitions),
		layout.RedisMarkerHash, layout.Hash,
		layout.RedisMarkerKind, string(s.Retention.Kind()),
		fieldRetention, s.Retention.Duration.String(),
		fieldBytes, strconv.FormatInt(s.Retention.Bytes, 10),
		fieldSnapshots, strconv.FormatBool(s.Snapshots),
		fieldMaxEventBytes, strconv.FormatInt(s.MaxEventBytes, 10),
		fieldCreated, time.Now().UTC().Format(time.RFC3339Nano),
	}
}

// A decoder reads fields of a marker, and remembers the first that it could not.
type decoder struct {
	fields map[string]string
	err    error
}

func (d *decoder) fail(field string) {
	if d.err == nil {
		d.err = dataError{fmt.Errorf("its marker is damaged: field %q is %q: put the right value there with HSET", field, d.fields[field])}
	}
}

func (d *decoder) integer(field string, absent, limit int64) int64 {
	s, ok := d.fields[field]
	if !ok {
		return absent
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > limit {
		d.fail(field)
		return absent
	}
	return n
}

func (d *decoder) duration(field string) time.Duration {
	s, ok := d.fields[field]
	if !ok {
		return 0
	}
	t, err := time.ParseDuration(s)
	if err != nil || t < 0 {
		d.fail(field)
	}
	return t
}

// decodeStore reads a store's marker. No fields mean that there is none.
func decodeStore(fields map[string]string) (plan.ObservedStore, error) {
	if len(fields) == 0 {
		return plan.ObservedStore{}, nil
	}
	d := &decoder{fields: fields}
	o := plan.ObservedStore{
		Marked: true,
		Layout: int(d.integer(layout.RedisMarkerLayout, 0, 1<<31-1)),
		Kind:   layout.Kind(fields[layout.RedisMarkerKind]),
	}
	o.Owner = decodeOwner(fields)
	o.Partitions = int(d.integer(layout.RedisMarkerPartitions, 0, maxPartitions))
	o.Takeovers = int(d.integer(fieldTakeovers, 0, 1<<31-1))
	if o.Layout > layout.Version { // Whatever else it says, it may say differently.
		return o, nil
	}
	o.Retention = plan.Retention{Duration: d.duration(fieldRetention), Bytes: d.integer(fieldBytes, 0, 1<<62)}
	o.Snapshots = fields[fieldSnapshots] == "true"
	o.MaxEventBytes = d.integer(fieldMaxEventBytes, 0, 1<<62)
	if o.Layout == 0 {
		d.fail(layout.RedisMarkerLayout)
	}
	if o.Partitions == 0 {
		d.fail(layout.RedisMarkerPartitions)
	}
	if o.Kind != layout.Sourcing && o.Kind != layout.Streaming {
		d.fail(layout.RedisMarkerKind)
	}
	if fields[layout.RedisMarkerHash] != layout.Hash {
		d.fail(layout.RedisMarkerHash)
	}
	return o, d.err
}
