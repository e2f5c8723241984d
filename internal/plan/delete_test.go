package plan

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDeleteStore(t *testing.T) {
	token := Token(uid, FieldDelete, "shop.orders")
	empty := func(o *ObservedStore) { o.Logs = []Log{{Partition: 0}, {Partition: 1}} }
	dead := func(o *ObservedStore) { o.DeadLetters = 2 }
	protect := func(p Protection) func(*DesiredStore) { return func(d *DesiredStore) { d.Protection = p } }
	cases := map[string]struct {
		reason  string
		d       DesiredStore
		o       ObservedStore
		confirm string
		want    []refusal
	}{
		"Empty":     {reason: "An empty store holds nothing to lose.", d: desired(), o: observed(empty)},
		"Gone":      {reason: "What is gone already is no reason to stay.", d: desired()},
		"NotEmpty":  {reason: "Records are not destroyed by accident.", d: desired(), o: observed(), want: []refusal{{ReasonNotEmpty, FieldDelete, token}}},
		"Confirmed": {reason: "A person means it.", d: desired(), o: observed(), confirm: token},
		"Never":     {reason: "The spec does not care.", d: desired(protect(ProtectNever)), o: observed()},
		"Always":    {reason: "Not even an empty store, and no token helps.", d: desired(protect(ProtectAlways)), o: observed(empty), confirm: token, want: []refusal{{ReasonDeletionProtected, FieldDelete, ""}}},
		"Unset":     {reason: "Without a word the store is protected.", d: desired(protect("")), o: observed(), want: []refusal{{ReasonNotEmpty, FieldDelete, token}}},
		"Strayed": {
			reason: "What others have written to partitions that somebody has added is data too.",
			d:      desired(), o: observed(empty, func(o *ObservedStore) { o.Grown, o.GrownRecords = 1, 3 }), want: []refusal{{ReasonNotEmpty, FieldDelete, token}},
		},
		"DeadLetters": {
			reason: "An empty store is not worthless while its subscriptions have dead letters that nobody has handled.",
			d:      desired(), o: observed(empty, dead), want: []refusal{{ReasonDeadLettersNotEmpty, FieldDelete, token}},
		},
		"DeadLettersConfirmed": {reason: "A person gives them up.", d: desired(), o: observed(empty, dead), confirm: token},
		"DeadLettersNever":     {reason: "The spec does not care for them either.", d: desired(protect(ProtectNever)), o: observed(empty, dead)},
		"RecordsAndDeadLetters": {
			reason: "Records are said first, and one token confirms both.",
			d:      desired(), o: observed(dead), want: []refusal{{ReasonNotEmpty, FieldDelete, token}},
		},
		"OthersConfirmed": {reason: "The token of another resource is none.", d: desired(), o: observed(), confirm: Token("0002", FieldDelete, "shop.orders"), want: []refusal{{ReasonNotEmpty, FieldDelete, token}}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p := Plan{Refusals: DeleteStore(tc.d, tc.o, Context{UID: uid, Confirm: tc.confirm})}
			if diff := cmp.Diff(brief{Refusals: tc.want, Blocked: len(tc.want) > 0}, short(p)); diff != "" {
				t.Errorf("%s\nDeleteStore: -want, +got:\n%s", tc.reason, diff)
			}
			legible(t, p.Refusals)
		})
	}
}

func TestDeleteSubscription(t *testing.T) {
	token := Token(uid, FieldDelete, "shop.orders/reader")
	read := func(o *ObservedSubscription) { o.Groups[1].Lag = 0 }
	dead := func(o *ObservedSubscription) { o.DeadLetters = 2 }
	cases := map[string]struct {
		reason  string
		o       ObservedSubscription
		confirm string
		want    []refusal
	}{
		"Read":        {reason: "Everything was read, so nothing is lost.", o: observedSub(read)},
		"Lags":        {reason: "The position would be lost.", o: observedSub(), want: []refusal{{ReasonSubscriptionLags, FieldDelete, token}}},
		"DeadLetters": {reason: "Nobody has handled them.", o: observedSub(read, dead), want: []refusal{{ReasonDeadLettersNotEmpty, FieldDelete, token}}},
		"Both": {
			reason: "Both are said, and one token confirms both.", o: observedSub(dead),
			want: []refusal{{ReasonDeadLettersNotEmpty, FieldDelete, token}, {ReasonSubscriptionLags, FieldDelete, token}},
		},
		"Confirmed": {reason: "A person means it.", o: observedSub(dead), confirm: token},
		"StoreLostItsMarker": {
			reason: "A store without a marker but with logs is damaged and not gone: there is something left to read.",
			o:      observedSub(dead, func(o *ObservedSubscription) { o.StoreGone, o.StoreHasLogs = true, true }),
			want:   []refusal{{ReasonDeadLettersNotEmpty, FieldDelete, token}, {ReasonSubscriptionLags, FieldDelete, token}},
		},
		"StoreLostItsMarkerConfirmed": {
			reason: "A person means it.",
			o:      observedSub(dead, func(o *ObservedSubscription) { o.StoreGone, o.StoreHasLogs = true, true }), confirm: token,
		},
		"StoreGone": {reason: "Without its store there is nothing left to read.", o: observedSub(dead, func(o *ObservedSubscription) { o.StoreGone = true })},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p := Plan{Refusals: DeleteSubscription(desiredSub(), tc.o, Context{UID: uid, Confirm: tc.confirm})}
			if diff := cmp.Diff(brief{Refusals: tc.want, Blocked: len(tc.want) > 0}, short(p)); diff != "" {
				t.Errorf("%s\nDeleteSubscription: -want, +got:\n%s", tc.reason, diff)
			}
			legible(t, p.Refusals)
		})
	}
}

func TestOwned(t *testing.T) {
	anew := orders()
	anew.UID = "0009"
	if !Owned(orders(), anew) || Owned(orders(), billing()) || Owned(orders(), Owner{}) {
		t.Error("a resource owns what bears its name, under whichever UID, and nothing else")
	}
}
