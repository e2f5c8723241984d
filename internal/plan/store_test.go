package plan

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

const uid = "0001"

func orders() Owner {
	return Owner{ControlPlane: "11112222-3333", Group: "eventstore.m.crossplane.io", Kind: "EventStore", Namespace: "shop", Name: "orders", UID: uid}
}

func billing() Owner {
	o := orders()
	o.Name, o.UID = "billing", "0002"
	return o
}

// desired returns a store of two partitions as its resource asks for it.
func desired(edit ...func(*DesiredStore)) DesiredStore {
	d := DesiredStore{
		StoreSettings: StoreSettings{Owner: orders(), Partitions: 2},
		Name:          "shop.orders",
		Principal:     Principal{Name: "es:shop.orders", Digest: "d1", Rights: "r1"},
		Protection:    ProtectWhenNotEmpty,
	}
	for _, e := range edit {
		e(&d)
	}
	return d
}

// observed returns that store as the broker has it once everything was applied.
func observed(edit ...func(*ObservedStore)) ObservedStore {
	o := ObservedStore{
		StoreSettings: StoreSettings{Owner: orders(), Partitions: 2},
		Marked:        true, Layout: layout.Version, Kind: layout.Sourcing,
		Logs:      []Log{{Partition: 0, Records: 5}, {Partition: 1, Records: 7}},
		Principal: Principal{Name: "es:shop.orders", Digest: "d1", Rights: "r1"},
	}
	for _, e := range edit {
		e(&o)
	}
	return o
}

func kept(t time.Duration, bytes int64) Retention { return Retention{Duration: t, Bytes: bytes} }

// brief is what a test compares of a plan: what changes, and what is refused why. Messages have tests of their own.
type brief struct {
	Changes  []string
	Refusals []refusal
	Blocked  bool
	Loss     bool
}

type refusal struct {
	Reason Reason
	Field  Field
	Token  string
}

func short(p Plan) brief {
	b := brief{Blocked: p.Blocked(), Loss: p.LossAccepted}
	for _, c := range p.Changes {
		b.Changes = append(b.Changes, c.String())
	}
	for _, r := range p.Refusals {
		b.Refusals = append(b.Refusals, refusal{r.Reason, r.Field, r.Token})
	}
	return b
}

// legible checks what every refusal owes its reader.
func legible(t *testing.T, refusals []Refusal) {
	t.Helper()
	for _, r := range refusals {
		switch {
		case r.Message == "" || strings.ContainsAny(r.Message, "\n\r"):
			t.Errorf("%s: the message is not one line: %q", r.Reason, r.Message)
		case r.Token != "" && !strings.Contains(r.Message, r.Token):
			t.Errorf("%s: the message does not print the token %s: %q", r.Reason, r.Token, r.Message)
		case strings.Contains(r.Message, "d1") || strings.Contains(r.Message, "d2"):
			t.Errorf("%s: the message shows a digest: %q", r.Reason, r.Message)
		}
	}
}

func TestStore(t *testing.T) {
	gone := func(o *ObservedStore) { *o = ObservedStore{} }
	unmarked := func(o *ObservedStore) { *o = ObservedStore{Logs: o.Logs} }
	lossToken := Token(uid, FieldEvents, "shop.orders#0")
	adoptToken := Token(uid, FieldOwner, Owner{}.String()+"#0")
	takeToken := func(takeovers string) string { return Token(uid, FieldOwner, billing().String()+"#"+takeovers) }
	shrinkToken := func(fromTo string) string { return Token(uid, FieldRetentionDuration, fromTo) }
	const hour, twoHours, threeHours = "3600000000000", "7200000000000", "10800000000000" // In nanoseconds.
	create := []string{
		"owner: EventStore.eventstore.m.crossplane.io shop/orders of control plane 11112222",
		"events of partition 0: create", "events of partition 1: create", "principal: create es:shop.orders",
	}
	table := Capabilities{Backend: "redis", Fields: map[Field]Support{
		FieldPartitions: {Supported: true}, FieldTieringBytes: {Note: "all events are in memory: set retention.bytes"},
	}}

	type args struct {
		d DesiredStore
		o ObservedStore
		c Context
	}
	cases := map[string]struct {
		reason string
		args   args
		want   brief
	}{
		// Creation.
		"Create": {
			reason: "Of nothing, everything is made: the marker first, so that of two claimants one loses early, the user last.",
			args:   args{d: desired(), o: observed(gone)},
			want:   brief{Changes: create},
		},
		"CreateDefaultPartitions": {
			reason: "Nobody asked for a number of partitions, so there are six.",
			args: args{d: desired(func(d *DesiredStore) {
				d.Partitions = 0
				d.Principal = Principal{}
			}), o: observed(gone)},
			want: brief{Changes: []string{
				create[0], create[1], create[2], "events of partition 2: create", "events of partition 3: create",
				"events of partition 4: create", "events of partition 5: create",
			}},
		},
		"CreateWithUserLeftOver": {
			reason: "A user that an interrupted deletion left gets the new password.",
			args:   args{d: desired(), o: observed(gone, func(o *ObservedStore) { o.Principal = Principal{Name: "es:shop.orders", Digest: "d2"} })},
			want:   brief{Changes: append(append([]string{}, create[:3]...), "principal: another password -> the Secret's")},
		},
		"CreateUnsupported": {
			reason: "What the backend lacks would have to be undone later, so nothing is created.",
			args:   args{d: desired(func(d *DesiredStore) { d.Set = []Field{FieldPartitions, FieldTieringBytes} }), o: observed(gone), c: Context{Capabilities: table}},
			want:   brief{Refusals: []refusal{{ReasonUnsupported, FieldTieringBytes, ""}}, Blocked: true},
		},
		"CreateUnderHazard": {
			reason: "A broker that may evict events gets none.",
			args:   args{d: desired(), o: observed(gone, func(o *ObservedStore) { o.Hazards = []Hazard{{ReasonEvictionEnabled, "It evicts."}} })},
			want:   brief{Refusals: []refusal{{ReasonEvictionEnabled, FieldEvents, ""}}, Blocked: true},
		},
		"CreateVolatile": {
			reason: "Persistence was required, and is not there.",
			args:   args{d: desired(func(d *DesiredStore) { d.RequirePersistence = true }), o: observed(gone)},
			want:   brief{Refusals: []refusal{{ReasonNotPersistent, FieldRedisPersistence, ""}}, Blocked: true},
		},
		"CreatePersistent": {
			reason: "Persistence was required, and is there.",
			args:   args{d: desired(func(d *DesiredStore) { d.RequirePersistence = true }), o: observed(gone, func(o *ObservedStore) { o.Persists = true })},
			want:   brief{Changes: create},
		},
		"CreateAgainAfterLoss": {
			reason: "A store that held records is not made again as if nothing had been.",
			args:   args{d: desired(), o: observed(gone), c: Context{KnownRecords: map[int]int64{1: 7}}},
			want:   brief{Refusals: []refusal{{ReasonDataLost, FieldEvents, lossToken}}, Blocked: true},
		},
		"CreateAgainConfirmed": {
			reason: "A person has said to go on without.",
			args:   args{d: desired(), o: observed(gone), c: Context{KnownRecords: map[int]int64{1: 7}, Confirm: lossToken}},
			want:   brief{Changes: create, Loss: true},
		},
		"CreateAgainSecondLoss": {
			reason: "The confirmation of one loss does not cover the next.",
			args:   args{d: desired(), o: observed(gone), c: Context{KnownRecords: map[int]int64{1: 7}, Confirm: lossToken, AcceptedLosses: 1}},
			want:   brief{Refusals: []refusal{{ReasonDataLost, FieldEvents, Token(uid, FieldEvents, "shop.orders#1")}}, Blocked: true},
		},
		"CreateAgainEmpty": {
			reason: "A store that is known to have held nothing loses nothing.",
			args:   args{d: desired(), o: observed(gone), c: Context{KnownRecords: map[int]int64{0: 0, 1: 0}}},
			want:   brief{Changes: create},
		},

		// Names.
		"InvalidName": {
			reason: "A name that no store can have stops everything.",
			args:   args{d: desired(func(d *DesiredStore) { d.Name = "Orders" }), o: observed(gone)},
			want:   brief{Refusals: []refusal{{ReasonInvalidName, FieldName, ""}}, Blocked: true},
		},
		"OtherNamespace": {
			reason: "Whoever may create resources in one namespace must not get at the stores of another.",
			args:   args{d: desired(), o: observed(), c: Context{Namespace: "evil"}},
			want:   brief{Refusals: []refusal{{ReasonNamePrefix, FieldName, ""}}, Blocked: true},
		},
		"NamespaceIsNoPrefix": {
			reason: "Namespace shop-2 is not namespace shop.",
			args:   args{d: desired(func(d *DesiredStore) { d.Name = "shop-2.orders" }), o: observed(), c: Context{Namespace: "shop"}},
			want:   brief{Refusals: []refusal{{ReasonNamePrefix, FieldName, ""}}, Blocked: true},
		},
		"OwnNamespace": {
			reason: "Its own stores it may name.",
			args:   args{d: desired(), o: observed(), c: Context{Namespace: "shop"}},
		},
		"ObserveOnly": {
			reason: "A resource that may only look changes nothing, and is refused nothing.",
			args:   args{d: desired(), o: observed(func(o *ObservedStore) { o.Owner = billing() }), c: Context{ObserveOnly: true}},
		},

		// Ownership.
		"UpToDate": {
			reason: "Nothing differs, so nothing is done.",
			args:   args{d: desired(), o: observed()},
		},
		"Conflict": {
			reason: "Somebody else's store is not touched, whatever else differs.",
			args: args{d: desired(func(d *DesiredStore) { d.Snapshots = true }), o: observed(func(o *ObservedStore) {
				o.Owner = billing()
				o.Principal = Principal{}
			})},
			want: brief{Refusals: []refusal{{ReasonConflict, FieldOwner, takeToken("0")}}, Blocked: true},
		},
		"ConflictConfirmed": {
			reason: "A person hands the store over.",
			args:   args{d: desired(), o: observed(func(o *ObservedStore) { o.Owner = billing() }), c: Context{Confirm: takeToken("0")}},
			want: brief{Changes: []string{
				"owner: EventStore.eventstore.m.crossplane.io shop/billing of control plane 11112222 -> EventStore.eventstore.m.crossplane.io shop/orders of control plane 11112222",
			}},
		},
		"TakenBackByOldConfirmation": {
			reason: "We took it over (1), they took it back (2): our annotation is still there, and must not begin it all again.",
			args: args{
				d: desired(), o: observed(func(o *ObservedStore) { o.Owner, o.Takeovers = billing(), 2 }),
				c: Context{Confirm: takeToken("0")},
			},
			want: brief{Refusals: []refusal{{ReasonConflict, FieldOwner, takeToken("2")}}, Blocked: true},
		},
		"TakenBackConfirmedAnew": {
			reason: "A person may decide so once more.",
			args: args{
				d: desired(), o: observed(func(o *ObservedStore) { o.Owner, o.Takeovers = billing(), 2 }),
				c: Context{Confirm: takeToken("0") + "," + takeToken("2")},
			},
			want: brief{Changes: []string{
				"owner: EventStore.eventstore.m.crossplane.io shop/billing of control plane 11112222 -> EventStore.eventstore.m.crossplane.io shop/orders of control plane 11112222",
			}},
		},
		"OwnerGone": {
			reason: "The owner no longer exists in this control plane.",
			args:   args{d: desired(), o: observed(func(o *ObservedStore) { o.Owner = billing() }), c: Context{OwnerGone: true}},
			want: brief{Changes: []string{
				"owner: EventStore.eventstore.m.crossplane.io shop/billing of control plane 11112222 -> EventStore.eventstore.m.crossplane.io shop/orders of control plane 11112222",
			}},
		},
		"OwnerElsewhere": {
			reason: "Of an owner in another control plane nobody here can tell whether it is gone.",
			args: args{d: desired(), o: observed(func(o *ObservedStore) {
				o.Owner = billing()
				o.Owner.ControlPlane = "99998888-7777"
			}), c: Context{OwnerGone: true}},
			want: brief{Refusals: []refusal{{ReasonConflict, FieldOwner, Token(uid, FieldOwner, "EventStore.eventstore.m.crossplane.io shop/billing of control plane 99998888#0")}}, Blocked: true},
		},
		"ResourceMadeAnew": {
			reason: "The same resource with a new UID, as after a restore, takes its store back.",
			args:   args{d: desired(), o: observed(func(o *ObservedStore) { o.Owner.UID = "0000" })},
			want: brief{Changes: []string{
				"owner: EventStore.eventstore.m.crossplane.io shop/orders of control plane 11112222 (UID 0000) -> EventStore.eventstore.m.crossplane.io shop/orders of control plane 11112222 (UID 0001)",
			}},
		},
		"Unowned": {
			reason: "Data without a marker is not adopted just because somebody names it.",
			args:   args{d: desired(), o: observed(unmarked)},
			want:   brief{Refusals: []refusal{{ReasonUnowned, FieldOwner, adoptToken}}, Blocked: true},
		},
		"UnownedConfirmed": {
			reason: "A person adopts it; partitions that are missing in between are made, and the user.",
			args: args{d: desired(func(d *DesiredStore) { d.Partitions = 0 }), o: observed(unmarked, func(o *ObservedStore) {
				o.Logs = []Log{{Partition: 0}, {Partition: 2}}
			}), c: Context{Confirm: adoptToken}},
			want: brief{Changes: []string{create[0], "events of partition 1: missing -> create", create[3]}},
		},
		"NewerLayout": {
			reason: "What a newer provider has made is left alone, even by its owner made anew.",
			args: args{d: desired(), o: observed(func(o *ObservedStore) {
				o.Layout = layout.Version + 1
				o.Owner.UID = "0000"
			})},
			want: brief{Refusals: []refusal{{ReasonLayoutTooNew, FieldOwner, ""}}, Blocked: true},
		},

		// Settings.
		"PartitionsChanged": {
			reason: "Another number of partitions would reorder aggregates; the other changes are made.",
			args: args{d: desired(func(d *DesiredStore) {
				d.Partitions = 3
				d.Snapshots = true
			}), o: observed()},
			want: brief{Changes: []string{"snapshots: false -> true"}, Refusals: []refusal{{ReasonPartitionsChanged, FieldPartitions, ""}}},
		},
		"PartitionsUnset": {
			reason: "A spec without a number takes what exists.",
			args:   args{d: desired(func(d *DesiredStore) { d.Partitions = 0 }), o: observed()},
		},
		"UnsupportedLater": {
			reason: "Once the store is there, what the backend lacks is refused, and the rest is done.",
			args: args{d: desired(func(d *DesiredStore) {
				d.Set = []Field{FieldTieringBytes}
				d.MaxEventBytes = 5
			}), o: observed(), c: Context{Capabilities: table}},
			want: brief{Changes: []string{"maxEventBytes: unlimited -> 5"}, Refusals: []refusal{{ReasonUnsupported, FieldTieringBytes, ""}}},
		},
		"VolatileLater": {
			reason: "A broker that has stopped to persist is reported, and the rest is done.",
			args: args{d: desired(func(d *DesiredStore) {
				d.RequirePersistence = true
				d.Snapshots = true
			}), o: observed()},
			want: brief{Changes: []string{"snapshots: false -> true"}, Refusals: []refusal{{ReasonNotPersistent, FieldRedisPersistence, ""}}},
		},
		"HazardLater": {
			reason: "A hazard that came later does not take the store from its users.",
			args:   args{d: desired(), o: observed(func(o *ObservedStore) { o.Hazards = []Hazard{{ReasonEvictionEnabled, "It evicts."}} })},
		},
		"RetentionGrows": {
			reason: "Keeping more destroys nothing.",
			args: args{
				d: desired(func(d *DesiredStore) { d.Retention = kept(2*time.Hour, 20) }),
				o: observed(func(o *ObservedStore) { o.Retention, o.Kind = kept(time.Hour, 10), layout.Streaming }),
			},
			want: brief{Changes: []string{"retention.duration: 1h0m0s -> 2h0m0s", "retention.bytes: 10 -> 20"}},
		},
		"RetentionForEver": {
			reason: "Keeping everything is the longest of all.",
			args: args{
				d: desired(),
				o: observed(func(o *ObservedStore) { o.Retention, o.Kind = kept(time.Hour, 10), layout.Streaming }),
			},
			want: brief{Changes: []string{"retention.duration: 1h0m0s -> unlimited", "retention.bytes: 10 -> unlimited"}},
		},
		"RetentionShrinks": {
			reason: "A shorter retention deletes events, so it is refused and not applied; the other limit is.",
			args: args{
				d: desired(func(d *DesiredStore) { d.Retention = kept(time.Hour, 20) }),
				o: observed(func(o *ObservedStore) { o.Retention = kept(2*time.Hour, 10) }),
			},
			want: brief{Changes: []string{"retention.bytes: 10 -> 20"}, Refusals: []refusal{{ReasonRetentionShrink, FieldRetentionDuration, shrinkToken(twoHours + " -> " + hour)}}},
		},
		"RetentionBegins": {
			reason: "The first limit of a store that kept everything deletes events too.",
			args:   args{d: desired(func(d *DesiredStore) { d.Retention = kept(0, 10) }), o: observed()},
			want:   brief{Refusals: []refusal{{ReasonRetentionShrink, FieldRetentionBytes, Token(uid, FieldRetentionBytes, "0 -> 10")}}},
		},
		"RetentionShrinkConfirmed": {
			reason: "A person has confirmed exactly that.",
			args:   args{d: desired(func(d *DesiredStore) { d.Retention = kept(time.Hour, 0) }), o: observed(), c: Context{Confirm: "other, " + shrinkToken("0 -> "+hour)}},
			want:   brief{Changes: []string{"retention.duration: unlimited -> 1h0m0s"}},
		},
		"RetentionShrinkConfirmedOtherTarget": {
			reason: "The confirmation of an hour does not cover a minute.",
			args:   args{d: desired(func(d *DesiredStore) { d.Retention = kept(time.Minute, 0) }), o: observed(), c: Context{Confirm: shrinkToken("0 -> " + hour)}},
			want:   brief{Refusals: []refusal{{ReasonRetentionShrink, FieldRetentionDuration, shrinkToken("0 -> 60000000000")}}},
		},
		"RetentionShrinksGrowsAndShrinks": {
			reason: "From two hours to one was confirmed; from three, to which it grew since, more events go.",
			args: args{
				d: desired(func(d *DesiredStore) { d.Retention = kept(time.Hour, 0) }),
				o: observed(func(o *ObservedStore) { o.Retention, o.Kind = kept(3*time.Hour, 0), layout.Streaming }),
				c: Context{Confirm: shrinkToken(twoHours + " -> " + hour)},
			},
			want: brief{Refusals: []refusal{{ReasonRetentionShrink, FieldRetentionDuration, shrinkToken(threeHours + " -> " + hour)}}},
		},
		"Settings": {
			reason: "Snapshots and the size of events are changed as the spec says, both ways.",
			args: args{
				d: desired(func(d *DesiredStore) { d.MaxEventBytes = 7 }),
				o: observed(func(o *ObservedStore) { o.Snapshots, o.MaxEventBytes = true, 9 }),
			},
			want: brief{Changes: []string{"snapshots: true -> false", "maxEventBytes: 9 -> 7"}},
		},

		"Remains": {
			reason: "A part that nobody has marked is somebody's, too.",
			args:   args{d: desired(), o: ObservedStore{Remains: `topic "shop.orders.snapshots"`}},
			want:   brief{Refusals: []refusal{{ReasonUnowned, FieldOwner, Token(uid, FieldOwner, Owner{}.String()+"#0")}}, Blocked: true},
		},

		// Logs.
		"LogMissing": {
			reason: "A partition of which nobody knows any record is made again.",
			args:   args{d: desired(), o: observed(func(o *ObservedStore) { o.Logs = o.Logs[1:] }), c: Context{KnownRecords: map[int]int64{1: 7}}},
			want:   brief{Changes: []string{"events of partition 0: missing -> create"}},
		},
		"LogLost": {
			reason: "A partition that held records is not, and nothing else is done either: people must look first.",
			args: args{
				d: desired(func(d *DesiredStore) { d.Snapshots = true }),
				o: observed(func(o *ObservedStore) { o.Logs = o.Logs[1:] }), c: Context{KnownRecords: map[int]int64{0: 5}},
			},
			want: brief{Refusals: []refusal{{ReasonDataLost, FieldEvents, lossToken}}, Blocked: true},
		},
		"LogLostConfirmed": {
			reason: "A person has said to go on without.",
			args: args{
				d: desired(), o: observed(func(o *ObservedStore) { o.Logs = o.Logs[1:] }),
				c: Context{KnownRecords: map[int]int64{0: 5}, Confirm: lossToken},
			},
			want: brief{Changes: []string{"events of partition 0: lost -> create"}, Loss: true},
		},
		"LogEmptied": {
			reason: "An empty log where records were is a loss as well, in a store that keeps everything.",
			args:   args{d: desired(), o: observed(func(o *ObservedStore) { o.Logs[0].Records = 0 }), c: Context{KnownRecords: map[int]int64{0: 5}}},
			want:   brief{Refusals: []refusal{{ReasonDataLost, FieldEvents, lossToken}}, Blocked: true},
		},
		"LogEmptiedConfirmed": {
			reason: "After the confirmation there is nothing to create.",
			args: args{
				d: desired(), o: observed(func(o *ObservedStore) { o.Logs[0].Records = 0 }),
				c: Context{KnownRecords: map[int]int64{0: 5}, Confirm: lossToken},
			},
			want: brief{Loss: true},
		},
		"LogReplaced": {
			reason: "A sourcing store forgets nothing: fewer records than were known are another log, or what is left of it.",
			args:   args{d: desired(), o: observed(func(o *ObservedStore) { o.Logs[0].Records = 4 }), c: Context{KnownRecords: map[int]int64{0: 5}}},
			want:   brief{Refusals: []refusal{{ReasonDataLost, FieldEvents, lossToken}}},
		},
		"LogReplacedConfirmed": {
			reason: "A person has said to go on with what is left.",
			args:   args{d: desired(), o: observed(func(o *ObservedStore) { o.Logs[0].Records = 4 }), c: Context{KnownRecords: map[int]int64{0: 5}, Confirm: lossToken}},
			want:   brief{Loss: true},
		},
		"LogShrunk": {
			reason: "A streaming store forgets.",
			args: args{d: desired(), o: observed(func(o *ObservedStore) {
				o.Kind = layout.Streaming
				o.Logs[0].Records = 4
			}), c: Context{KnownRecords: map[int]int64{0: 5}}},
		},
		"LogExpired": {
			reason: "A streaming store empties by itself.",
			args: args{d: desired(), o: observed(func(o *ObservedStore) {
				o.Kind = layout.Streaming
				o.Logs[0].Records = 0
			}), c: Context{KnownRecords: map[int]int64{0: 5}}},
		},

		// The user.
		"NoSecret": {
			reason: "If nobody is to receive a password there is no user.",
			args:   args{d: desired(func(d *DesiredStore) { d.Principal = Principal{} }), o: observed()},
			want:   brief{Changes: []string{"principal: es:shop.orders -> none, because no Secret is to receive its password"}},
		},
		"UserMissing": {
			reason: "A user that somebody deleted is made again.",
			args:   args{d: desired(), o: observed(func(o *ObservedStore) { o.Principal = Principal{} })},
			want:   brief{Changes: []string{"principal: create es:shop.orders"}},
		},
		"UserPassword": {
			reason: "A password that somebody changed is the Secret's again.",
			args:   args{d: desired(), o: observed(func(o *ObservedStore) { o.Principal.Digest = "d2" })},
			want:   brief{Changes: []string{"principal: another password -> the Secret's"}},
		},
		"UserRights": {
			reason: "Rights that somebody changed, or that a guarded deletion took, are given back.",
			args:   args{d: desired(), o: observed(func(o *ObservedStore) { o.Principal.Rights = "r2" })},
			want:   brief{Changes: []string{"principal: other rights -> those of es:shop.orders"}},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tc.args.c.UID = uid
			p := Store(tc.args.d, tc.args.o, tc.args.c)
			if diff := cmp.Diff(tc.want, short(p)); diff != "" {
				t.Errorf("%s\nStore: -want, +got:\n%s", tc.reason, diff)
			}
			legible(t, p.Refusals)
			if p.Blocked() && len(p.Changes) > 0 {
				t.Errorf("%s\na blocked plan has changes: %v", tc.reason, p.Changes)
			}
			if diff := cmp.Diff(p, Store(tc.args.d, tc.args.o, tc.args.c)); diff != "" {
				t.Errorf("the same input gives another plan: %s", diff)
			}
		})
	}
}

func TestPartitionCount(t *testing.T) {
	cases := map[string]struct {
		reason string
		d      int
		o      ObservedStore
		want   int
	}{
		"Default":      {reason: "Nobody asked for a number.", want: layout.DefaultPartitions},
		"Asked":        {reason: "The resource says how many.", d: 3, want: 3},
		"Marked":       {reason: "The marker decides, whatever the spec says.", d: 3, o: ObservedStore{Marked: true, StoreSettings: StoreSettings{Partitions: 4}}, want: 4},
		"Adopted":      {reason: "What exists is counted by its last partition.", o: ObservedStore{Logs: []Log{{Partition: 0}, {Partition: 4}}}, want: 5},
		"AdoptedTopic": {reason: "The broker has a number, which stays.", d: 8, o: ObservedStore{StoreSettings: StoreSettings{Partitions: 5}}, want: 5},
		"AdoptedFewer": {reason: "More may be asked for than was found.", d: 8, o: ObservedStore{Logs: []Log{{Partition: 4}}}, want: 8},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := PartitionCount(desired(func(d *DesiredStore) { d.Partitions = tc.d }), tc.o); got != tc.want {
				t.Errorf("%s\nPartitionCount: %d, want %d", tc.reason, got, tc.want)
			}
		})
	}
}

func TestObservedStore(t *testing.T) {
	o := observed(func(o *ObservedStore) { o.Logs[0].Bytes, o.Logs[1].Bytes = 10, 20 })
	if o.Records() != 12 || o.Bytes() != 30 || !o.Exists() || (ObservedStore{}).Exists() || !(ObservedStore{Logs: o.Logs}).Exists() {
		t.Errorf("records %d, bytes %d, exists %t", o.Records(), o.Bytes(), o.Exists())
	}
	for r, want := range map[Retention]layout.Kind{
		{}: layout.Sourcing, kept(time.Hour, 0): layout.Streaming, kept(0, 1): layout.Streaming,
	} {
		if got := r.Kind(); got != want {
			t.Errorf("kind of a store with retention %+v: %s, want %s", r, got, want)
		}
	}
}
