package explain

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Groups of our kinds.
const (
	groupPlatform   = "platform.eventstore.crossplane.io"
	groupCluster    = "eventstore.crossplane.io"
	groupNamespaced = "eventstore.m.crossplane.io"
)

// A Kind is one that may be explained.
type Kind struct {
	schema.GroupVersionKind
	Role       Role
	Namespaced bool
	names      []string // In lower case, beside the kind's.
}

// Kinds in the order in which a name without a kind is tried.
var Kinds = []Kind{
	kind(groupPlatform, "EventStoreClaim", RoleClaim, true, "esc"),
	kind(groupPlatform, "AppEventStore", RoleComposite, true, "aes"),
	kind(groupPlatform, "SubscriptionClaim", RoleClaim, true, "subc"),
	kind(groupPlatform, "AppSubscription", RoleComposite, true, "asub"),
	kind(groupNamespaced, "EventStore", RoleManaged, true, "es"),
	kind(groupCluster, "EventStore", RoleManaged, false, "es"),
	kind(groupNamespaced, "Subscription", RoleManaged, true, "sub"),
	kind(groupCluster, "Subscription", RoleManaged, false, "sub"),
	kind(groupPlatform, "XEventStore", RoleComposite, false, "xes"),
	kind(groupPlatform, "XSubscription", RoleComposite, false, "xsub"),
}

func kind(group, name string, role Role, namespaced bool, short ...string) Kind {
	lower := strings.ToLower(name)
	return Kind{
		GroupVersionKind: schema.GroupVersionKind{Group: group, Version: "v1alpha1", Kind: name},
		Role:             role, Namespaced: namespaced, names: append(short, lower, lower+"s"),
	}
}

// KindsOf returns the kinds that kubectl's words may mean: "eventstore", "es", "eventstores.eventstore.m.crossplane.io".
func KindsOf(word string) []Kind {
	name, group, _ := strings.Cut(strings.ToLower(word), ".")
	group = strings.TrimPrefix(group, "v1alpha1.")
	return slices.DeleteFunc(slices.Clone(Kinds), func(k Kind) bool {
		return !slices.Contains(k.names, name) || group != "" && group != k.Group
	})
}

// roleOf says what a composed resource is.
func roleOf(gvk schema.GroupVersionKind) Role {
	switch gvk.Group {
	case groupCluster, groupNamespaced:
		return RoleManaged
	case groupPlatform:
		return RoleComposite
	}
	return RoleComposed
}

// Crossplane's own kinds.
var (
	kindDefinition  = schema.GroupVersionKind{Group: "apiextensions.crossplane.io", Version: "v2", Kind: "CompositeResourceDefinition"}
	kindComposition = schema.GroupVersionKind{Group: "apiextensions.crossplane.io", Version: "v1", Kind: "Composition"}
	kindEnvironment = schema.GroupVersionKind{Group: "apiextensions.crossplane.io", Version: "v1beta1", Kind: "EnvironmentConfig"}
	kindManagedKind = schema.GroupVersionKind{Group: "apiextensions.crossplane.io", Version: "v1alpha1", Kind: "ManagedResourceDefinition"}
	kindFunction    = schema.GroupVersionKind{Group: "pkg.crossplane.io", Version: "v1", Kind: "Function"}
	kindProvider    = schema.GroupVersionKind{Group: "pkg.crossplane.io", Version: "v1", Kind: "Provider"}
	kindSecret      = schema.GroupVersionKind{Version: "v1", Kind: "Secret"}
)
