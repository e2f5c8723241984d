package placement

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
)

// Labels that Crossplane gives to the composite resource of a claim.
const (
	LabelClaimName      = "crossplane.io/claim-name"
	LabelClaimNamespace = "crossplane.io/claim-namespace"
)

// ClaimKinds are the kinds of claims, by those of their composite resources.
var ClaimKinds = map[string]string{"XEventStore": "EventStoreClaim", "XSubscription": "SubscriptionClaim"}

// ClaimOf reads a composite resource as its author has written it: as a claim, if there is one.
func ClaimOf(xr *unstructured.Unstructured) (Claim, error) {
	c := Claim{
		Kind: xr.GetKind(), Namespace: xr.GetNamespace(), Name: xr.GetName(), Composite: xr.GetName(), UID: string(xr.GetUID()),
		Namespaced: xr.GetNamespace() != "", Confirm: xr.GetAnnotations()[v1alpha1.AnnotationConfirm],
		Created: xr.GetCreationTimestamp().UTC().Format(time.RFC3339),
	}
	// Crossplane gives these labels to cluster-scoped ones; on others they are their author's.
	if name := xr.GetLabels()[LabelClaimName]; name != "" && !c.Namespaced {
		c.Name, c.Namespace = name, xr.GetLabels()[LabelClaimNamespace]
		c.Kind = ClaimKinds[xr.GetKind()]
	}
	spec, _, err := unstructured.NestedMap(xr.Object, "spec")
	if err != nil {
		return c, fmt.Errorf("cannot read the spec of %s: %w", c, err)
	}
	raw, err := json.Marshal(spec)
	if err != nil {
		return c, fmt.Errorf("cannot read the spec of %s: %w", c, err)
	}
	if err := json.Unmarshal(raw, &c.Spec); err != nil {
		return c, fmt.Errorf("cannot read the spec of %s: %w", c, err)
	}
	return c, nil
}

// machinery are the fields of a spec that are Crossplane's.
var machinery = []string{
	"crossplane", "claimRef", "resourceRef", "resourceRefs", "compositionRef", "compositionSelector", "compositionRevisionRef",
	"compositionRevisionSelector", "compositionUpdatePolicy", "compositeDeletePolicy", "writeConnectionSecretToRef", "publishConnectionDetailsTo",
}

// CheckSpec reports what the API server would: fields that a composite resource does not have.
func CheckSpec(xr *unstructured.Unstructured) error {
	spec, _, err := unstructured.NestedMap(xr.Object, "spec")
	if err != nil {
		return fmt.Errorf("cannot read the spec: %w", err)
	}
	for _, field := range machinery {
		delete(spec, field)
	}
	raw, err := json.Marshal(spec)
	if err != nil {
		return fmt.Errorf("cannot read the spec: %w", err)
	}
	if err := strictly(raw, &Spec{}); err != nil {
		return fmt.Errorf("cannot read the spec: %w", err)
	}
	if spec["class"] == nil {
		return errors.New("spec.class is not set: name a class that the platform team offers")
	}
	return nil
}
