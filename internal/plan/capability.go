package plan

import (
	"fmt"
	"slices"
)

// Capabilities is what one backend can do: the one table that validation, documentation and tests read.
type Capabilities struct {
	Backend string // "kafka", "pulsar" or "redis"
	Fields  map[Field]Support

	// SharedGroups means that the backend cannot keep two subscriptions of one store apart: a user who may read one
	// may also move another.
	SharedGroups bool

	// ReplayNeedsIdle means that the broker moves no position while consumers read, whatever a person confirms.
	ReplayNeedsIdle bool
}

// Support says how well a backend has a field.
type Support struct {
	Supported bool
	Note      string // What to know; if it is not supported, what to do instead.
}

// refuseUnsupported refuses every field that the spec sets and the backend does not have.
func refuseUnsupported(c Capabilities, set []Field) []Refusal {
	fields := slices.Clone(set)
	slices.Sort(fields)
	var refusals []Refusal
	for _, f := range slices.Compact(fields) {
		s := c.Fields[f]
		if s.Supported {
			continue
		}
		m := fmt.Sprintf("%s is not supported on %s", f, c.Backend)
		if s.Note != "" {
			m += ": " + s.Note
		} else {
			m += ": remove it from the spec, or choose another backend"
		}
		refusals = append(refusals, Refusal{Reason: ReasonUnsupported, Field: f, Message: m})
	}
	return refusals
}
