package placement

import (
	"cmp"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	placementv1alpha1 "github.com/crossplane-contrib/provider-eventstore/apis/placement/v1alpha1"
)

// A Result is what a claim becomes.
type Result struct {
	// Resources are all that are to be, by their names in the composition. What is there already and holds something is
	// always among them, until its deletion is confirmed: Crossplane deletes what is missing here.
	Resources map[string]Resource

	// Refusal says why the claim is not made as it is; nil: it is. What was made before stays as it was.
	Refusal *Refusal

	// Ready reports whether all that the claim asks for can be used.
	Ready bool

	// Status is what the claim's author reads.
	Status Status

	// Details are what the claim's connection Secret has: of the first location without a prefix, and of each of several
	// with it.
	Details map[string][]byte
}

// Place decides what a claim becomes. others are the other claims of its namespace that count against its quota.
func Place(c Claim, p placementv1alpha1.Offer, observed Observed, others []Other) Result {
	r := Result{Resources: map[string]Resource{}}
	observed = observed.asMade()
	sites, refusal := sites(c, p, observed)
	if refusal == nil {
		refusal = cmp.Or(clash(c, sites), withinLimits(c, sites), withinQuota(c, p, sites, observed, others))
	}
	if refusal != nil {
		was := observed.asWas(c)
		r.Status, r.Details = statusOf(c, was, nil), details(was)
		r.Refusal, r.Status.Message = refusal, refusal.Message
		maps.Copy(r.Resources, observed.kept(func(u *unstructured.Unstructured) { confirm(u, c.Confirm) }))
		return r
	}
	var all []wanted
	taken := observed.secrets()
	for _, s := range sites {
		all = append(all, compose(c, s, observed, taken)...)
	}
	for _, w := range all {
		r.Resources[w.key] = w.Resource
	}
	behind := observed.leftBehind(c, r.Resources)
	for _, l := range behind {
		if l.stays {
			r.Resources[l.key] = l.Resource
		}
	}
	if key, secret, ok := gather(c, sites, all, observed); ok {
		r.Resources[key] = secret
	}
	r.Status = statusOf(c, all, behind)
	r.Ready = !slices.ContainsFunc(all, func(w wanted) bool { return !w.Ready })
	r.Details = details(all)
	r.Refusal = refusalOf(c, all, behind)
	if r.Refusal != nil {
		r.Status.Message = r.Refusal.Message
	}
	return r
}

// clash reports subscriptions and Secrets of the claim that have the same name.
func clash(c Claim, sites []site) *Refusal {
	names, secrets := map[string]bool{}, map[string]string{c.secret(): "the store"}
	if len(sites) > 1 {
		secrets[c.secret()+gatheredSuffix] = "the stores together"
		for _, s := range sites {
			secrets[s.secret(c.secret())] = "the store in " + s.String()
		}
	}
	for _, s := range c.Subscriptions {
		if names[s.Name] {
			return refuse(c, ReasonNameClash, "two subscriptions are called %q: give one of them another name", s.Name)
		}
		names[s.Name] = true
		secret := s.secret(c)
		if other := secrets[secret]; other != "" {
			return refuse(c, ReasonNameClash, "the connection Secret %q is that of subscription %q and of %s: set connectionSecretName of one of them to another name", secret, s.Name, other)
		}
		secrets[secret] = "subscription \"" + s.Name + "\""
	}
	return nil
}

// An Other is another claim of the same namespace.
type Other struct {
	Name, Created string
	Stores        int
}

// Grows reports whether the claim asks for a store that is not there yet, so that a quota counts.
func Grows(c Claim, p placementv1alpha1.Offer, observed Observed) bool {
	if _, ok := quotaOf(c, p); !ok || c.EventStore != "" {
		return false
	}
	observed = observed.asMade()
	sites, refusal := sites(c, p, observed)
	return refusal == nil && grows(c, sites, observed)
}

func grows(c Claim, sites []site, observed Observed) bool {
	there := map[string]bool{}
	for _, r := range observed.own(c) {
		there[text(r.Object, "spec", "providerConfigRef", "name")] = true
	}
	return slices.ContainsFunc(sites, func(s site) bool { return !there[s.providerConfig] })
}

// Stores returns how many stores a claim asks for.
func Stores(c Claim, p placementv1alpha1.Offer) int {
	sites, _ := sites(c, p, nil)
	return max(1, len(sites))
}

// withinQuota reports whether the namespace may have the claim's stores beside those of the claims before it. Which claim is
// one too many does not depend on who looks; what is there already is never one too many.
func withinQuota(c Claim, p placementv1alpha1.Offer, sites []site, observed Observed, others []Other) *Refusal {
	quota, ok := quotaOf(c, p)
	if !ok || c.EventStore != "" || !grows(c, sites, observed) {
		return nil
	}
	before := 0
	for _, o := range others {
		if cmp.Or(cmp.Compare(o.Created, c.Created), cmp.Compare(o.Name, c.Name)) < 0 {
			before += o.Stores
		}
	}
	if before+len(sites) > int(quota.Stores) {
		return refuse(c, ReasonAboveLimit, "namespace %s may have %d stores, each location counted, and those before this claim are %d: delete one of them, or ask your platform team for more", c.Namespace, quota.Stores, before)
	}
	return nil
}

// quotaOf returns the quota of the claim's namespace; ok is false if there is none.
func quotaOf(c Claim, p placementv1alpha1.Offer) (q placementv1alpha1.Quota, ok bool) {
	if c.Namespace == "" {
		return q, false
	}
	for _, q := range p.Quotas {
		if q.Namespace == c.Namespace {
			return q, true
		}
	}
	for _, q := range p.Quotas {
		if q.Namespace == "*" {
			return q, true
		}
	}
	return q, false
}
