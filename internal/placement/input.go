package placement

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
	placementv1alpha1 "github.com/crossplane-contrib/provider-eventstore/apis/placement/v1alpha1"
)

// ParseInput reads a step's input. The offer is checked by [ParseOffer] if it is elsewhere.
func ParseInput(raw []byte) (*placementv1alpha1.Placement, error) {
	p := &placementv1alpha1.Placement{}
	if err := strictly(raw, p); err != nil {
		return nil, fmt.Errorf("cannot read the Placement: %w", err)
	}
	if p.APIVersion != placementv1alpha1.APIVersion || p.Kind != placementv1alpha1.Kind {
		return nil, fmt.Errorf("cannot read the Placement: the input is a %s of %s: use %s of %s", p.Kind, p.APIVersion, placementv1alpha1.Kind, placementv1alpha1.APIVersion)
	}
	if p.EnvironmentConfig != "" {
		if len(p.Classes)+len(p.Locations)+len(p.Quotas) > 0 {
			return nil, errors.New("cannot use the Placement: it has environmentConfig and an offer of its own: remove one of them")
		}
		return p, nil
	}
	if err := validate(p.Offer); err != nil {
		return nil, fmt.Errorf("cannot use the Placement: %w", err)
	}
	return p, nil
}

// ParseOffer reads the data of the EnvironmentConfig of that name.
func ParseOffer(name string, raw []byte) (placementv1alpha1.Offer, error) {
	o := placementv1alpha1.Offer{}
	if err := strictly(raw, &o); err != nil {
		return o, fmt.Errorf("cannot read the Placement in EnvironmentConfig %q: %w", name, err)
	}
	if err := validate(o); err != nil {
		return o, fmt.Errorf("cannot use the Placement in EnvironmentConfig %q: %w", name, err)
	}
	return o, nil
}

// strictly reads JSON. What is not known is an error, and not ignored: a typo in a limit would else lift it.
func strictly(raw []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

// validate reports all that is wrong with an offer: Crossplane does not check a step's input against its schema.
func validate(p placementv1alpha1.Offer) error {
	var errs []error
	if len(p.Classes) == 0 {
		errs = append(errs, errors.New("it has no classes"))
	}
	known := map[placementv1alpha1.Place]bool{}
	for i, l := range p.Locations {
		if err := validPlace(l.Place); err != nil {
			errs = append(errs, fmt.Errorf("locations[%d]: %w", i, err))
		}
		if known[l.Place] {
			errs = append(errs, fmt.Errorf("location %s is there twice", l.Place))
		}
		known[l.Place] = true
		if l.ProviderConfigs == (placementv1alpha1.ProviderConfigs{}) {
			errs = append(errs, fmt.Errorf("location %s has no providerConfigs", l.Place))
		}
	}
	names := map[string]bool{}
	for i, class := range p.Classes {
		if !name.MatchString(class.Name) {
			errs = append(errs, fmt.Errorf("classes[%d] is called %q: use lower case letters, digits and '-'", i, class.Name))
		}
		if names[class.Name] {
			errs = append(errs, fmt.Errorf("class %q is there twice", class.Name))
		}
		names[class.Name] = true
		if err := validClass(p, class, known); err != nil {
			errs = append(errs, fmt.Errorf("class %q: %w", class.Name, err))
		}
	}
	quotas := map[string]bool{}
	for _, q := range p.Quotas {
		if quotas[q.Namespace] {
			errs = append(errs, fmt.Errorf("namespace %q has two quotas", q.Namespace))
		}
		quotas[q.Namespace] = true
		if q.Namespace == "" || q.Stores < 0 {
			errs = append(errs, fmt.Errorf("the quota of namespace %q is %d stores: name a namespace or \"*\", and at least 0 stores", q.Namespace, q.Stores))
		}
	}
	return errors.Join(errs...)
}

// name is what clouds, regions and classes are called.
var name = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

func validPlace(p placementv1alpha1.Place) error {
	if !name.MatchString(p.Cloud) || !name.MatchString(p.Region) {
		return fmt.Errorf("cloud %q and region %q must both be of lower case letters, digits and '-'", p.Cloud, p.Region)
	}
	return nil
}

func validLimits(l *placementv1alpha1.Limits) error {
	if l == nil {
		return nil
	}
	if l.MaxPartitions != nil && *l.MaxPartitions < 1 || l.MaxLocations != nil && *l.MaxLocations < 1 || l.MaxEventBytes != nil && *l.MaxEventBytes < 1024 || l.MaxSubscriptions != nil && *l.MaxSubscriptions < 0 {
		return errors.New("a limit is too low: maxPartitions and maxLocations are 1 at least, maxEventBytes 1024, maxSubscriptions 0")
	}
	return nil
}

func validClass(p placementv1alpha1.Offer, class placementv1alpha1.Class, known map[placementv1alpha1.Place]bool) error {
	backends := []v1alpha1.Backend{"", v1alpha1.BackendKafka, v1alpha1.BackendPulsar, v1alpha1.BackendRedis}
	if err := validLimits(class.Limits); err != nil {
		return err
	}
	chosen, places := []v1alpha1.Backend{class.Backend}, slices.Clone(class.DefaultLocations)
	for i, at := range class.Locations {
		if slices.ContainsFunc(class.Locations[:i], func(other placementv1alpha1.ClassLocation) bool { return other.Place == at.Place }) {
			return fmt.Errorf("location %s is there twice", at.Place)
		}
		chosen, places = append(chosen, at.Backend), append(places, at.Place)
	}
	for _, b := range chosen {
		if !slices.Contains(backends, b) {
			return fmt.Errorf("backend %q does not exist: use one of %s", b, list(backends[1:]))
		}
	}
	offered := offered(p, class)
	for _, place := range places {
		switch {
		case !known[place]:
			return fmt.Errorf("location %s is not among the Placement's locations", place)
		case !slices.Contains(offered, place):
			return fmt.Errorf("it is not offered in %s: add a ProviderConfig of its backend there, say which backend is meant, or remove the location", place)
		}
	}
	if len(offered) == 0 {
		return errors.New("it is offered nowhere: no location has a ProviderConfig of its backend")
	}
	return nil
}
