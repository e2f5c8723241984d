package plan

import "fmt"

// Owned reports whether what was observed belongs to desired, so that deleting the one may delete the other. A resource
// that never got what it asked for, because it belongs to another, is deleted without touching the broker.
func Owned(desired, observed Owner) bool {
	return observed.sameResource(desired)
}

// DeleteStore says why a store that its resource owns must not be deleted, or returns nil. The observation must be
// fresh, and taken after the right to write was revoked.
func DeleteStore(d DesiredStore, o ObservedStore, c Context) []Refusal {
	if d.Protection == ProtectAlways {
		return []Refusal{{
			Reason: ReasonDeletionProtected, Field: FieldDelete, Blocks: true,
			Message: fmt.Sprintf("Store %q is protected, because deletionProtection is Always: set it to WhenNotEmpty or Never to delete the store", d.Name),
		}}
	}
	token := Token(c.UID, FieldDelete, d.Name)
	if d.Protection == ProtectNever || Confirmed(c.Confirm, token) {
		return nil
	}
	switch {
	case o.Unavailable != "":
		return []Refusal{{
			Reason: ReasonUnavailable, Field: FieldDelete, Token: token, Blocks: true,
			Message: fmt.Sprintf("Store %q may hold records, which deletion would destroy, and the broker cannot tell (%s): wait until it can, or confirm with %s", d.Name, o.Unavailable, token),
		}}
	case o.Records() > 0:
		return []Refusal{{
			Reason: ReasonNotEmpty, Field: FieldDelete, Token: token, Blocks: true,
			Message: fmt.Sprintf("Store %q holds records, which deletion would destroy: confirm with %s, or remove Delete from managementPolicies to keep them", d.Name, token),
		}}
	case o.GrownRecords > 0:
		return []Refusal{{
			Reason: ReasonNotEmpty, Field: FieldDelete, Token: token, Blocks: true,
			Message: fmt.Sprintf("Store %q holds records in partitions that somebody has added on the broker, and deletion would destroy them: confirm with %s, or remove Delete from managementPolicies to keep them", d.Name, token),
		}}
	case o.DeadLetters > 0:
		return []Refusal{{
			Reason: ReasonDeadLettersNotEmpty, Field: FieldDelete, Token: token, Blocks: true,
			Message: fmt.Sprintf("Store %q has subscriptions with dead letters, which deletion would destroy: handle them, or confirm with %s", d.Name, token),
		}}
	}
	return nil
}

// DeleteSubscription says why a subscription that its resource owns must not be deleted, or returns nil. One whose store
// is gone has nothing left to read; one that has lost only its marker is not gone.
func DeleteSubscription(d DesiredSubscription, o ObservedSubscription, c Context) []Refusal {
	token := Token(c.UID, FieldDelete, d.String())
	if (o.StoreGone && !o.StoreHasLogs) || Confirmed(c.Confirm, token) {
		return nil
	}
	var refusals []Refusal
	if o.Unavailable != "" {
		return []Refusal{{
			Reason: ReasonUnavailable, Field: FieldDelete, Token: token, Blocks: true,
			Message: fmt.Sprintf("Subscription %q may have events to read, and the broker cannot tell (%s): wait until it can, or confirm with %s", d, o.Unavailable, token),
		}}
	}
	if o.DeadLetters > 0 {
		refusals = append(refusals, Refusal{
			Reason: ReasonDeadLettersNotEmpty, Field: FieldDelete, Token: token, Blocks: true,
			Message: fmt.Sprintf("Subscription %q has dead letters, which deletion would destroy: handle them, or confirm with %s", d, token),
		})
	}
	if o.Lag() > 0 {
		refusals = append(refusals, Refusal{
			Reason: ReasonSubscriptionLags, Field: FieldDelete, Token: token, Blocks: true,
			Message: fmt.Sprintf("Subscription %q has not read everything, and deletion would lose its position: let it catch up, or confirm with %s", d, token),
		})
	}
	return refusals
}
