package explain

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// widest is how long the last column of the tree may be.
const widest = 110

// Render writes the causes, and then the tree: a line for each object.
func Render(w io.Writer, t Tree, causes []Cause) error {
	var b strings.Builder
	if len(causes) == 0 {
		fmt.Fprintf(&b, "%s is ready.\n", t.Root.Ref)
	}
	for i, c := range causes {
		label := "Cause: "
		if i > 0 {
			label = "Also:  "
		}
		fmt.Fprintf(&b, "%s%s\n", label, c.What)
		if c.Do != "" {
			fmt.Fprintf(&b, "Do:    %s\n", c.Do)
		}
	}
	d := &diagnosis{Tree: t, causes: causes}
	rows := d.rows(nil, t.Root, "", "")
	for _, n := range t.Beside {
		rows = append(rows, d.rows(nil, n, "", "")...)
	}
	name, state := 0, 0
	for _, r := range rows {
		name, state = max(name, utf8.RuneCountInString(r.name)), max(state, len(r.state))
	}
	b.WriteString("\n")
	for _, r := range rows {
		line := r.name + strings.Repeat(" ", name-utf8.RuneCountInString(r.name)) + "  " + r.state
		if r.message != "" {
			line += strings.Repeat(" ", state-len(r.state)) + "  " + r.message
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// A row is a line of the tree.
type row struct{ name, state, message string }

// rows appends the lines of a node and what is below it.
func (d *diagnosis) rows(all []row, n *Node, first, rest string) []row {
	all = append(all, row{name: first + d.mark(n) + " " + n.Ref.String(), state: states(n), message: short(says(n))})
	for i, c := range n.Children {
		if i == len(n.Children)-1 {
			all = d.rows(all, c, rest+"└─", rest+"  ")
		} else {
			all = d.rows(all, c, rest+"├─", rest+"│ ")
		}
	}
	return all
}

// shown are the conditions of each role, those that say most first.
var shown = map[Role][]string{
	RoleClaim: {"Ready", "Synced", "Accepted"}, RoleComposite: {"Ready", "Synced", "Accepted"}, RoleManaged: {"Ready", "Synced", "Accepted"},
	RoleComposed: {"Ready", "Synced"}, RoleConfig: {"Healthy"}, RoleDefinition: {"Established", "Offered"}, RoleKind: {"Established"},
	RoleFunction: {"Installed", "Healthy"}, RoleProvider: {"Installed", "Healthy"}, RoleRevision: {"RevisionHealthy", "RuntimeHealthy"},
}

// mark says at a glance how an object is: well, not well, on its way, or unknown.
func (d *diagnosis) mark(n *Node) string {
	switch {
	case d.blamed(n) || n.State == Missing || n.State == NotServed:
		return "✗"
	case n.State != Found:
		return "?"
	}
	of := n
	if n.Role == RoleBroker {
		of = &Node{Role: RoleConfig, Object: n.Object}
	}
	mark := "✓"
	for _, t := range shown[of.Role] {
		switch c := of.condition(t); {
		case c.isFalse():
			return "✗"
		case c.status != "True" && expected(of.Role, t):
			mark = "…"
		}
	}
	if n.deleted() {
		mark = "…"
	}
	return mark
}

// expected reports whether an object without the condition is not there yet: other conditions not every object has.
func expected(r Role, condition string) bool {
	return condition != "Accepted" && condition != "Offered" && r != RoleComposed
}

// states are the conditions in a few words.
func states(n *Node) string {
	var all []string
	for _, t := range shown[n.Role] {
		if c := n.condition(t); c.status != "" {
			all = append(all, t+"="+c.status)
		}
	}
	if n.Role == RoleKind {
		all = append([]string{n.text("spec", "state")}, all...)
	}
	return strings.Join(all, " ")
}

// says is the most important sentence about an object.
func says(n *Node) string {
	if n.State != Found {
		return string(n.State)
	}
	for _, t := range []string{"Accepted", "Synced", "Healthy", "RevisionHealthy", "RuntimeHealthy", "Installed", "Established", "Ready"} {
		if n.Role == RoleBroker {
			break
		}
		if c := n.condition(t); c.isFalse() && c.message != "" {
			return c.message
		}
	}
	if n.deleted() {
		return "is being deleted"
	}
	if n.Role == RoleManaged {
		return store(n)
	}
	return ""
}

// store says where a managed resource's store is.
func store(n *Node) string {
	backend, endpoint := n.text("status", "atProvider", "backend"), n.text("status", "atProvider", "endpoint")
	if endpoint == "" {
		return backend
	}
	return backend + " at " + endpoint
}

// short cuts what is too long for a line.
func short(s string) string {
	r := []rune(s)
	if len(r) <= widest {
		return s
	}
	return string(r[:widest-1]) + "…"
}
