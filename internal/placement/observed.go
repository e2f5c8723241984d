package placement

import (
	"maps"
	"slices"
	"strings"

	"github.com/crossplane/crossplane-runtime/v2/pkg/meta"
	xpv2 "github.com/crossplane/crossplane/apis/v2/core/v2"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// Kinds of what a claim becomes.
const (
	KindEventStore   = "EventStore"
	KindSubscription = "Subscription"
	kindSecret       = "Secret"
)

// A Resource is one that is to be.
type Resource struct {
	Object *unstructured.Unstructured
	Ready  bool
}

// An ObservedResource is one that the claim has composed before.
type ObservedResource struct {
	Object  *unstructured.Unstructured
	Details map[string][]byte // Of its connection Secret.
}

// Observed is all that the claim has composed before, by the names in the composition.
type Observed map[string]ObservedResource

// asMade is what was observed, each resource with the ProviderConfig that it was made with, as its name in the composition says.
// The one in its spec can have been edited, or be a default since the schema had lost the field for a moment: whoever believed
// it would move the store to another broker.
func (o Observed) asMade() Observed {
	made := maps.Clone(o)
	for key, r := range o {
		at, ok := strings.CutPrefix(key, keyPrefix(r.Object, r.place()))
		if !ok || !r.holdsData() || at == text(r.Object, "spec", "providerConfigRef", "name") {
			continue
		}
		r.Object = r.Object.DeepCopy()
		refer(r.Object, at)
		made[key] = r
	}
	return made
}

// find returns the resource that stands for the same thing on the same broker, whatever its name in the composition: the one
// that another Composition made, for example.
func (o Observed) find(like *unstructured.Unstructured) (key string, found ObservedResource, ok bool) {
	for _, key := range slices.Sorted(maps.Keys(o)) {
		if r := o[key]; sameThing(r.Object, like) {
			return key, r, true
		}
	}
	return "", ObservedResource{}, false
}

func sameThing(a, b *unstructured.Unstructured) bool {
	return a.GetAPIVersion() == b.GetAPIVersion() && a.GetKind() == b.GetKind() &&
		meta.GetExternalName(a) == meta.GetExternalName(b) && text(a, "spec", "forProvider", "eventStore") == text(b, "spec", "forProvider", "eventStore") &&
		text(a, "spec", "providerConfigRef", "name") == text(b, "spec", "providerConfigRef", "name")
}

// kept is all that holds data, as it is, but for what change does with it.
func (o Observed) kept(change func(*unstructured.Unstructured)) map[string]Resource {
	all := map[string]Resource{}
	for key, r := range o {
		if r.holdsData() || r.Object.GetKind() == kindSecret {
			all[key] = r.keep(change)
		}
	}
	return all
}

func (r ObservedResource) holdsData() bool {
	return r.Object.GetKind() == KindEventStore || r.Object.GetKind() == KindSubscription
}

// keep returns the resource as it is, in the words of somebody who asks for it: Crossplane would remove what is left out.
func (r ObservedResource) keep(change func(*unstructured.Unstructured)) Resource {
	was := r.Object
	u := &unstructured.Unstructured{Object: map[string]any{}}
	u.SetAPIVersion(was.GetAPIVersion())
	u.SetKind(was.GetKind())
	u.SetName(was.GetName())
	u.SetNamespace(was.GetNamespace())
	for _, field := range []string{"spec", "data", "type"} {
		if v, ok := was.Object[field]; ok {
			u.Object[field] = v
		}
	}
	u = u.DeepCopy()
	if a := only(was.GetAnnotations(), meta.AnnotationKeyExternalName, v1alpha1.AnnotationConfirm); len(a) > 0 {
		u.SetAnnotations(a)
	}
	if l := only(was.GetLabels(), LabelClass, LabelCloud, LabelRegion); len(l) > 0 {
		u.SetLabels(l)
	}
	change(u)
	return Resource{Object: u, Ready: true}
}

// only returns those of some keys that m has.
func only(m map[string]string, keys ...string) map[string]string {
	m = maps.Clone(m)
	maps.DeleteFunc(m, func(k, _ string) bool { return !slices.Contains(keys, k) })
	return m
}

// left is a resource that is not asked for any more.
type left struct {
	key string
	Resource
	was   ObservedResource
	token string
	stays bool
}

// leftBehind is what was composed before, and is not among resources. A store stays until its deletion is confirmed, together
// with its subscriptions; a subscription of a store that goes on stays while it has something to read.
func (o Observed) leftBehind(c Claim, resources map[string]Resource) (all []left) {
	change := func(u *unstructured.Unstructured) {
		confirm(u, c.Confirm)
		if u.GetKind() == KindEventStore && c.DeletionProtection != "" {
			_ = unstructured.SetNestedField(u.Object, string(c.DeletionProtection), "spec", "forProvider", "deletionProtection")
		}
	}
	stays := map[string]bool{} // Stores, by broker and name.
	for _, kind := range []string{KindEventStore, KindSubscription} {
		for _, key := range slices.Sorted(maps.Keys(o)) {
			was := o[key]
			if _, wanted := resources[key]; wanted || was.Object.GetKind() != kind {
				continue
			}
			l := left{key: key, was: was, token: was.token(), Resource: was.keep(change)}
			switch kind {
			case KindEventStore:
				l.stays = !was.goes(c.Confirm, l.token)
				stays[text(was.Object, "spec", "providerConfigRef", "name")+"/"+meta.GetExternalName(was.Object)] = l.stays
			case KindSubscription:
				storeStays, left := stays[text(was.Object, "spec", "providerConfigRef", "name")+"/"+text(was.Object, "spec", "forProvider", "eventStore")]
				l.stays = storeStays || !left && was.hasMore() && !was.goes(c.Confirm, l.token)
			}
			all = append(all, l)
		}
	}
	return all
}

// token is what confirms the deletion of a resource: the provider's own, so that one confirmation is enough.
func (r ObservedResource) token() string {
	name := meta.GetExternalName(r.Object)
	if r.Object.GetKind() == KindSubscription {
		name = plan.DesiredSubscription{Store: text(r.Object, "spec", "forProvider", "eventStore"), Name: name}.String()
	}
	return plan.Token(string(r.Object.GetUID()), plan.FieldDelete, name)
}

// goes reports whether a deletion was confirmed, and will not be refused: the resource has the confirmation already.
func (r ObservedResource) goes(confirmed, token string) bool {
	return plan.Confirmed(confirmed, token) && plan.Confirmed(r.Object.GetAnnotations()[v1alpha1.AnnotationConfirm], token) &&
		text(r.Object, "spec", "forProvider", "deletionProtection") != string(v1alpha1.DeletionProtectionAlways)
}

// comesBack reports whether a resource that is asked for again is to be deleted, and the provider refuses that. Nobody can take
// the deletion back; but without the right to delete, the provider lets go of what is on the broker, and the resource that is
// made next finds it. What the provider does not refuse holds nothing, and is made anew: if it let go of that, and the claim
// changed its mind once more, nobody would be left to delete it.
func (r ObservedResource) comesBack(confirmed string) bool {
	refused := condition(r.Object, "Ready").reason == string(xpv2.ReasonDeleting) && condition(r.Object, "Accepted").status == "False"
	return r.Object.GetDeletionTimestamp() != nil && refused && !plan.Confirmed(confirmed, r.token())
}

// hasMore reports whether a subscription may not have read everything: as far as is known, or if that is not known.
func (r ObservedResource) hasMore() bool {
	_, known, _ := unstructured.NestedFieldNoCopy(r.Object.Object, "status", "atProvider", "lagRecords")
	return !known || condition(r.Object, "Ready").status != "True" ||
		number(r.Object, "status", "atProvider", "lagRecords") > 0 || number(r.Object, "status", "atProvider", "deadLetters") > 0
}

// confirm hands a confirmation on.
func confirm(u *unstructured.Unstructured, token string) {
	a := u.GetAnnotations()
	if token == "" {
		delete(a, v1alpha1.AnnotationConfirm)
	} else {
		if a == nil {
			a = map[string]string{}
		}
		a[v1alpha1.AnnotationConfirm] = token
	}
	if len(a) > 0 {
		u.SetAnnotations(a)
	}
}

func text(u *unstructured.Unstructured, path ...string) string {
	s, _, _ := unstructured.NestedString(u.Object, path...)
	return s
}

// number is an integer, whether it was read as one or as JSON's number.
func number(u *unstructured.Unstructured, path ...string) int64 {
	v, _, _ := unstructured.NestedFieldNoCopy(u.Object, path...)
	switch n := v.(type) {
	case int64:
		return n
	case float64:
		return int64(n)
	}
	return 0
}
