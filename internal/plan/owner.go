package plan

import "fmt"

// An Owner is the resource that a store or subscription belongs to, as its marker on the broker says.
type Owner struct {
	ControlPlane string // Which cluster: see package owner.
	Group        string
	Kind         string
	Namespace    string // Empty for cluster-scoped kinds.
	Name         string
	UID          string
}

func (o Owner) String() string {
	name := o.Name
	if o.Namespace != "" {
		name = o.Namespace + "/" + o.Name
	}
	return fmt.Sprintf("%s.%s %s of control plane %.8s", o.Kind, o.Group, name, o.ControlPlane)
}

// sameResource reports whether both name one resource, which may have been created anew since.
func (o Owner) sameResource(other Owner) bool {
	o.UID, other.UID = "", ""
	return o == other
}

// claim decides whether the resource may have what is marked as observed's. takeovers is how often the thing has changed
// hands: a confirmation that stays in place never takes it over a second time, so two resources cannot snatch it from each
// other for ever.
func claim(thing string, desired, observed Owner, takeovers int, c Context) ([]Change, []Refusal) {
	token := Token(c.UID, FieldOwner, fmt.Sprintf("%s#%d", observed, takeovers))
	switch {
	case observed == desired:
		return nil, nil
	case observed == Owner{}:
		if Confirmed(c.Confirm, token) {
			return []Change{{Field: FieldOwner, To: desired.String()}}, nil
		}
		return nil, []Refusal{{
			Reason: ReasonUnowned, Field: FieldOwner, Token: token, Blocks: true,
			Message: fmt.Sprintf("%s is on the broker already, and nothing says whose it is: confirm with %s to adopt it, or choose another external name", thing, token),
		}}
	case observed.sameResource(desired), c.OwnerGone && observed.ControlPlane == desired.ControlPlane, Confirmed(c.Confirm, token):
		return []Change{{Field: FieldOwner, From: observed.describe(desired), To: desired.describe(observed)}}, nil
	default:
		return nil, []Refusal{{
			Reason: ReasonConflict, Field: FieldOwner, Token: token, Blocks: true,
			Message: fmt.Sprintf("%s belongs to %s: choose another external name, or confirm with %s to take it over", thing, observed, token),
		}}
	}
}

// describe names an owner; by its UID too where that is all that tells it from the other.
func (o Owner) describe(other Owner) string {
	if o.sameResource(other) {
		return fmt.Sprintf("%s (UID %s)", o, o.UID)
	}
	return o.String()
}
