package plan

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func reader() Owner {
	o := orders()
	o.Kind, o.Name = "Subscription", "reader"
	return o
}

func desiredSub(edit ...func(*DesiredSubscription)) DesiredSubscription {
	d := DesiredSubscription{
		SubscriptionSettings: SubscriptionSettings{Owner: reader()},
		Store:                "shop.orders", Name: "reader",
		StartFrom: Start{Earliest: true},
		Principal: Principal{Name: "es:shop.orders:reader", Digest: "d1", Rights: "r1"},
	}
	for _, e := range edit {
		e(&d)
	}
	return d
}

func observedSub(edit ...func(*ObservedSubscription)) ObservedSubscription {
	o := ObservedSubscription{
		SubscriptionSettings: SubscriptionSettings{Owner: reader()},
		Marked:               true, Created: true,
		StoreCreated: "monday", Partitions: 2,
		Groups:    []Group{{Partition: 0, Position: "5"}, {Partition: 1, Position: "7", Lag: 3}},
		Principal: Principal{Name: "es:shop.orders:reader", Digest: "d1", Rights: "r1"},
	}
	for _, e := range edit {
		e(&o)
	}
	return o
}

func TestSubscription(t *testing.T) {
	gone := func(o *ObservedSubscription) { *o = ObservedSubscription{Partitions: 2, StoreCreated: "monday"} }
	unmarked := func(o *ObservedSubscription) { o.Owner, o.Marked, o.Created = Owner{}, false, false }
	replay := func(d *DesiredSubscription) { d.Replay = &Replay{ID: "r2", From: Start{Earliest: true}} }
	positionToken := func(losses string) string { return Token(uid, FieldGroup, "Earliest#"+losses) }
	replayToken := func(fromTo string) string { return Token(uid, FieldReplay, fromTo) }
	deadToken := func(fromTo string) string { return Token(uid, FieldDeadLetterRetention, fromTo) }
	owner := "owner: Subscription.eventstore.m.crossplane.io shop/reader of control plane 11112222"
	end := []string{"positions: set in every partition", "principal: create es:shop.orders:reader"}

	type args struct {
		d DesiredSubscription
		o ObservedSubscription
		c Context
	}
	cases := map[string]struct {
		reason string
		args   args
		want   brief
	}{
		// Creation.
		"Create": {
			reason: "Every partition gets a position before the subscription counts as created, and the user comes last.",
			args:   args{d: desiredSub(), o: observedSub(gone)},
			want:   brief{Changes: append([]string{owner, "position of partition 0: Earliest", "position of partition 1: Earliest"}, end...)},
		},
		"CreateKnown": {
			reason: "If even the marker is gone, positions that status knows come back: nothing jumps.",
			args:   args{d: desiredSub(), o: observedSub(gone), c: Context{KnownPositions: map[int]string{1: "7"}}},
			want:   brief{Changes: append([]string{owner, "position of partition 0: Earliest", "position of partition 1: missing -> 7"}, end...)},
		},
		"Unowned": {
			reason: "A position that nobody has marked is somebody's: it is not moved without a word.",
			args:   args{d: desiredSub(), o: observedSub(unmarked)},
			want:   brief{Refusals: []refusal{{ReasonUnowned, FieldOwner, Token(uid, FieldOwner, Owner{}.String()+"#0")}}, Blocked: true},
		},
		"UnownedConfirmed": {
			reason: "Who adopts a subscription goes on where it is.",
			args:   args{d: desiredSub(), o: observedSub(unmarked), c: Context{Confirm: Token(uid, FieldOwner, Owner{}.String()+"#0")}},
			want:   brief{Changes: []string{owner, "positions: set in every partition"}},
		},
		"MarkerLost": {
			reason: "What status knows was ours: the marker comes back, and the position stays.",
			args:   args{d: desiredSub(), o: observedSub(unmarked), c: Context{KnownPositions: map[int]string{0: "5", 1: "6"}}},
			want:   brief{Changes: []string{strings.Replace(owner, ": ", ": lost -> ", 1), "positions: set in every partition"}},
		},
		"StoreMadeAgain": {
			reason: "Where the subscription was in the store before, and that it had begun there, says nothing in the next one.",
			args: args{d: desiredSub(), o: observedSub(func(o *ObservedSubscription) { o.Groups = nil }), c: Context{
				KnownPositions: map[int]string{0: "500"}, KnownStore: "sunday",
			}},
			want: brief{Changes: append([]string{"position of partition 0: Earliest", "position of partition 1: Earliest"}, end[:1]...)},
		},
		"MarkerOfEarlierStore": {
			reason: "A marker that outlived its store, by an orphaned resource or a broker that forgot its last second, is about that store.",
			args: args{d: desiredSub(replay), o: observedSub(func(o *ObservedSubscription) {
				o.Groups, o.PositionedIn, o.LastReplay = nil, "sunday", "r2"
			})},
			want: brief{Changes: []string{
				"position of partition 0: Earliest", "position of partition 1: Earliest", end[0], "replay: r2 from Earliest",
			}},
		},
		"PositionsLostInSameStore": {
			reason: "In the store that the marker is about, a position that is gone was lost, and nobody else's to give up.",
			args:   args{d: desiredSub(), o: observedSub(func(o *ObservedSubscription) { o.Groups, o.PositionedIn = nil, "monday" })},
			want: brief{Refusals: []refusal{
				{ReasonPositionUnknown, FieldGroup, positionToken("0")}, {ReasonPositionUnknown, FieldGroup, positionToken("0")},
			}},
		},
		"CreateUnsupported": {
			reason: "What the backend lacks stops the creation.",
			args:   args{d: desiredSub(func(d *DesiredSubscription) { d.Set = []Field{FieldFilter} }), o: observedSub(gone)},
			want:   brief{Refusals: []refusal{{ReasonUnsupported, FieldFilter, ""}}, Blocked: true},
		},
		"CreateInvalidName": {
			reason: "A name that no subscription can have stops the creation.",
			args:   args{d: desiredSub(func(d *DesiredSubscription) { d.Name = "a.b" }), o: observedSub(gone)},
			want:   brief{Refusals: []refusal{{ReasonInvalidName, FieldName, ""}}, Blocked: true},
		},
		"InvalidStore": {
			reason: "Nor can anything be subscribed to under a name that no store can have.",
			args:   args{d: desiredSub(func(d *DesiredSubscription) { d.Store = "a}:b*" }), o: observedSub(gone)},
			want:   brief{Refusals: []refusal{{ReasonInvalidName, FieldStore, ""}}, Blocked: true},
		},
		"OtherNamespace": {
			reason: "A subscription reads, so it too is kept to the stores of its namespace.",
			args:   args{d: desiredSub(), o: observedSub(gone), c: Context{Namespace: "evil"}},
			want:   brief{Refusals: []refusal{{ReasonNamePrefix, FieldName, ""}}, Blocked: true},
		},
		"StoreGone": {
			reason: "Without a store there is nothing to subscribe to, and nothing is changed.",
			args: args{d: desiredSub(replay), o: observedSub(func(o *ObservedSubscription) {
				o.StoreGone = true
				o.Groups = nil
			})},
			want: brief{Refusals: []refusal{{ReasonStoreNotFound, FieldStore, ""}}, Blocked: true},
		},
		"ObserveOnly": {
			reason: "A resource that may only look changes nothing, and is refused nothing.",
			args:   args{d: desiredSub(), o: observedSub(gone), c: Context{ObserveOnly: true}},
		},
		"CreationInterrupted": {
			reason: "What a crash left is completed: the missing position from startFrom, and the note that all are set.",
			args: args{d: desiredSub(), o: observedSub(func(o *ObservedSubscription) {
				o.Created = false
				o.Groups = o.Groups[:1]
				o.Principal = Principal{}
			})},
			want: brief{Changes: append([]string{"position of partition 1: Earliest"}, end...)},
		},
		"NoteInterrupted": {
			reason: "A crash before the note leaves the note to be made, or a position lost later would begin anew.",
			args:   args{d: desiredSub(), o: observedSub(func(o *ObservedSubscription) { o.Created = false })},
			want:   brief{Changes: end[:1]},
		},

		// Ownership.
		"UpToDate": {
			reason: "Lag is not drift.",
			args:   args{d: desiredSub(), o: observedSub()},
		},
		"Conflict": {
			reason: "Somebody else's subscription is not touched, whatever else differs.",
			args:   args{d: desiredSub(replay), o: observedSub(func(o *ObservedSubscription) { o.Owner.Name = "other" })},
			want: brief{Refusals: []refusal{{ReasonConflict, FieldOwner, Token(uid, FieldOwner,
				"Subscription.eventstore.m.crossplane.io shop/other of control plane 11112222#0")}}, Blocked: true},
		},
		"TakenBackByOldConfirmation": {
			reason: "A confirmation that stays in place takes a subscription over once, and not again after it was taken back.",
			args: args{d: desiredSub(), o: observedSub(func(o *ObservedSubscription) {
				o.Owner.Name = "other"
				o.Takeovers = 2
			}), c: Context{Confirm: Token(uid, FieldOwner, "Subscription.eventstore.m.crossplane.io shop/other of control plane 11112222#0")}},
			want: brief{Refusals: []refusal{{ReasonConflict, FieldOwner, Token(uid, FieldOwner,
				"Subscription.eventstore.m.crossplane.io shop/other of control plane 11112222#2")}}, Blocked: true},
		},

		// Positions.
		"PositionRestored": {
			reason: "A lost position comes back where it was last seen.",
			args: args{
				d: desiredSub(), o: observedSub(func(o *ObservedSubscription) { o.Groups = o.Groups[:1] }),
				c: Context{KnownPositions: map[int]string{0: "5", 1: "7"}},
			},
			want: brief{Changes: []string{"position of partition 1: missing -> 7"}},
		},
		"PositionUnknown": {
			reason: "A position that nobody remembers is neither silently the earliest nor silently the latest; the rest is done.",
			args: args{d: desiredSub(), o: observedSub(func(o *ObservedSubscription) {
				o.Groups = o.Groups[:1]
				o.Principal.Rights = "r2"
			})},
			want: brief{
				Changes:  []string{"principal: other rights -> those of es:shop.orders:reader"},
				Refusals: []refusal{{ReasonPositionUnknown, FieldGroup, positionToken("0")}},
			},
		},
		"PositionUnknownConfirmed": {
			reason: "A person has chosen startFrom.",
			args: args{
				d: desiredSub(), o: observedSub(func(o *ObservedSubscription) { o.Groups = o.Groups[:1] }),
				c: Context{Confirm: positionToken("0")},
			},
			want: brief{Changes: []string{"position of partition 1: Earliest"}, Loss: true},
		},
		"PositionUnknownAgain": {
			reason: "The confirmation of one loss does not cover the next.",
			args: args{
				d: desiredSub(), o: observedSub(func(o *ObservedSubscription) { o.Groups = o.Groups[:1] }),
				c: Context{Confirm: positionToken("0"), AcceptedLosses: 1},
			},
			want: brief{Refusals: []refusal{{ReasonPositionUnknown, FieldGroup, positionToken("1")}}},
		},

		// Replay.
		"Replay": {
			reason: "A new ID moves the positions once.",
			args:   args{d: desiredSub(replay), o: observedSub(func(o *ObservedSubscription) { o.LastReplay = "r1" })},
			want:   brief{Changes: []string{"replay: r1 -> r2 from Earliest"}},
		},
		"ReplayDone": {
			reason: "The same ID does not move them again.",
			args:   args{d: desiredSub(replay), o: observedSub(func(o *ObservedSubscription) { o.LastReplay = "r2" })},
		},
		"ReplayForgotten": {
			reason: "Nor when the broker has forgotten it and status has not.",
			args:   args{d: desiredSub(replay), o: observedSub(), c: Context{KnownReplay: "r2"}},
		},
		"ReplayNewer": {
			reason: "What the broker remembers is newer than status: the ID was used, then another, now it again.",
			args:   args{d: desiredSub(replay), o: observedSub(func(o *ObservedSubscription) { o.LastReplay = "r3" }), c: Context{KnownReplay: "r2"}},
			want:   brief{Changes: []string{"replay: r3 -> r2 from Earliest"}},
		},
		"ReplayRemoved": {
			reason: "A replay that is taken out of the spec undoes nothing.",
			args:   args{d: desiredSub(), o: observedSub(func(o *ObservedSubscription) { o.LastReplay = "r1" })},
		},
		"ReplayBusy": {
			reason: "Consumers that read would acknowledge what the replay has just put back; the rest is done.",
			args: args{d: desiredSub(replay), o: observedSub(func(o *ObservedSubscription) {
				o.Consumers = []string{"a", "b"}
				o.Principal = Principal{}
			})},
			want: brief{Changes: end[1:], Refusals: []refusal{{ReasonReplayBusy, FieldReplay, replayToken(" -> r2")}}},
		},
		"ReplayBusyConfirmed": {
			reason: "A person knows better.",
			args: args{
				d: desiredSub(replay), o: observedSub(func(o *ObservedSubscription) { o.Consumers = []string{"a"} }),
				c: Context{Confirm: replayToken(" -> r2")},
			},
			want: brief{Changes: []string{"replay: r2 from Earliest"}},
		},
		"ReplayBusyAfterAnother": {
			reason: "A confirmation is for the step from one replay to the next: the same ID after another one is another step.",
			args: args{d: desiredSub(replay), o: observedSub(func(o *ObservedSubscription) {
				o.Consumers = []string{"a"}
				o.LastReplay = "r3"
			}), c: Context{Confirm: replayToken(" -> r2")}},
			want: brief{Refusals: []refusal{{ReasonReplayBusy, FieldReplay, replayToken("r3 -> r2")}}},
		},

		// Dead letters.
		"DeadLettersKeptLonger": {
			reason: "Keeping dead letters longer drops none.",
			args: args{d: desiredSub(func(d *DesiredSubscription) { d.DeadLetterRetention = time.Hour }), o: observedSub(func(o *ObservedSubscription) {
				o.DeadLetterRetention = time.Minute
				o.DeadLetters = 5
			})},
			want: brief{Changes: []string{"deadLetter.retention: 1m0s -> 1h0m0s"}},
		},
		"DeadLettersKeptForEver": {
			reason: "For ever is the longest of all.",
			args: args{d: desiredSub(), o: observedSub(func(o *ObservedSubscription) {
				o.DeadLetterRetention = time.Minute
				o.DeadLetters = 5
			})},
			want: brief{Changes: []string{"deadLetter.retention: 1m0s -> unlimited"}},
		},
		"DeadLettersDropped": {
			reason: "Keeping them shorter may drop some that nobody has handled.",
			args: args{
				d: desiredSub(func(d *DesiredSubscription) { d.DeadLetterRetention = time.Hour }),
				o: observedSub(func(o *ObservedSubscription) { o.DeadLetters = 5 }),
			},
			want: brief{Refusals: []refusal{{ReasonDeadLettersNotEmpty, FieldDeadLetterRetention, deadToken("unlimited -> 1h0m0s")}}},
		},
		"DeadLettersDroppedConfirmed": {
			reason: "A person gives them up.",
			args: args{
				d: desiredSub(func(d *DesiredSubscription) { d.DeadLetterRetention = time.Hour }),
				o: observedSub(func(o *ObservedSubscription) { o.DeadLetters = 5 }), c: Context{Confirm: deadToken("unlimited -> 1h0m0s")},
			},
			want: brief{Changes: []string{"deadLetter.retention: unlimited -> 1h0m0s"}},
		},
		"DeadLettersDroppedAgain": {
			reason: "What was confirmed once, from for ever to an hour, does not cover from two hours to one.",
			args: args{d: desiredSub(func(d *DesiredSubscription) { d.DeadLetterRetention = time.Hour }), o: observedSub(func(o *ObservedSubscription) {
				o.DeadLetterRetention = 2 * time.Hour
				o.DeadLetters = 5
			}), c: Context{Confirm: deadToken("unlimited -> 1h0m0s")}},
			want: brief{Refusals: []refusal{{ReasonDeadLettersNotEmpty, FieldDeadLetterRetention, deadToken("2h0m0s -> 1h0m0s")}}},
		},
		"DeadLettersNone": {
			reason: "Where there are none, none are dropped.",
			args:   args{d: desiredSub(func(d *DesiredSubscription) { d.DeadLetterRetention = time.Hour }), o: observedSub()},
			want:   brief{Changes: []string{"deadLetter.retention: unlimited -> 1h0m0s"}},
		},
	}
	table := Capabilities{Backend: "kafka", Fields: map[Field]Support{}}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tc.args.c.UID, tc.args.c.Capabilities = uid, table
			p := Subscription(tc.args.d, tc.args.o, tc.args.c)
			if diff := cmp.Diff(tc.want, short(p)); diff != "" {
				t.Errorf("%s\nSubscription: -want, +got:\n%s", tc.reason, diff)
			}
			legible(t, p.Refusals)
			if p.Blocked() && len(p.Changes) > 0 {
				t.Errorf("%s\na blocked plan has changes: %v", tc.reason, p.Changes)
			}
		})
	}
}

func TestStartString(t *testing.T) {
	for want, s := range map[string]Start{
		"Earliest":                    {Earliest: true},
		"Latest":                      {Latest: true},
		"2026-01-02T03:04:05.000006Z": {Time: time.Date(2026, 1, 2, 4, 4, 5, 6000, time.FixedZone("", 3600))},
		"0@7 11@5":                    {Positions: map[int]string{11: "5", 0: "7"}},
	} {
		if got := s.String(); got != want {
			t.Errorf("String of %+v: %q, want %q", s, got, want)
		}
	}
}
