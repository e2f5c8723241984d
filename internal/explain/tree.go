// Package explain finds out why a claim is not as it should be: [Gather] reads everything that has a part in it, and
// [Diagnose] says what is wrong, the first cause first.
//
//	tree, err := explain.Gather(ctx, client, target)
//	err = explain.Render(os.Stdout, tree, explain.Diagnose(tree))
//
// Gather alone does I/O. It reads nothing of a Secret but its metadata.
package explain

import (
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// A Role is what an object has to do with a claim.
type Role string

// The roles, from what an application team writes down to the broker, and then of what makes the one from the other.
const (
	RoleClaim     Role = "claim"
	RoleComposite Role = "composite resource"
	RoleManaged   Role = "managed resource"
	RoleComposed  Role = "composed resource" // Of a kind that is not ours.
	RoleConfig    Role = "provider config"
	RoleSecret    Role = "secret"
	RoleBroker    Role = "broker"

	RoleDefinition  Role = "definition" // Of a composite resource.
	RoleComposition Role = "composition"
	RoleEnvironment Role = "environment"
	RoleFunction    Role = "function"
	RoleKind        Role = "kind" // Of a managed resource.
	RoleProvider    Role = "provider"
	RoleRevision    Role = "revision" // Of a package.
)

// A State says whether an object could be read.
type State string

// The states. What could not be read is no error: it may be the cause, or somebody else's to look at.
const (
	Found      State = ""
	Missing    State = "does not exist"
	NotServed  State = "its kind is not served"
	Forbidden  State = "you may not read it"
	Unreadable State = "cannot be read"
)

// A Ref names an object.
type Ref struct {
	schema.GroupVersionKind
	Namespace, Name string
}

// String returns what people say: "ProviderConfig fast", "EventStoreClaim shop/orders".
func (r Ref) String() string {
	if r.Namespace == "" {
		return r.Kind + " " + r.Name
	}
	return r.Kind + " " + r.Namespace + "/" + r.Name
}

// command returns how kubectl names the object: "eventstoreclaim.platform.eventstore.crossplane.io orders -n shop".
func (r Ref) command() string {
	c := strings.ToLower(r.Kind)
	if r.Group != "" {
		c += "." + r.Group
	}
	c += " " + r.Name
	if r.Namespace != "" {
		c += " -n " + r.Namespace
	}
	return c
}

// A Node is an object that has a part in a claim, and what belongs to it.
type Node struct {
	Ref
	Role     Role
	State    State
	Detail   string // Of what could not be read: why.
	Object   *unstructured.Unstructured
	Children []*Node

	// Config is the ProviderConfig that a managed resource uses. It is a child of the first one that does.
	Config *Node
}

// A Tree is all that has a part in a claim.
type Tree struct {
	Root   *Node   // What was asked for.
	Beside []*Node // What makes of it what it becomes.
	At     time.Time
}

// all returns the nodes of some roles, parents first.
func (t Tree) all(roles ...Role) (found []*Node) {
	var walk func(n *Node)
	walk = func(n *Node) {
		for _, r := range roles {
			if n.Role == r {
				found = append(found, n)
			}
		}
		for _, c := range n.Children {
			walk(c)
		}
	}
	if t.Root != nil {
		walk(t.Root)
	}
	for _, n := range t.Beside {
		walk(n)
	}
	return found
}

// A condition as it is in status.
type condition struct{ status, reason, message string }

func (c condition) isFalse() bool { return c.status == "False" }

// condition returns one of the object's conditions; the zero value if it has none of that type.
func (n *Node) condition(t string) (found condition) {
	if n.Object == nil {
		return found
	}
	all, _, _ := unstructured.NestedSlice(n.Object.Object, "status", "conditions")
	for _, one := range all {
		m, ok := one.(map[string]any)
		if !ok || m["type"] != t {
			continue
		}
		found.status, _ = m["status"].(string)
		found.reason, _ = m["reason"].(string)
		found.message, _ = m["message"].(string)
	}
	found.message = oneLine(found.message)
	return found
}

func (n *Node) deleted() bool { return n.Object != nil && n.Object.GetDeletionTimestamp() != nil }

// text returns a string of the object; empty if it has none there.
func (n *Node) text(path ...string) string {
	if n.Object == nil {
		return ""
	}
	s, _, _ := unstructured.NestedString(n.Object.Object, path...)
	return s
}

// list returns a list of objects within the object.
func (n *Node) list(path ...string) (all []map[string]any) {
	if n.Object == nil {
		return nil
	}
	items, _, _ := unstructured.NestedSlice(n.Object.Object, path...)
	for _, i := range items {
		if m, ok := i.(map[string]any); ok {
			all = append(all, m)
		}
	}
	return all
}

func textOf(m map[string]any, path ...string) string {
	s, _, _ := unstructured.NestedString(m, path...)
	return s
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
