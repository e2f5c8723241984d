package explain

import (
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// config reads the ProviderConfig that a managed resource uses, and what that names.
func (g *gatherer) config(mg *Node) {
	name := mg.text("spec", "providerConfigRef", "name")
	if name == "" {
		return
	}
	ref := Ref{GroupVersionKind: schema.GroupVersionKind{Group: mg.Group, Version: "v1alpha1", Kind: "ProviderConfig"}, Name: name}
	switch {
	case mg.text("spec", "providerConfigRef", "kind") != "":
		ref.Kind = mg.text("spec", "providerConfigRef", "kind")
	case mg.Group == groupNamespaced:
		ref.Kind = "ClusterProviderConfig"
	}
	if mg.Group == groupNamespaced && ref.Kind == "ProviderConfig" {
		ref.Namespace = mg.Namespace
	}
	_, known := g.seen[ref]
	mg.Config = g.node(RoleConfig, ref)
	if known {
		return
	}
	mg.Children = append(mg.Children, mg.Config)
	if mg.Config.State == Found {
		mg.Config.Children = append(g.secrets(mg.Config), broker(mg.Config))
	}
}

// secrets are those that a ProviderConfig names.
func (g *gatherer) secrets(config *Node) (all []*Node) {
	paths := [][]string{
		{"credentials", "secretRef"},
		{"sentinelCredentials", "secretRef"},
		{"tokenSigningKey", "secretRef"},
		{"tls", "caSecretRef"},
		{"tls", "clientCertificateSecretRef"},
	}
	for _, path := range paths {
		at := append([]string{"spec"}, path...)
		ref := Ref{GroupVersionKind: kindSecret, Namespace: config.text(append(at, "namespace")...), Name: config.text(append(at, "name")...)}
		if ref.Name == "" {
			continue
		}
		if config.Namespace != "" {
			ref.Namespace = config.Namespace // It may name Secrets of its own namespace alone.
		}
		if _, known := g.seen[ref]; !known {
			all = append(all, g.node(RoleSecret, ref))
		}
	}
	return all
}

// broker is what a ProviderConfig says of its broker.
func broker(config *Node) *Node {
	kind, endpoint := "", config.text("status", "broker", "endpoint")
	for _, backend := range []string{"kafka", "pulsar", "redis"} {
		if s, ok := config.Object.Object["spec"].(map[string]any)[backend].(map[string]any); ok {
			kind = backend
			if endpoint == "" {
				endpoint = address(s)
			}
		}
	}
	if version := config.text("status", "broker", "version"); version != "" {
		kind += " " + version
	}
	return &Node{Role: RoleBroker, Ref: Ref{GroupVersionKind: schema.GroupVersionKind{Kind: kind}, Name: "at " + endpoint}, Object: config.Object}
}

// address is where a ProviderConfig expects its broker.
func address(settings map[string]any) string {
	for _, field := range []string{"bootstrapServers", "addresses"} {
		if list, ok := settings[field].([]any); ok {
			var all []string
			for _, a := range list {
				if s, ok := a.(string); ok {
					all = append(all, s)
				}
			}
			return strings.Join(all, ",")
		}
	}
	return textOf(settings, "serviceURL")
}
