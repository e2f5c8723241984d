package explain

import (
	"fmt"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
)

// kinds: what is composed has no kind.
func kinds(d *diagnosis) {
	known := map[schema.GroupKind]*Node{}
	for _, n := range d.all(RoleKind) {
		gk := schema.GroupKind{Group: n.text("spec", "group"), Kind: n.text("spec", "names", "kind")}
		known[gk] = n
		if c := n.condition("Established"); n.text("spec", "state") != "Active" {
			do := "create a ManagedResourceActivationPolicy whose spec.activate has " + n.Name
			if roleOf(schema.GroupVersionKind{Group: gk.Group}) == RoleManaged {
				do += ", or install the package configuration-eventstore, which has one"
			}
			d.add(n, fmt.Sprintf("the kind %s of %s is not activated, so that the API server does not serve it", gk.Kind, gk.Group), do)
		} else if c.isFalse() {
			d.add(n, fmt.Sprintf("%s is not established: %s", n.Ref, c.message), "look at its status")
		}
	}
	if d.foundMissing(RoleProvider) {
		return // That is said of the provider.
	}
	for _, gk := range kindsOf(d.Tree) {
		if known[gk] == nil && d.notServed(gk) {
			d.add(nil, fmt.Sprintf("no provider serves the kind %s of %s", gk.Kind, gk.Group), "install the package "+providerName)
		}
	}
}

func (d *diagnosis) notServed(gk schema.GroupKind) bool {
	for _, n := range d.all(RoleManaged, RoleComposed) {
		if n.State == NotServed && n.GroupVersionKind.GroupKind() == gk {
			return true
		}
	}
	for _, n := range d.all(RoleComposite) {
		if unserved(n.condition("Synced").message) == gk {
			return true
		}
	}
	return false
}

// providers: nobody makes the stores.
func providers(d *diagnosis) {
	if len(d.all(RoleManaged)) == 0 && len(d.causes) > 0 {
		return // There is nothing yet that a provider could make.
	}
	for _, n := range d.all(RoleProvider) {
		if n.State == Missing || n.State == NotServed {
			d.add(n, fmt.Sprintf("the package %s is not installed as any Provider", providerName), "install it")
			continue
		}
		d.unhealthyPackage(n, "is done on brokers")
	}
}

// configs: the provider cannot use the broker.
func configs(d *diagnosis) {
	for _, n := range d.all(RoleConfig) {
		if n.State == Missing {
			d.add(n, fmt.Sprintf("%s, which %s names, %s", n.Ref, d.userOf(n), n.State), "create it, or correct the ProviderConfig's name in the EnvironmentConfig or the resource")
			continue
		}
		missing := false
		for _, s := range n.Children {
			if s.Role == RoleSecret && s.State == Missing {
				d.add(n, fmt.Sprintf("%s, which %s names, %s", s.Ref, n.Ref, s.State), "create it")
				missing = true
			}
		}
		if c := n.condition("Healthy"); c.isFalse() && !missing {
			d.unhealthyConfig(n, c)
		}
	}
}

func (d *diagnosis) unhealthyConfig(n *Node, c condition) {
	switch c.reason {
	case string(v1alpha1.ReasonUnreachable):
		d.add(n, fmt.Sprintf("%s: its broker cannot be reached (%s): %s", n.Ref, c.reason, c.message), "start the broker, or correct the addresses in the ProviderConfig")
	case string(v1alpha1.ReasonUnauthorized):
		d.add(n, fmt.Sprintf("%s: its broker refuses the credentials (%s): %s", n.Ref, c.reason, c.message), "correct "+credentials(n)+", or the rights of that user on the broker")
	case string(v1alpha1.ReasonCredentialsMissing):
		d.add(n, fmt.Sprintf("%s: its credentials are missing (%s): %s", n.Ref, c.reason, c.message), "")
	default:
		d.add(n, fmt.Sprintf("%s cannot be used (%s): %s", n.Ref, c.reason, c.message), "correct its spec")
	}
}

// credentials says where a ProviderConfig has its credentials.
func credentials(config *Node) string {
	for _, s := range config.Children {
		if s.Role == RoleSecret {
			return s.Ref.String() // The first is that of spec.credentials.
		}
	}
	return "its credentials"
}

// userOf names the first resource that uses a ProviderConfig.
func (d *diagnosis) userOf(config *Node) string {
	for _, n := range d.all(RoleManaged) {
		if n.Config == config {
			return n.Ref.String()
		}
	}
	return "a resource"
}
