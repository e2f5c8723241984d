package explain

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/crossplane-contrib/provider-eventstore/internal/placement"
)

// definitions: there is no such kind.
func definitions(d *diagnosis) {
	for _, n := range d.all(RoleDefinition) {
		switch established, offered := n.condition("Established"), n.condition("Offered"); {
		case n.State == Missing || n.State == NotServed:
			d.add(n, fmt.Sprintf("%s %s", n.Ref, Missing), "install the package configuration-eventstore")
		case established.isFalse():
			d.add(n, fmt.Sprintf("%s is not established: %s", n.Ref, established.message), "correct it, or install the package configuration-eventstore again")
		case offered.isFalse():
			d.add(n, fmt.Sprintf("%s offers no claims: %s", n.Ref, offered.message), "correct it, or install the package configuration-eventstore again")
		}
	}
	if r := d.Root; r.State == NotServed && len(d.causes) == 0 {
		d.add(r, fmt.Sprintf("the API server does not serve the kind %s of %s", r.Kind, r.Group), "install the package configuration-eventstore, and the provider")
	}
}

// paused: nobody looks at it.
func paused(d *diagnosis) {
	for _, n := range d.all(RoleClaim, RoleComposite, RoleManaged) {
		if n.Object != nil && n.Object.GetAnnotations()["crossplane.io/paused"] == "true" {
			d.add(n, fmt.Sprintf("%s is paused: nothing is done for it", n.Ref), "kubectl annotate "+n.command()+" crossplane.io/paused-")
		}
	}
}

// compositions: nothing says what the claim becomes.
func compositions(d *diagnosis) {
	for _, n := range d.all(RoleComposition) {
		if n.State != Missing {
			continue
		}
		d.add(n, fmt.Sprintf("%s, which %s has, %s", n.Ref, d.composite(), n.State), "create it, install the package configuration-eventstore, or correct compositionRef")
	}
	for _, n := range d.all(RoleComposite) {
		if c := n.condition("Synced"); c.isFalse() && strings.HasPrefix(c.message, "cannot select Composition") && !d.foundMissing(RoleComposition) {
			d.add(n, fmt.Sprintf("%s has no Composition: %s", n.Ref, c.message), "install the package configuration-eventstore, or correct compositionRef or compositionSelector")
		}
	}
}

func (d *diagnosis) foundMissing(role Role) bool {
	for _, n := range d.all(role) {
		if n.State == Missing {
			return true
		}
	}
	return false
}

// composite names the composite resource of the tree; or its root, if there is none yet.
func (d *diagnosis) composite() Ref {
	for _, n := range d.all(RoleComposite) {
		return n.Ref
	}
	return d.Root.Ref
}

// functionFailed is how Crossplane says that a function could not be run.
// Source: crossplane v2.4.0, internal/xfn/function_runner.go.
var functionFailed = regexp.MustCompile(`cannot run Function "([^"]+)": rpc error: code = (\w+)`)

// functions: what says what the claim becomes does not run.
func functions(d *diagnosis) {
	for _, n := range d.all(RoleFunction) {
		if n.State == Missing {
			d.add(n, fmt.Sprintf("%s, which the Composition calls, is not installed", n.Ref), "install it under this name: the package configuration-eventstore depends on it")
			continue
		}
		d.unhealthyPackage(n, "composes")
	}
	for _, xr := range d.all(RoleComposite) {
		c := xr.condition("Synced")
		m := functionFailed.FindStringSubmatch(c.message)
		if !c.isFalse() || m == nil {
			continue
		}
		n := d.function(m[1])
		if d.blamed(n) {
			continue
		}
		if m[2] == "DeadlineExceeded" {
			d.add(n, fmt.Sprintf("Function %s hangs: it does not answer Crossplane in time", m[1]), "look at the log of its pod, and restart it")
			continue
		}
		d.add(n, fmt.Sprintf("Function %s does not answer Crossplane: %s", m[1], after(c.message, "rpc error: ")), "look at the log of its pod: it may crash")
	}
}

func (d *diagnosis) function(name string) *Node {
	for _, n := range d.all(RoleFunction) {
		if n.Name == name {
			return n
		}
	}
	return nil
}

// unhealthyPackage: a package is installed, and does not run.
func (d *diagnosis) unhealthyPackage(n *Node, does string) {
	if n.State != Found || n.deleted() {
		if n.deleted() {
			d.add(n, fmt.Sprintf("%s is being deleted", n.Ref), "install it again")
		}
		return
	}
	if c := n.condition("Installed"); c.isFalse() {
		d.add(n, fmt.Sprintf("%s is not installed: %s", n.Ref, c.message), "correct spec.package, or what its message says")
		return
	}
	if len(n.Children) == 0 {
		d.add(n, fmt.Sprintf("%s has no active revision", n.Ref), "set spec.desiredState of one of its revisions to Active, or spec.revisionActivationPolicy to Automatic")
		return
	}
	for _, r := range n.Children {
		for _, t := range []string{"RevisionHealthy", "RuntimeHealthy", "Healthy"} {
			if c := r.condition(t); c.isFalse() {
				d.add(n, fmt.Sprintf("%s does not run, so nothing %s: %s is %s: %s", n.Ref, does, r.Ref, c.reason, c.message), "look at the log of its pod, and at its DeploymentRuntimeConfig")
				return
			}
		}
	}
	if c := n.condition("Healthy"); c.isFalse() {
		d.add(n, fmt.Sprintf("%s is not healthy: %s", n.Ref, c.message), "look at the log of its pod")
	}
}

// environmentConfigs: the function does not know what the platform team offers.
func environmentConfigs(d *diagnosis) {
	for _, comp := range d.all(RoleComposition) {
		for _, step := range comp.list("spec", "pipeline") {
			d.placement(comp, step)
		}
		for _, n := range comp.Children {
			if n.Role == RoleEnvironment && n.State == Missing {
				d.add(n, fmt.Sprintf("%s, which says what claims become, %s", n.Ref, n.State), "the platform team has to create it: docs/placement.md says how")
			}
		}
	}
}

// placement checks a step's input, and the EnvironmentConfig that it names, as the function does.
func (d *diagnosis) placement(comp *Node, step map[string]any) {
	names := environments(step)
	if textOf(step, "input", "kind") != "Placement" {
		return
	}
	raw, err := json.Marshal(step["input"])
	if err == nil {
		_, err = placement.ParseInput(raw)
	}
	if err != nil {
		d.add(comp, fmt.Sprintf("%s, step %q: %s", comp.Ref, textOf(step, "step"), oneLine(err.Error())), "correct the step's input")
		return
	}
	for _, n := range comp.Children {
		if n.Role != RoleEnvironment || n.State != Found || len(names) == 0 || n.Name != names[0] {
			continue
		}
		raw, err := json.Marshal(n.Object.Object["data"])
		if err == nil {
			_, err = placement.ParseOffer(n.Name, raw)
		}
		if err != nil {
			d.add(n, oneLine(err.Error()), "the platform team has to correct it: kubectl edit environmentconfig "+n.Name)
		}
	}
}

// refusedByFunction: the claim asks for what there is not.
func refusedByFunction(d *diagnosis) {
	for _, n := range d.all(RoleComposite, RoleClaim) {
		c := n.condition("Accepted")
		switch placement.Reason(c.reason) {
		case placement.ReasonUnknownClass, placement.ReasonUnknownLocation, placement.ReasonNotOffered, placement.ReasonNoLocation,
			placement.ReasonLocationTwice, placement.ReasonAboveLimit, placement.ReasonNameClash:
			if c.isFalse() {
				d.add(n, c.message, "")
			}
		case placement.ReasonLeftBehind: // Said of each that was left behind.
		}
	}
}

// after returns what follows mark in s, or s.
func after(s, mark string) string {
	if _, rest, ok := strings.Cut(s, mark); ok {
		return rest
	}
	return s
}
