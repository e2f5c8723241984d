package explain

import (
	"context"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/crossplane-contrib/provider-eventstore/internal/placement"
)

// Orphans returns a tree for each claim, and for each namespaced composite resource, that does not exist any more and whose
// stores or subscriptions do.
func Orphans(ctx context.Context, r client.Reader) ([]Tree, error) {
	g := &gatherer{ctx: ctx, r: r, seen: map[Ref]*Node{}}
	gone := map[Ref]*Node{}
	var trees []Tree
	for _, o := range g.labelled() {
		root, ok := gone[o.owner]
		if !ok {
			root = g.node(RoleClaim, o.owner)
			gone[o.owner] = root
			if root.State == Missing || root.State == NotServed {
				root.State = Missing
				trees = append(trees, Tree{Root: root, At: time.Now()})
			}
		}
		root.Children = append(root.Children, o.node)
	}
	for i := range trees {
		g.descend(trees[i].Root)
		g.packages(&trees[i])
	}
	slices.SortFunc(trees, func(a, b Tree) int { return strings.Compare(a.Root.String(), b.Root.String()) })
	return trees, g.err
}

// owned is a managed resource, and whom it was made for.
type owned struct {
	node  *Node
	owner Ref
}

// labelled lists the managed resources that were made for somebody.
func (g *gatherer) labelled() (all []owned) {
	for _, group := range []string{groupCluster, groupNamespaced} {
		for _, name := range []string{"EventStore", "Subscription"} {
			items, _ := g.items(schema.GroupVersionKind{Group: group, Version: "v1alpha1", Kind: name})
			for _, u := range items {
				controller := metav1.GetControllerOf(&u)
				if controller == nil || !strings.HasPrefix(controller.APIVersion, groupPlatform+"/") {
					continue
				}
				owner := Ref{GroupVersionKind: schema.FromAPIVersionAndKind(controller.APIVersion, controller.Kind), Namespace: u.GetNamespace(), Name: controller.Name}
				if claim := u.GetLabels()[placement.LabelClaimName]; claim != "" {
					owner.Kind, owner.Namespace, owner.Name = placement.ClaimKinds[controller.Kind], u.GetLabels()[placement.LabelClaimNamespace], claim
				}
				all = append(all, owned{node: g.known(RoleManaged, u), owner: owner})
			}
		}
	}
	return all
}
