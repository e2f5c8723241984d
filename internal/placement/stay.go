package placement

import (
	"cmp"
	"maps"
	"slices"

	"github.com/crossplane/crossplane-runtime/v2/pkg/meta"

	"github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
	placementv1alpha1 "github.com/crossplane-contrib/provider-eventstore/apis/placement/v1alpha1"
)

// own are the resources that the claim is about, in the order of their keys: its stores, or the subscription in each location.
func (o Observed) own(c Claim) (all []ObservedResource) {
	kind, name := KindEventStore, c.store()
	if c.EventStore != "" {
		kind, name = KindSubscription, c.Name
	}
	for _, key := range slices.Sorted(maps.Keys(o)) {
		if u := o[key].Object; u.GetKind() == kind && meta.GetExternalName(u) == name {
			all = append(all, o[key])
		}
	}
	return all
}

func (r ObservedResource) place() placementv1alpha1.Place {
	return placementv1alpha1.Place{Cloud: r.Object.GetLabels()[LabelCloud], Region: r.Object.GetLabels()[LabelRegion]}
}

// places are where a claim that names no location is already, in its class: another default of the class is for others. Those
// of first come first.
func (o Observed) places(c Claim, first []placementv1alpha1.Place) (all []placementv1alpha1.Place) {
	for _, r := range o.own(c) {
		if at := r.place(); r.Object.GetLabels()[LabelClass] == c.Class && !slices.Contains(all, at) {
			all = append(all, at)
		}
	}
	rank := func(p placementv1alpha1.Place) int {
		if i := slices.Index(first, p); i >= 0 {
			return i
		}
		return len(first)
	}
	slices.SortStableFunc(all, func(a, b placementv1alpha1.Place) int { return cmp.Compare(rank(a), rank(b)) })
	return all
}

// stay has a store go on where it is, if the location has got another ProviderConfig since: nobody has asked for another store.
func (o Observed) stay(c Claim, s site) site {
	stays := s
	for _, r := range o.own(c) {
		at := text(r.Object, "spec", "providerConfigRef", "name")
		if at == s.providerConfig {
			return s
		}
		if r.place() == s.Place && r.Object.GetLabels()[LabelClass] == s.class.Name {
			stays.providerConfig = at
			stays.backend = cmp.Or(v1alpha1.Backend(text(r.Object, "status", "atProvider", "backend")), s.backend)
		}
	}
	return stays
}

// asWas are the resources of the claim as they are, for a claim that cannot be what it says.
func (o Observed) asWas(c Claim) (all []wanted) {
	for _, key := range slices.Sorted(maps.Keys(o)) {
		r := o[key]
		if !r.holdsData() {
			continue
		}
		w := wanted{
			key: key, was: &r, secret: text(r.Object, "spec", "writeConnectionSecretToRef", "name"),
			site:     site{Place: r.place(), backend: v1alpha1.Backend(text(r.Object, "status", "atProvider", "backend")), providerConfig: text(r.Object, "spec", "providerConfigRef", "name")},
			Resource: Resource{Object: r.Object, Ready: condition(r.Object, "Ready").status == "True"},
		}
		if r.Object.GetKind() == KindSubscription {
			w.subscription, w.listed = meta.GetExternalName(r.Object), c.EventStore == ""
		}
		all = append(all, w)
	}
	// The one whose Secret has the name that the claim says is the first.
	slices.SortStableFunc(all, func(a, b wanted) int {
		second := func(w wanted) int {
			if w.secret == c.secret() {
				return 0
			}
			return 1
		}
		return cmp.Compare(second(a), second(b))
	})
	return all
}
