package placement

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/crossplane/crossplane-runtime/v2/pkg/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
	placementv1alpha1 "github.com/crossplane-contrib/provider-eventstore/apis/placement/v1alpha1"
)

// Labels of what is composed.
const (
	LabelClass  = "platform.eventstore.crossplane.io/class"
	LabelCloud  = "platform.eventstore.crossplane.io/cloud"
	LabelRegion = "platform.eventstore.crossplane.io/region"
)

const (
	groupCluster    = "eventstore.crossplane.io/v1alpha1"
	groupNamespaced = "eventstore.m.crossplane.io/v1alpha1"

	// systemNamespace has the Secrets of those who name no namespace.
	systemNamespace = "crossplane-system"

	// maxPrefix is how much of the composite resource's name is in those of what it composes, which have 253 characters.
	maxPrefix = 100

	// gathered is the name in the composition of the Secret with the details of several locations, and gatheredSuffix what its
	// own ends in.
	gathered       = "connection"
	gatheredSuffix = "-all"
)

// wanted is a resource that the claim asks for.
type wanted struct {
	key string
	Resource
	site         site
	subscription string // Name of the subscription; empty: it is the store.
	listed       bool   // By the claim of its store: it is not what the claim is about.
	secret       string
	was          *ObservedResource
}

// compose returns the store and the subscriptions of one location.
func compose(c Claim, s site, observed Observed, taken map[string]bool) (all []wanted) {
	if c.EventStore != "" {
		return []wanted{subscription(c, s, c.Name, c.SubscriptionParameters, c.secret(), observed, taken)}
	}
	store := object(c, s, KindEventStore, c.store(), asMap(parameters(c, s.class)))
	all = append(all, finish(c, s, store, "", c.secret(), observed, taken))
	for _, sub := range c.Subscriptions {
		all = append(all, subscription(c, s, sub.Name, sub.SubscriptionParameters, sub.secret(c), observed, taken))
	}
	return all
}

func subscription(c Claim, s site, name string, p v1alpha1.SubscriptionParameters, secret string, observed Observed, taken map[string]bool) wanted {
	parameters := asMap(p)
	parameters["eventStore"] = c.store()
	return finish(c, s, object(c, s, KindSubscription, name, parameters), name, secret, observed, taken)
}

// object returns a managed resource without its own name and Secret.
func object(c Claim, s site, kind, externalName string, parameters map[string]any) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": groupCluster, "kind": kind}}
	if c.Namespaced {
		u.SetAPIVersion(groupNamespaced)
		u.SetNamespace(c.Namespace)
	}
	u.Object["spec"] = map[string]any{"forProvider": parameters}
	refer(u, s.providerConfig)
	u.SetAnnotations(map[string]string{meta.AnnotationKeyExternalName: externalName})
	u.SetLabels(map[string]string{LabelClass: s.class.Name, LabelCloud: s.Cloud, LabelRegion: s.Region})
	confirm(u, c.Confirm)
	return u
}

// refer names the ProviderConfig of a resource.
func refer(u *unstructured.Unstructured, providerConfig string) {
	ref := map[string]any{"name": providerConfig}
	if u.GetNamespace() != "" {
		ref["kind"] = "ClusterProviderConfig"
	}
	_ = unstructured.SetNestedMap(u.Object, ref, "spec", "providerConfigRef")
}

// keyPrefix is what a resource's name in the composition begins with in a place. What follows is the ProviderConfig.
func keyPrefix(u *unstructured.Unstructured, at placementv1alpha1.Place) string {
	return fmt.Sprintf("%s-%s-%s-", roleOf(u), at.Cloud, at.Region)
}

// roleOf tells the store of a claim and its subscriptions apart.
func roleOf(u *unstructured.Unstructured) string {
	if u.GetKind() == KindSubscription {
		return "subscription-" + meta.GetExternalName(u)
	}
	return "store"
}

// finish gives a resource its names: those that it has, or new ones that follow from the claim, the location and the
// ProviderConfig. A Secret's name is taken once: the first location has it as it is.
func finish(c Claim, s site, u *unstructured.Unstructured, subscription, secret string, observed Observed, taken map[string]bool) wanted {
	w := wanted{site: s, subscription: subscription, listed: subscription != "" && c.EventStore == "", key: keyPrefix(u, s.Place) + s.providerConfig}
	u.SetName(fmt.Sprintf("%.*s-%s-%s-%s", maxPrefix, c.Composite, s.Cloud, s.Region, digest(c.Kind, c.Composite, roleOf(u), s.providerConfig)))
	key, was, ok := observed.find(u)
	has := ""
	if ok {
		w.key, w.was = key, &was
		u.SetName(was.Object.GetName())
		has = text(was.Object, "spec", "writeConnectionSecretToRef", "name")
		if n, found, _ := unstructured.NestedFieldCopy(was.Object.Object, "spec", "forProvider", "partitions"); found && c.Partitions == nil && u.GetKind() == KindEventStore {
			_ = unstructured.SetNestedField(u.Object, n, "spec", "forProvider", "partitions") // It cannot change, whatever the class's default is by now.
		}
	}
	w.secret = s.free(secret, has, taken)
	taken[w.secret] = true
	ref := map[string]any{"name": w.secret}
	if !c.Namespaced {
		ref["namespace"] = c.secretNamespace(w.listed)
	}
	spec := u.Object["spec"].(map[string]any) //nolint:forcetypeassert // See object.
	spec["writeConnectionSecretToRef"] = ref
	if w.was != nil && w.was.comesBack(c.Confirm) {
		spec["managementPolicies"] = []any{"Observe", "Create", "Update", "LateInitialize"}
	}
	w.Resource = Resource{Object: u, Ready: w.was != nil && condition(w.was.Object, "Ready").status == "True"}
	return w
}

// secret is the name of the Secret of a location that is not the first.
func (s site) secret(name string) string { return fmt.Sprintf("%s-%s-%s", name, s.Cloud, s.Region) }

// free returns the name of a Secret: the one that it has, if that is one of those that it may have, or else the first that is
// nobody's.
func (s site) free(name, has string, taken map[string]bool) string {
	candidates := []string{name, s.secret(name), s.secret(name) + "-" + digest(s.providerConfig)}
	if slices.Contains(candidates, has) {
		return has
	}
	for _, candidate := range candidates {
		if !taken[candidate] {
			return candidate
		}
	}
	return candidates[len(candidates)-1]
}

// secret returns the name of the claim's own connection Secret.
func (c Claim) secret() string {
	switch {
	case c.ConnectionSecretName != "":
		return c.ConnectionSecretName
	case !c.Namespaced:
		return c.UID + "-composed" // The composite resource's own has its UID as a name.
	case c.EventStore != "":
		return c.Name + "-subscription"
	default:
		return c.Name + "-eventstore" // A subscription may have the same name.
	}
}

func (s Subscription) secret(c Claim) string {
	if s.ConnectionSecretName != "" {
		return s.ConnectionSecretName
	}
	return c.Name + "-" + s.Name + "-subscription"
}

// secretNamespace is where a cluster-scoped resource writes its Secret. A claim that names none gets a copy, which Crossplane
// makes; for the subscriptions that it lists there is none.
func (c Claim) secretNamespace(listed bool) string {
	if c.Namespace == "" || (c.ConnectionSecretName == "" && !listed) {
		return systemNamespace
	}
	return c.Namespace
}

// secrets are the names of the Secrets that observed resources have, so that nobody else gets them.
func (o Observed) secrets() map[string]bool {
	taken := map[string]bool{}
	for _, r := range o {
		if name := text(r.Object, "spec", "writeConnectionSecretToRef", "name"); name != "" {
			taken[name] = true
		}
	}
	return taken
}

// gather composes one Secret from those of several locations: for namespaced composite resources, which have none of their own.
func gather(c Claim, sites []site, all []wanted, observed Observed) (string, Resource, bool) {
	if !c.Namespaced || len(sites) < 2 {
		return "", Resource{}, false
	}
	data := map[string]any{}
	for key, value := range details(all) {
		data[key] = base64.StdEncoding.EncodeToString(value)
	}
	if was, ok := observed[gathered]; ok { // What was not observed is not gone.
		before, _, _ := unstructured.NestedMap(was.Object.Object, "data")
		for _, s := range sites {
			missing := !slices.ContainsFunc(slices.Collect(maps.Keys(data)), func(k string) bool { return strings.HasPrefix(k, s.prefix()) })
			for k, v := range before {
				if missing && strings.HasPrefix(k, s.prefix()) {
					data[k] = v
				}
			}
		}
	}
	u := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": kindSecret, "type": "connection.crossplane.io/v1alpha1", "data": data,
	}}
	u.SetNamespace(c.Namespace)
	u.SetName(c.secret() + gatheredSuffix)
	return gathered, Resource{Object: u, Ready: true}, len(data) > 0
}

// details of the claim's own stores or subscription: of the first location without a prefix, and if there are several, of each
// with the prefix <cloud>.<region>.
func details(all []wanted) map[string][]byte {
	d := map[string][]byte{}
	own := slices.DeleteFunc(slices.Clone(all), func(w wanted) bool { return w.listed })
	for i, w := range own {
		if w.was == nil {
			continue
		}
		if i == 0 {
			maps.Copy(d, w.was.Details)
		}
		if len(own) > 1 {
			for key, value := range w.was.Details {
				d[w.site.prefix()+key] = value
			}
		}
	}
	return d
}

// prefix is what the keys of a location's details begin with.
func (s site) prefix() string { return s.Cloud + "." + s.Region + "." }

// asMap returns what v is in a manifest.
func asMap[T any](v T) map[string]any {
	m, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&v)
	if err != nil { // Only of what JSON cannot say.
		panic(err)
	}
	return m
}

// digest tells names apart that are the same otherwise.
func digest(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:])[:10]
}
