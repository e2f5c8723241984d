package placement

import "fmt"

// A Reason says why a claim is not made as it is. Machines match on it: it does not change.
type Reason string

const (
	// ReasonUnknownClass: there is no class of that name.
	ReasonUnknownClass Reason = "UnknownClass"
	// ReasonUnknownLocation: there is no location of that name.
	ReasonUnknownLocation Reason = "UnknownLocation"
	// ReasonNotOffered: the class is not offered in the location.
	ReasonNotOffered Reason = "NotOffered"
	// ReasonNoLocation: the claim names no location, and nobody can tell which one is meant.
	ReasonNoLocation Reason = "NoLocation"
	// ReasonLocationTwice: the claim names a location twice, or two that are the same broker.
	ReasonLocationTwice Reason = "LocationTwice"
	// ReasonAboveLimit: the claim asks for more than the class, or its namespace, may have.
	ReasonAboveLimit Reason = "AboveLimit"
	// ReasonNameClash: two of the claim's subscriptions, or of its Secrets, have the same name.
	ReasonNameClash Reason = "NameClash"
	// ReasonLeftBehind: stores or subscriptions are not asked for any more, and hold something: they stay until that is
	// confirmed.
	ReasonLeftBehind Reason = "LeftBehind"
	// ReasonPlacement: the Placement is missing, or cannot be used. Nobody knows then what the claim should be.
	ReasonPlacement Reason = "PlacementInvalid"
)

// A Refusal says why a claim is not made as it is, and what to do. The message is one sentence that names the claim.
type Refusal struct {
	Reason  Reason
	Message string
}

func refuse(c Claim, r Reason, format string, a ...any) *Refusal {
	return &Refusal{Reason: r, Message: c.String() + ": " + fmt.Sprintf(format, a...)}
}
