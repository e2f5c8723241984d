package explain

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
)

// tokenIn finds what confirms the change that a message refuses.
var tokenIn = regexp.MustCompile(`confirm (?:\w+ \w+ )?with ([0-9a-f]{8})\b`)

func tokenOf(message string) string {
	if m := tokenIn.FindStringSubmatch(message); m != nil {
		return m[1]
	}
	return ""
}

func annotate(r Ref, token string) string {
	return fmt.Sprintf("kubectl annotate %s --overwrite %s=%s", r.command(), v1alpha1.AnnotationConfirm, token)
}

// refusedByProvider: a store or subscription is not made, or not made so. A deletion has its own rule.
func refusedByProvider(d *diagnosis) {
	for _, n := range d.all(RoleManaged) {
		c := n.condition("Accepted")
		if !c.isFalse() || n.deleted() || d.blamed(n.Config) {
			continue
		}
		do := ""
		if token := tokenOf(c.message); token != "" {
			do = "to confirm: " + annotate(d.author(n), token)
		}
		d.add(n, fmt.Sprintf("%s is refused (%s): %s", n.Ref, c.reason, c.message), do)
	}
}

// author is where a confirmation goes: to the claim, from where it is handed on, as long as that composes.
func (d *diagnosis) author(mg *Node) Ref {
	if r := d.Root; r.State == Found && r.Role != RoleManaged && !r.deleted() {
		return r.Ref
	}
	return mg.Ref
}

// deletions: something does not go, or goes on without its claim.
func deletions(d *diagnosis) {
	gone := d.Root.State == Missing
	storeStays := slices.ContainsFunc(d.all(RoleManaged), func(n *Node) bool {
		return n.Kind == "EventStore" && n.deleted() && n.condition("Accepted").isFalse()
	})
	for _, n := range d.all(RoleManaged) {
		c := n.condition("Accepted")
		switch {
		case n.deleted() && c.isFalse():
			who := fmt.Sprintf("%s is being deleted, and refuses", n.Ref)
			if gone {
				who = fmt.Sprintf("%s does not exist any more, and its %s refuses to be deleted", d.Root.Ref, n.Ref)
			}
			do := ""
			if token := tokenOf(c.message); token != "" {
				do = fmt.Sprintf("to delete it, confirm on the %s itself (a claim hands nothing on once it is deleted): %s", n.Kind, annotate(n.Ref, token))
				if storeStays && n.Kind == "Subscription" {
					do = "nothing, if its EventStore is confirmed, with which it goes; or " + do
				}
			}
			d.add(n, fmt.Sprintf("%s (%s): %s", who, c.reason, c.message), do)
		case gone && !n.deleted():
			d.add(n, fmt.Sprintf("%s does not exist any more, and its %s was not deleted with it", d.Root.Ref, n.Ref), "create the claim again to use it, or: kubectl delete "+n.command())
		case gone && !d.blamed(n.Config):
			d.add(n, fmt.Sprintf("%s does not exist any more, and its %s is being deleted: %s", d.Root.Ref, n.Ref, n.condition("Synced").message), "")
		}
	}
}

// leftBehind: what the claim does not ask for any more stays.
func leftBehind(d *diagnosis) {
	for _, n := range d.all(RoleComposite) {
		if n.deleted() {
			continue
		}
		on := n.Ref
		if d.Root.Role == RoleClaim {
			on = d.Root.Ref
		}
		for _, l := range n.list("status", "leftBehind") {
			where := ""
			if cloud := textOf(l, "cloud"); cloud != "" {
				where = " in " + cloud + "/" + textOf(l, "region")
			}
			d.add(n, fmt.Sprintf("%s does not ask for %s %s%s any more, and it stays with what it holds", on, textOf(l, "kind"), textOf(l, "name"), where),
				fmt.Sprintf("put class and locations back, or delete it: %s", annotate(on, textOf(l, "confirm"))))
		}
	}
}

// failing: the last reconcile of a store or subscription failed, or it is not ready.
func failing(d *diagnosis) {
	for _, t := range []string{"Synced", "Ready"} {
		for _, n := range d.all(RoleManaged, RoleComposed) {
			if c := n.condition(t); c.isFalse() && c.message != "" {
				d.add(n, fmt.Sprintf("%s is not %s: %s", n.Ref, word(t), c.message), "")
			}
		}
	}
}

func word(condition string) string {
	return map[string]string{"Synced": "synced", "Ready": "ready"}[condition]
}

// composing: Crossplane cannot make resources of it.
func composing(d *diagnosis) {
	for _, n := range d.all(RoleComposite, RoleClaim) {
		if c := n.condition("Synced"); c.isFalse() {
			d.add(n, fmt.Sprintf("Crossplane cannot make of %s what it is to be: %s", n.Ref, c.message), "")
		}
	}
}

// circuit: Crossplane does not look at it for now.
func circuit(d *diagnosis) {
	for _, n := range d.all(RoleComposite) {
		if c := n.condition("Responsive"); c.isFalse() {
			d.add(n, fmt.Sprintf("Crossplane pauses %s, because it changes too often: %s", n.Ref, c.message), "find out who changes it or its resources: kubectl get -w --output-watch-events "+n.command())
		}
	}
}

// absent: something that is referred to is not there, and nothing says why.
func absent(d *diagnosis) {
	for _, n := range d.all(RoleComposite, RoleManaged, RoleComposed) {
		if n.State == Missing && n != d.Root && n.GroupVersionKind != (schema.GroupVersionKind{}) {
			d.add(n, fmt.Sprintf("%s %s", n.Ref, n.State), "Crossplane makes it anew: look at the log of its pod if that takes longer than a minute")
		}
	}
}

// patience is how long Crossplane may take to compose something new before somebody is suspected.
const patience = 30 * time.Second

// slow reports a composite resource that Crossplane has not composed yet: it says nothing while it waits for a function, which
// is for minutes.
func (d *diagnosis) slow() bool {
	for _, n := range d.all(RoleComposite) {
		if n.State != Found || n.condition("Synced").status != "" || d.At.Sub(n.Object.GetCreationTimestamp().Time) < patience {
			continue
		}
		var names []string
		culprit := n
		for _, f := range d.all(RoleFunction) {
			names, culprit = append(names, f.Ref.String()), f
		}
		if len(names) == 0 {
			continue
		}
		d.add(culprit, fmt.Sprintf("%s has not been composed for %s: %s hangs, or Crossplane does not run", n.Ref, patience, strings.Join(names, " or ")),
			"look at the logs of their pods, and restart them; after some minutes Crossplane says itself which function does not answer")
		return true
	}
	return false
}

// waiting: it is not ready yet, and nobody says why.
func waiting(d *diagnosis) {
	r := d.Root
	if r.State == Found && !r.deleted() && r.condition("Ready").status == "True" {
		return
	}
	if r.deleted() {
		for _, n := range d.all(RoleManaged) {
			if n.State == Found {
				d.add(n, fmt.Sprintf("%s is being deleted, and waits for %s", r.Ref, n.Ref), "wait; if that takes longer than a minute, look at the log of the provider's pod")
				return
			}
		}
		d.add(r, r.Ref.String()+" is being deleted", "wait; if that takes longer than a minute, look at the finalizers, and at the log of Crossplane's pod")
		return
	}
	if d.slow() {
		return
	}
	for _, n := range d.all(RoleManaged, RoleComposite, RoleClaim) {
		if n.State == Found && n.condition("Synced").status == "" {
			who := map[Role]string{RoleManaged: "the provider"}[n.Role]
			if who == "" {
				who = "Crossplane"
			}
			d.add(n, fmt.Sprintf("%s is new: %s has not finished to look at it", n.Ref, who), "wait; if that takes longer than two minutes, look at the log of the pod of "+who)
			return
		}
	}
	d.add(r, r.Ref.String()+" is not ready yet, and nothing is wrong so far", "wait")
}
