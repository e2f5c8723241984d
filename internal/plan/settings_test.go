package plan

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSettings(t *testing.T) {
	type args struct {
		d DesiredStore
		o ObservedStore
		c Context
	}
	ttl := Token(uid, FieldMessageTTL, "0 -> 3600000000000")
	cases := map[string]struct {
		reason string
		args   args
		want   brief
	}{
		"Equal": {
			reason: "A setting that is as it should be is left alone, and so is one that nobody here has ever set.",
			args: args{
				d: desired(func(d *DesiredStore) { d.Settings = Settings{"a": "1", "b": ""} }),
				o: observed(func(o *ObservedStore) { o.Settings = Settings{"a": "1", "foreign": "x"} }),
			},
		},
		"Differs": {
			reason: "Changed, missing and surplus settings are put right, in the order of their names.",
			args: args{
				d: desired(func(d *DesiredStore) { d.Settings = Settings{"c": "1", "b": "2", "a": ""} }),
				o: observed(func(o *ObservedStore) { o.Settings = Settings{"c": "2", "a": "9"} }),
			},
			want: brief{Changes: []string{"a: 9 -> the broker's default", "b: the broker's default -> 2", "c: 2 -> 1"}},
		},
		"LeavesTheSpec": {
			reason: "What the provider has set, and the spec does not have any more, goes back to the default.",
			args: args{
				d: desired(), o: observed(func(o *ObservedStore) { o.Settings = Settings{"ours": "1", "foreign": "2"} }),
				c: Context{AppliedSettings: []string{"ours"}},
			},
			want: brief{Changes: []string{"ours: 1 -> the broker's default"}},
		},
		"Unmanaged": {
			reason: "What is somebody else's is neither set nor reset.",
			args: args{
				d: desired(func(d *DesiredStore) {
					d.Settings, d.Unmanaged = Settings{"a": "1"}, []string{"a", "b"}
				}),
				o: observed(func(o *ObservedStore) { o.Settings = Settings{"a": "2", "b": "3"} }),
				c: Context{AppliedSettings: []string{"b"}},
			},
		},
		"Created": {
			reason: "What a creation does not cover is set in the same plan.",
			args: args{
				d: desired(func(d *DesiredStore) { d.Settings, d.Partitions = Settings{"a": "1"}, 1 }),
			},
			want: brief{Changes: []string{"owner: " + orders().String(), "events of partition 0: create", "a: the broker's default -> 1", "principal: create es:shop.orders"}},
		},
		"Invalid": {
			reason: "What the backend refuses of the values stops a creation.",
			args: args{
				d: desired(func(d *DesiredStore) {
					d.Invalid = []Refusal{{Reason: ReasonBrokerLimit, Field: FieldMinInSync, Message: "no"}}
				}),
			},
			want: brief{Refusals: []refusal{{ReasonBrokerLimit, FieldMinInSync, ""}}, Blocked: true},
		},
		"TooLarge": {
			reason: "A limit above the broker's would be cut short.",
			args: args{
				d: desired(func(d *DesiredStore) { d.MaxEventBytes = 10 }),
				o: observed(func(o *ObservedStore) { o.MaxEventBytes, o.MaxEventBytesLimit = 4, 5 }),
			},
			want: brief{Refusals: []refusal{{ReasonBrokerLimit, FieldMaxEventBytes, ""}}},
		},
		"Replicas": {
			reason: "The number of copies is fixed at creation.",
			args: args{
				d: desired(func(d *DesiredStore) { d.Replicas = 3 }),
				o: observed(func(o *ObservedStore) { o.Replicas = 1 }),
			},
			want: brief{Refusals: []refusal{{ReasonReplicasChanged, FieldReplicas, ""}}},
		},
		"Grown": {
			reason: "Partitions that somebody has added stay unused, which is said; the rest is done.",
			args: args{
				d: desired(func(d *DesiredStore) { d.Snapshots = true }),
				o: observed(func(o *ObservedStore) { o.Grown = 2 }),
			},
			want: brief{Changes: []string{"snapshots: false -> true"}, Refusals: []refusal{{ReasonPartitionsGrown, FieldPartitions, ""}}},
		},
		"ReplicasOfTheBroker": {
			reason: "Who asks for no number has any.",
			args:   args{d: desired(), o: observed(func(o *ObservedStore) { o.Replicas = 3 })},
		},
		"TTL": {
			reason: "Skipping events needs a person.",
			args:   args{d: desired(func(d *DesiredStore) { d.MessageTTL = time.Hour }), o: observed()},
			want:   brief{Refusals: []refusal{{ReasonTTLShortened, FieldMessageTTL, ttl}}},
		},
		"TTLConfirmed": {
			reason: "A person has confirmed exactly this.",
			args: args{
				d: desired(func(d *DesiredStore) { d.MessageTTL = time.Hour }), o: observed(),
				c: Context{Confirm: ttl},
			},
			want: brief{Changes: []string{"messageTTL: unlimited -> 1h0m0s"}},
		},
		"TTLUnsupported": {
			reason: "What the backend lacks is neither changed nor confirmed, on a store that exists as well.",
			args: args{
				d: desired(func(d *DesiredStore) { d.MessageTTL, d.Set = time.Hour, []Field{FieldMessageTTL} }), o: observed(),
				c: Context{Confirm: ttl},
			},
			want: brief{Refusals: []refusal{{ReasonUnsupported, FieldMessageTTL, ""}}},
		},
		"TTLOff": {
			reason: "Not to skip any more loses nothing.",
			args:   args{d: desired(), o: observed(func(o *ObservedStore) { o.MessageTTL = time.Hour })},
			want:   brief{Changes: []string{"messageTTL: 1h0m0s -> unlimited"}},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tc.args.c.UID = uid
			if diff := cmp.Diff(tc.want, short(Store(tc.args.d, tc.args.o, tc.args.c))); diff != "" {
				t.Errorf("%s\nStore(...): -want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}

// TestUnavailable: what does not answer is neither lost nor empty.
func TestUnavailable(t *testing.T) {
	away := func(o *ObservedStore) { o.Unavailable, o.Logs = "partition 1 has no leader", o.Logs[:1] }
	p := Store(desired(func(d *DesiredStore) { d.Snapshots = true }), observed(away), Context{UID: uid, KnownRecords: map[int]int64{1: 7}})
	if len(p.Changes)+len(p.Refusals) > 0 || !strings.Contains(p.Unavailable, "no leader") {
		t.Errorf("Store: %+v, want nothing to be concluded", p)
	}
	p = Store(desired(), ObservedStore{Unavailable: "partition 0 has no leader"}, Context{UID: uid})
	if len(p.Changes)+len(p.Refusals) > 0 || p.Unavailable == "" {
		t.Errorf("Store: %+v, want nothing to be made where somebody's data may be", p)
	}
	if p := Store(desired(), observed(away), Context{UID: uid, ObserveOnly: true}); p.Unavailable == "" {
		t.Errorf("Store: %+v, want it not to be ready for who only looks either", p)
	}
	refusals := DeleteStore(desired(), observed(away, func(o *ObservedStore) { o.Logs = nil }), Context{UID: uid})
	if len(refusals) != 1 || refusals[0].Reason != ReasonUnavailable || refusals[0].Token == "" {
		t.Errorf("DeleteStore: %+v, want a refusal that a person can confirm", refusals)
	}
	gone := func(o *ObservedSubscription) { o.Unavailable, o.Groups = "partition 1 has no leader", nil }
	s := Subscription(desiredSub(), observedSub(gone), Context{UID: uid})
	if len(s.Changes)+len(s.Refusals) > 0 || s.Unavailable == "" {
		t.Errorf("Subscription: %+v, want nothing to be concluded", s)
	}
	refusals = DeleteSubscription(desiredSub(), observedSub(gone), Context{UID: uid})
	if len(refusals) != 1 || refusals[0].Reason != ReasonUnavailable {
		t.Errorf("DeleteSubscription: %+v, want a refusal", refusals)
	}
}

// TestReplayNeedsIdle: no confirmation moves a position that the broker does not move.
func TestReplayNeedsIdle(t *testing.T) {
	d := desiredSub(func(d *DesiredSubscription) { d.Replay = &Replay{ID: "r2", From: Start{Earliest: true}} })
	o := observedSub(func(o *ObservedSubscription) { o.Consumers = []string{"c1"} })
	c := Context{UID: uid, Capabilities: Capabilities{ReplayNeedsIdle: true}, Confirm: Token(uid, FieldReplay, " -> r2")}
	p := Subscription(d, o, c)
	if len(p.Changes) > 0 || len(p.Refusals) != 1 || p.Refusals[0].Reason != ReasonReplayBusy || p.Refusals[0].Token != "" {
		t.Errorf("Subscription: %+v, want a refusal without a token", p)
	}
	if !strings.Contains(p.Refusals[0].Message, "c1") {
		t.Errorf("%q does not name the consumer", p.Refusals[0].Message)
	}
}
