package placement

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
	placementv1alpha1 "github.com/crossplane-contrib/provider-eventstore/apis/placement/v1alpha1"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// A site is a location where a claim is to have its store.
type site struct {
	placementv1alpha1.Place
	class          placementv1alpha1.Class
	backend        v1alpha1.Backend
	providerConfig string
}

// sites returns where the claim's store is to be, in the order of the claim.
func sites(c Claim, p placementv1alpha1.Offer, observed Observed) ([]site, *Refusal) {
	at := slices.IndexFunc(p.Classes, func(class placementv1alpha1.Class) bool { return class.Name == c.Class })
	if at < 0 {
		var names []string
		for _, class := range p.Classes {
			names = append(names, class.Name)
		}
		return nil, refuse(c, ReasonUnknownClass, "class %q is not offered: set class to one of %s", c.Class, list(names))
	}
	class := p.Classes[at]
	places, refusal := places(c, p, class, observed)
	if refusal != nil {
		return nil, refusal
	}
	var all []site
	for _, place := range places {
		s, refusal := siteAt(c, p, class, place)
		if refusal != nil {
			return nil, refusal
		}
		s = observed.stay(c, s)
		if i := slices.IndexFunc(all, func(other site) bool { return other.providerConfig == s.providerConfig }); i >= 0 {
			if all[i].Place == place {
				return nil, refuse(c, ReasonLocationTwice, "location %s is named twice: remove one of them", place)
			}
			return nil, refuse(c, ReasonLocationTwice, "locations %s and %s are the same broker for class %q: remove one of them", all[i].Place, place, class.Name)
		}
		all = append(all, s)
	}
	return all, nil
}

// places returns those that the claim names, or else where it is already, or else the class's.
func places(c Claim, p placementv1alpha1.Offer, class placementv1alpha1.Class, observed Observed) ([]placementv1alpha1.Place, *Refusal) {
	if len(c.Locations) > 0 {
		return c.Locations, nil
	}
	if there := observed.places(c, class.DefaultLocations); len(there) > 0 {
		return there, nil
	}
	if len(class.DefaultLocations) > 0 {
		return class.DefaultLocations, nil
	}
	offered := offered(p, class)
	if len(offered) != 1 {
		return nil, refuse(c, ReasonNoLocation, "class %q has no default location: set locations to one or more of %s", class.Name, list(offered))
	}
	return offered, nil
}

// offered returns where a class is offered.
func offered(p placementv1alpha1.Offer, class placementv1alpha1.Class) (all []placementv1alpha1.Place) {
	for _, l := range p.Locations {
		if l.ProviderConfigs.Of(backendAt(class, l)) != "" {
			all = append(all, l.Place)
		}
	}
	return all
}

// backendAt returns which backend a class has in a location; empty if it is not offered there.
func backendAt(class placementv1alpha1.Class, l placementv1alpha1.Location) v1alpha1.Backend {
	for _, at := range class.Locations {
		if at.Place == l.Place {
			return cmp.Or(at.Backend, class.Backend, l.ProviderConfigs.Only())
		}
	}
	if len(class.Locations) > 0 {
		return ""
	}
	return cmp.Or(class.Backend, l.ProviderConfigs.Only())
}

func siteAt(c Claim, p placementv1alpha1.Offer, class placementv1alpha1.Class, place placementv1alpha1.Place) (site, *Refusal) {
	at := slices.IndexFunc(p.Locations, func(l placementv1alpha1.Location) bool { return l.Place == place })
	if at < 0 {
		var known []placementv1alpha1.Place
		for _, l := range p.Locations {
			known = append(known, l.Place)
		}
		return site{}, refuse(c, ReasonUnknownLocation, "location %s does not exist: set it to one of %s", place, list(known))
	}
	if !slices.Contains(offered(p, class), place) {
		var others []string
		for _, other := range p.Classes {
			if slices.Contains(offered(p, other), place) {
				others = append(others, other.Name)
			}
		}
		return site{}, refuse(c, ReasonNotOffered, "class %q is not offered in %s; offered there: %s; %s is offered in %s",
			class.Name, place, list(others), class.Name, list(offered(p, class)))
	}
	backend := backendAt(class, p.Locations[at])
	return site{Place: place, class: class, backend: backend, providerConfig: p.Locations[at].ProviderConfigs.Of(backend)}, nil
}

// list joins names, in their order.
func list[T any](names []T) string {
	if len(names) == 0 {
		return "none"
	}
	texts := make([]string, len(names))
	for i, n := range names {
		texts[i] = fmt.Sprint(n)
	}
	return strings.Join(texts, ", ")
}

// parameters of the claim's store: the class's defaults, but for what the claim says itself.
func parameters(c Claim, class placementv1alpha1.Class) v1alpha1.EventStoreParameters {
	p := v1alpha1.EventStoreParameters{}
	if class.Defaults != nil {
		class.Defaults.DeepCopyInto(&p)
	}
	if c.Partitions != nil {
		p.Partitions = c.Partitions
	}
	if l := class.Limits; p.Partitions == nil && l != nil && l.MaxPartitions != nil && *l.MaxPartitions < layout.DefaultPartitions {
		p.Partitions = l.MaxPartitions // The provider's default would be above it.
	}
	if c.Retention != nil {
		p.Retention = c.Retention
	}
	if c.Snapshots != nil {
		p.Snapshots = c.Snapshots
	}
	if c.MaxEventBytes != nil {
		p.MaxEventBytes = c.MaxEventBytes
	}
	p.DeletionProtection = cmp.Or(c.DeletionProtection, p.DeletionProtection)
	return p
}

// withinLimits reports what the claim asks for beyond the limits of its class.
func withinLimits(c Claim, sites []site) *Refusal {
	class := sites[0].class
	l := class.Limits
	if l == nil {
		return nil
	}
	p := parameters(c, class)
	above := func(field, asked, limit string) *Refusal {
		return refuse(c, ReasonAboveLimit, "%s is %s, and class %q allows %s: set it to that, or ask your platform team for another class", field, asked, class.Name, limit)
	}
	switch {
	case l.MaxLocations != nil && len(sites) > int(*l.MaxLocations):
		return above("the number of locations", fmt.Sprint(len(sites)), fmt.Sprint(*l.MaxLocations))
	case l.MaxSubscriptions != nil && len(c.Subscriptions) > int(*l.MaxSubscriptions):
		return above("the number of subscriptions", fmt.Sprint(len(c.Subscriptions)), fmt.Sprint(*l.MaxSubscriptions))
	case c.EventStore != "": // The others are of stores.
		return nil
	case l.MaxPartitions != nil && p.Partitions != nil && *p.Partitions > *l.MaxPartitions:
		return above("partitions", fmt.Sprint(*p.Partitions), fmt.Sprint(*l.MaxPartitions))
	case l.MaxEventBytes != nil && p.MaxEventBytes != nil && *p.MaxEventBytes > *l.MaxEventBytes:
		return above("maxEventBytes", fmt.Sprint(*p.MaxEventBytes), fmt.Sprint(*l.MaxEventBytes))
	case l.MaxRetention != nil:
		return retentionWithin(p.Retention, l.MaxRetention, above)
	}
	return nil
}

func retentionWithin(asked, limit *v1alpha1.Retention, above func(field, asked, limit string) *Refusal) *Refusal {
	if asked == nil {
		asked = &v1alpha1.Retention{}
	}
	duration := func(d *v1alpha1.Duration) time.Duration {
		if d == nil {
			return 0
		}
		return d.Duration
	}
	if most := duration(limit.Duration); most > 0 && (duration(asked.Duration) == 0 || duration(asked.Duration) > most) {
		text := "for ever"
		if asked.Duration != nil {
			text = asked.Duration.String()
		}
		return above("retention.duration", text, limit.Duration.String())
	}
	if limit.Bytes != nil && (asked.Bytes == nil || *asked.Bytes > *limit.Bytes) {
		text := "without bound"
		if asked.Bytes != nil {
			text = fmt.Sprint(*asked.Bytes)
		}
		return above("retention.bytes", text, fmt.Sprint(*limit.Bytes))
	}
	return nil
}
