package explain

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	kerrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// A Target is what to explain: the first of the kinds that has an object of that name.
type Target struct {
	Kinds           []Kind
	Namespace, Name string
}

// ErrNotFound means that there is no such object, and nothing that it has left behind.
var ErrNotFound = errors.New("not found")

// Gather reads everything that has a part in a target. Its error says that the API server does not answer, or that there
// is nothing to explain.
func Gather(ctx context.Context, r client.Reader, target Target) (Tree, error) {
	g := &gatherer{ctx: ctx, r: r, seen: map[Ref]*Node{}}
	t := Tree{At: time.Now()}
	if err := g.find(&t, target); err != nil {
		return t, err
	}
	g.descend(t.Root)
	g.beside(&t)
	return t, g.err
}

// A gatherer reads objects, each once.
type gatherer struct {
	ctx  context.Context //nolint:containedctx // It lives for one call of Gather.
	r    client.Reader
	seen map[Ref]*Node
	err  error // The first that is no answer of the API server.
}

// find reads the root.
func (g *gatherer) find(t *Tree, target Target) error {
	var tried []*Node
	for _, k := range target.Kinds {
		ref := Ref{GroupVersionKind: k.GroupVersionKind, Name: target.Name}
		if k.Namespaced {
			ref.Namespace = target.Namespace
		}
		n := g.node(k.Role, ref)
		if g.err != nil {
			return g.err
		}
		if n.State == Found {
			t.Root = n
			return nil
		}
		tried = append(tried, n)
	}
	for _, n := range tried {
		if n.State == Missing {
			if n.Children = g.leftovers(n.Ref); len(n.Children) > 0 {
				t.Root = n
				return nil
			}
		}
	}
	return g.unfound(t, target, tried)
}

// unfound says why none of the kinds has such an object.
func (g *gatherer) unfound(t *Tree, target Target, tried []*Node) error {
	kinds := make([]string, len(tried))
	for i, n := range tried {
		kinds[i] = n.Kind
		if n.State == Forbidden || n.State == Unreadable {
			return fmt.Errorf("cannot read %s: %s", n.Ref, n.Detail)
		}
	}
	if len(tried) > 0 && tried[0].State == NotServed { // It is what was most likely meant.
		t.Root = tried[0]
		return nil
	}
	return fmt.Errorf("cannot explain %q in namespace %q: %w, of none of the kinds %s", target.Name, target.Namespace, ErrNotFound, strings.Join(slices.Compact(kinds), ", "))
}

// node reads an object. Of Secrets nothing but metadata is read.
func (g *gatherer) node(role Role, ref Ref) *Node {
	if n, ok := g.seen[ref]; ok {
		return n
	}
	n := &Node{Role: role, Ref: ref}
	g.seen[ref] = n
	u, err := g.get(ref)
	n.State, n.Detail = g.state(err)
	if n.State == Found {
		n.Object = u
	}
	return n
}

func (g *gatherer) get(ref Ref) (*unstructured.Unstructured, error) {
	key := client.ObjectKey{Namespace: ref.Namespace, Name: ref.Name}
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(ref.GroupVersionKind)
	if ref.GroupVersionKind != kindSecret {
		return u, g.r.Get(g.ctx, key, u)
	}
	m := &metav1.PartialObjectMetadata{}
	m.SetGroupVersionKind(ref.GroupVersionKind)
	if err := g.r.Get(g.ctx, key, m); err != nil {
		return nil, err
	}
	o, err := runtime.DefaultUnstructuredConverter.ToUnstructured(m)
	return &unstructured.Unstructured{Object: o}, err
}

// items lists the objects of a kind; none if they cannot be read, for which the returned state is the reason.
func (g *gatherer) items(gvk schema.GroupVersionKind, o ...client.ListOption) ([]unstructured.Unstructured, State) {
	l := &unstructured.UnstructuredList{}
	l.SetGroupVersionKind(gvk.GroupVersion().WithKind(gvk.Kind + "List"))
	state, _ := g.state(g.r.List(g.ctx, l, o...))
	return l.Items, state
}

// state says what an error means for who asked.
func (g *gatherer) state(err error) (State, string) {
	var status kerrors.APIStatus
	switch {
	case err == nil:
		return Found, ""
	case apimeta.IsNoMatchError(err) || runtime.IsNotRegisteredError(err):
		return NotServed, ""
	case kerrors.IsNotFound(err):
		if errors.As(err, &status) && status.Status().Details != nil && status.Status().Details.Name == "" {
			return NotServed, "" // The API server's answer for a path that it does not know.
		}
		return Missing, ""
	case kerrors.IsForbidden(err) || kerrors.IsUnauthorized(err):
		return Forbidden, oneLine(err.Error())
	case errors.As(err, &status):
		return Unreadable, oneLine(err.Error())
	}
	if g.err == nil {
		g.err = fmt.Errorf("cannot ask the API server: %w", err)
	}
	return Unreadable, oneLine(err.Error())
}

// known makes a node of what was listed.
func (g *gatherer) known(role Role, u unstructured.Unstructured) *Node {
	ref := Ref{GroupVersionKind: u.GroupVersionKind(), Namespace: u.GetNamespace(), Name: u.GetName()}
	if n, ok := g.seen[ref]; ok {
		return n
	}
	n := &Node{Role: role, Ref: ref, Object: &u}
	g.seen[ref] = n
	return n
}

// descend reads what belongs to an object: from the claim to the ProviderConfig.
func (g *gatherer) descend(n *Node) {
	switch n.Role {
	case RoleClaim:
		if name := n.text("spec", "resourceRef", "name"); name != "" {
			ref := Ref{GroupVersionKind: schema.FromAPIVersionAndKind(n.text("spec", "resourceRef", "apiVersion"), n.text("spec", "resourceRef", "kind")), Name: name}
			n.Children = append(n.Children, g.node(RoleComposite, ref))
		}
	case RoleComposite:
		n.Children = append(n.Children, g.composed(n)...)
	case RoleManaged:
		if n.State == Found {
			g.config(n)
		}
	}
	for _, c := range n.Children {
		if c.Role != n.Role {
			g.descend(c)
		}
	}
}

// composed reads what a composite resource refers to.
func (g *gatherer) composed(xr *Node) (all []*Node) {
	refs := xr.list("spec", "resourceRefs") // Of cluster-scoped ones that may have claims.
	if len(refs) == 0 {
		refs = xr.list("spec", "crossplane", "resourceRefs")
	}
	for _, r := range refs {
		if textOf(r, "name") == "" {
			continue
		}
		ref := Ref{GroupVersionKind: schema.FromAPIVersionAndKind(textOf(r, "apiVersion"), textOf(r, "kind")), Namespace: textOf(r, "namespace"), Name: textOf(r, "name")}
		if ref.Namespace == "" {
			ref.Namespace = xr.Namespace
		}
		if n := g.node(roleOf(ref.GroupVersionKind), ref); n.State != Missing || !xr.deleted() {
			all = append(all, n)
		}
	}
	slices.SortStableFunc(all, func(a, b *Node) int { return strings.Compare(a.Kind, b.Kind) }) // Stores go before subscriptions.
	return all
}

// leftovers are the stores and subscriptions of a claim, or of a namespaced composite resource, that does not exist.
func (g *gatherer) leftovers(gone Ref) (all []*Node) {
	for _, o := range g.labelled() {
		if o.owner == gone {
			all = append(all, o.node)
		}
	}
	return all
}
