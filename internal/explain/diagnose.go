package explain

import (
	"slices"
)

// A Cause is something that is wrong, and that nothing else in the tree explains.
type Cause struct {
	What string // One sentence that names what is wrong.
	Do   string // What to do about it; empty if What says it.

	node *Node
}

// Diagnose says why the root of a tree is not as it should be, the first cause first; nothing if it is. It does no I/O.
//
// What is further down explains what depends on it: a broker that does not answer, the store that is not ready. What
// cannot be told because of another cause, is left out.
func Diagnose(t Tree) []Cause {
	d := &diagnosis{Tree: t}
	for _, rule := range []func(*diagnosis){
		definitions, paused, compositions, functions, environmentConfigs, // What makes a claim's resources,
		refusedByFunction,         // what does not become resources,
		kinds, providers, configs, // what makes a resource's store,
		refusedByProvider, deletions, leftBehind, // what is not made, or not deleted.
	} {
		rule(d)
	}
	// What nothing above explains.
	for _, rule := range []func(*diagnosis){failing, composing, circuit, absent, waiting} {
		if len(d.causes) == 0 {
			rule(d)
		}
	}
	return d.causes
}

// A diagnosis is under way.
type diagnosis struct {
	Tree
	causes []Cause
}

func (d *diagnosis) add(n *Node, what, do string) {
	if slices.ContainsFunc(d.causes, func(c Cause) bool { return c.What == what }) {
		return
	}
	d.causes = append(d.causes, Cause{What: what, Do: do, node: n})
}

// blamed reports whether a cause lies in a node.
func (d *diagnosis) blamed(n *Node) bool {
	return n != nil && slices.ContainsFunc(d.causes, func(c Cause) bool { return c.node == n })
}
