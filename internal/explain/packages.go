package explain

import (
	"cmp"
	"path"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	placementv1alpha1 "github.com/crossplane-contrib/provider-eventstore/apis/placement/v1alpha1"
)

// providerName is how the package of our provider is called in any registry.
const providerName = "provider-eventstore"

// labelPackage names the package of a revision.
const labelPackage = "pkg.crossplane.io/package"

// beside reads what makes of a claim what it becomes.
func (g *gatherer) beside(t *Tree) {
	for _, xr := range t.all(RoleClaim, RoleComposite) {
		def := g.definition(xr.Ref)
		if def != nil && !slices.Contains(t.Beside, def) {
			t.Beside = append(t.Beside, def)
		}
		if name := compositionOf(xr, def); name != "" && (xr.Role == RoleComposite || len(xr.Children) == 0) {
			if c := g.composition(name); !slices.Contains(t.Beside, c) {
				t.Beside = append(t.Beside, c)
			}
		}
	}
	g.packages(t)
}

// packages reads the kinds that a tree has, and the provider that serves them.
func (g *gatherer) packages(t *Tree) {
	for _, gk := range kindsOf(*t) {
		if n := g.managedKind(gk); n != nil {
			t.Beside = append(t.Beside, n)
		}
	}
	t.Beside = append(t.Beside, g.providers(*t)...)
}

// definition finds the definition of a kind of claims or composite resources; nil if it cannot be looked for.
func (g *gatherer) definition(of Ref) *Node {
	items, state := g.items(kindDefinition)
	for _, u := range items {
		n := g.known(RoleDefinition, u)
		if n.text("spec", "group") == of.Group && (n.text("spec", "names", "kind") == of.Kind || n.text("spec", "claimNames", "kind") == of.Kind) {
			return n
		}
	}
	name := strings.ToLower(of.Kind) + "s." + of.Group
	if composite := strings.TrimSuffix(of.Kind, "Claim"); composite != of.Kind {
		name = "x" + strings.ToLower(composite) + "s." + of.Group
	}
	if state == Found {
		state = Missing
	}
	return &Node{Role: RoleDefinition, Ref: Ref{GroupVersionKind: kindDefinition, Name: name}, State: state}
}

// compositionOf returns the name of the Composition that a claim or composite resource has, or would get.
func compositionOf(n, definition *Node) string {
	return cmp.Or(
		n.text("spec", "crossplane", "compositionRef", "name"), n.text("spec", "compositionRef", "name"),
		definition.text("spec", "enforcedCompositionRef", "name"), definition.text("spec", "defaultCompositionRef", "name"),
	)
}

// composition reads a Composition with its functions, and the EnvironmentConfigs that it has them read.
func (g *gatherer) composition(name string) *Node {
	ref := Ref{GroupVersionKind: kindComposition, Name: name}
	if n, ok := g.seen[ref]; ok {
		return n
	}
	n := g.node(RoleComposition, ref)
	add := func(c *Node) {
		if !slices.Contains(n.Children, c) {
			n.Children = append(n.Children, c)
		}
	}
	for _, step := range n.list("spec", "pipeline") {
		for _, name := range environments(step) {
			add(g.node(RoleEnvironment, Ref{GroupVersionKind: kindEnvironment, Name: name}))
		}
		if name := textOf(step, "functionRef", "name"); name != "" {
			add(g.pkg(RoleFunction, Ref{GroupVersionKind: kindFunction, Name: name}))
		}
	}
	return n
}

// environments are the names of the EnvironmentConfigs that a step's function reads.
func environments(step map[string]any) (names []string) {
	if textOf(step, "input", "kind") == placementv1alpha1.Kind && textOf(step, "input", "apiVersion") == placementv1alpha1.APIVersion {
		if name := textOf(step, "input", "environmentConfig"); name != "" {
			names = append(names, name)
		}
	}
	required, _, _ := unstructured.NestedSlice(step, "requirements", "requiredResources")
	for _, r := range required {
		if m, ok := r.(map[string]any); ok && textOf(m, "kind") == kindEnvironment.Kind && textOf(m, "name") != "" {
			names = append(names, textOf(m, "name"))
		}
	}
	return names
}

// pkg reads a package and its active revision.
func (g *gatherer) pkg(role Role, ref Ref) *Node {
	n := g.node(role, ref)
	if n.State != Found || len(n.Children) > 0 {
		return n
	}
	items, _ := g.items(schema.GroupVersionKind{Group: ref.Group, Version: ref.Version, Kind: ref.Kind + "Revision"}, client.MatchingLabels{labelPackage: ref.Name})
	for _, u := range items {
		if r := g.known(RoleRevision, u); r.text("spec", "desiredState") == "Active" {
			n.Children = append(n.Children, r)
		}
	}
	return n
}

// kindsOf returns the kinds of managed resources that a tree has, or is to have.
func kindsOf(t Tree) (all []schema.GroupKind) {
	add := func(gk schema.GroupKind) {
		if gk.Kind != "" && !slices.Contains(all, gk) {
			all = append(all, gk)
		}
	}
	for _, n := range t.all(RoleManaged, RoleComposed) {
		if n.Role == RoleManaged || n.State == NotServed {
			add(n.GroupVersionKind.GroupKind())
		}
	}
	for _, n := range t.all(RoleComposite) {
		add(unserved(n.condition("Synced").message))
	}
	return all
}

var noMatch = regexp.MustCompile(`no matches for kind "([^"]+)" in version "([^"/]+)/[^"]+"`)

// unserved returns the kind of which an error says that it is not served.
func unserved(message string) schema.GroupKind {
	if m := noMatch.FindStringSubmatch(message); m != nil {
		return schema.GroupKind{Group: m[2], Kind: m[1]}
	}
	return schema.GroupKind{}
}

// managedKind finds the definition of a kind of managed resources; nil if there is none.
func (g *gatherer) managedKind(gk schema.GroupKind) *Node {
	items, _ := g.items(kindManagedKind)
	for _, u := range items {
		n := g.known(RoleKind, u)
		if n.text("spec", "group") == gk.Group && n.text("spec", "names", "kind") == gk.Kind {
			return n
		}
	}
	return nil
}

// providers finds the Providers that the tree's kinds belong to; or else, that of our package.
func (g *gatherer) providers(t Tree) (all []*Node) {
	owners := map[string]bool{}
	for _, k := range t.Beside {
		if k.Role != RoleKind {
			continue
		}
		for _, o := range k.Object.GetOwnerReferences() {
			if o.Kind == kindProvider.Kind {
				owners[o.Name] = true
			}
		}
	}
	items, state := g.items(kindProvider)
	for _, u := range items {
		n := g.known(RoleProvider, u)
		if owners[n.Name] || len(owners) == 0 && packageName(n.text("spec", "package")) == providerName {
			all = append(all, g.pkg(RoleProvider, n.Ref))
		}
	}
	if len(all) == 0 {
		if state == Found {
			state = Missing
		}
		all = append(all, &Node{Role: RoleProvider, Ref: Ref{GroupVersionKind: kindProvider, Name: providerName}, State: state})
	}
	return all
}

// packageName is the last part of a package's source, without tag and digest.
func packageName(source string) string {
	name, _, _ := strings.Cut(path.Base(source), "@")
	name, _, _ = strings.Cut(name, ":")
	return name
}
