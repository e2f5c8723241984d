package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/crossplane/function-sdk-go/logging"
	fnv1 "github.com/crossplane/function-sdk-go/proto/v1"
	"github.com/crossplane/function-sdk-go/request"
	"github.com/crossplane/function-sdk-go/resource"
	"github.com/crossplane/function-sdk-go/resource/composed"
	"github.com/crossplane/function-sdk-go/resource/composite"
	"github.com/crossplane/function-sdk-go/response"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
	placementv1alpha1 "github.com/crossplane-contrib/provider-eventstore/apis/placement/v1alpha1"
	"github.com/crossplane-contrib/provider-eventstore/internal/placement"
)

const (
	// Names of requirements: the offer, and the claims that count against the same quota.
	environment = "placement"
	others      = "claims-of-the-namespace"
)

// A runner makes of each request what package placement decides.
type runner struct {
	fnv1.UnimplementedFunctionRunnerServiceServer

	log logging.Logger
}

// RunFunction implements the protocol of composition functions.
// Source: https://docs.crossplane.io/latest/guides/write-a-composition-function-in-go/
func (r *runner) RunFunction(_ context.Context, req *fnv1.RunFunctionRequest) (*fnv1.RunFunctionResponse, error) {
	rsp := response.To(req, response.DefaultTTL)
	if err := r.run(req, rsp); err != nil {
		r.log.Info("Cannot compose", "error", err)
		message := strings.ReplaceAll(err.Error(), "\n", "; ")
		response.Fatal(rsp, errors.New(message)) // Nothing is changed then, and nothing deleted.
		// A claim does not tell why its composite resource is not synced.
		response.ConditionFalse(rsp, string(v1alpha1.TypeAccepted), string(placement.ReasonPlacement)).WithMessage(message).TargetCompositeAndClaim()
	}
	return rsp, nil
}

func (r *runner) run(req *fnv1.RunFunctionRequest, rsp *fnv1.RunFunctionResponse) error {
	offer, ok, err := offerOf(req, rsp)
	if err != nil || !ok {
		return err
	}
	xr, err := request.GetObservedCompositeResource(req)
	if err != nil {
		return fmt.Errorf("cannot read the composite resource: %w", err)
	}
	claim, err := placement.ClaimOf(&xr.Resource.Unstructured)
	if err != nil {
		return err
	}
	observed, err := observedOf(req)
	if err != nil {
		return err
	}
	var competing []placement.Other
	if placement.Grows(claim, offer, observed) { // Not always: Crossplane runs the function again whenever one of them changes.
		require(rsp, others, neighbours(xr.Resource, claim))
		if competing, err = othersOf(req, xr.Resource, offer); err != nil {
			return err
		}
	}
	result := placement.Place(claim, offer, observed, competing)
	r.log.Debug("Composed", "claim", claim.String(), "resources", len(result.Resources), "ready", result.Ready, "message", result.Status.Message)
	return answer(rsp, xr.Resource, result)
}

// offerOf returns what the platform team offers. ok is false if it was asked for just now: Crossplane runs the function again
// with it.
func offerOf(req *fnv1.RunFunctionRequest, rsp *fnv1.RunFunctionResponse) (offer placementv1alpha1.Offer, ok bool, err error) {
	raw, err := json.Marshal(req.GetInput().AsMap())
	if err != nil {
		return offer, false, fmt.Errorf("cannot read the Placement: %w", err)
	}
	input, err := placement.ParseInput(raw)
	if err != nil {
		return offer, false, err
	}
	if input.EnvironmentConfig == "" {
		return input.Offer, true, nil
	}
	name := input.EnvironmentConfig
	require(rsp, environment, &fnv1.ResourceSelector{
		ApiVersion: "apiextensions.crossplane.io/v1beta1", Kind: "EnvironmentConfig", Match: &fnv1.ResourceSelector_MatchName{MatchName: name},
	})
	found, asked, err := request.GetRequiredResource(req, environment)
	switch {
	case err != nil:
		return offer, false, fmt.Errorf("cannot read EnvironmentConfig %q: %w", name, err)
	case !asked:
		return offer, false, nil
	case len(found) == 0:
		return offer, false, fmt.Errorf("there is no EnvironmentConfig %q, which says what claims become: the platform team has to create it", name)
	}
	if raw, err = json.Marshal(found[0].Resource.Object["data"]); err != nil {
		return offer, false, fmt.Errorf("cannot read EnvironmentConfig %q: %w", name, err)
	}
	offer, err = placement.ParseOffer(name, raw)
	return offer, err == nil, err
}

// require has Crossplane run the function again with what s selects.
func require(rsp *fnv1.RunFunctionResponse, name string, s *fnv1.ResourceSelector) {
	if rsp.GetRequirements() == nil {
		rsp.Requirements = &fnv1.Requirements{Resources: map[string]*fnv1.ResourceSelector{}}
	}
	rsp.Requirements.Resources[name] = s
}

func observedOf(req *fnv1.RunFunctionRequest) (placement.Observed, error) {
	all, err := request.GetObservedComposedResources(req)
	if err != nil {
		return nil, fmt.Errorf("cannot read the composed resources: %w", err)
	}
	o := placement.Observed{}
	for name, r := range all {
		o[string(name)] = placement.ObservedResource{Object: &unstructured.Unstructured{Object: r.Resource.Object}, Details: r.ConnectionDetails}
	}
	return o, nil
}

// neighbours selects the claims of the same namespace.
func neighbours(xr *composite.Unstructured, c placement.Claim) *fnv1.ResourceSelector {
	s := &fnv1.ResourceSelector{ApiVersion: xr.GetAPIVersion(), Kind: xr.GetKind(), Match: &fnv1.ResourceSelector_MatchLabels{MatchLabels: &fnv1.MatchLabels{}}}
	if c.Namespaced {
		s.Namespace = &c.Namespace
	} else {
		s.Match = &fnv1.ResourceSelector_MatchLabels{MatchLabels: &fnv1.MatchLabels{Labels: map[string]string{placement.LabelClaimNamespace: c.Namespace}}}
	}
	return s
}

func othersOf(req *fnv1.RunFunctionRequest, xr *composite.Unstructured, offer placementv1alpha1.Offer) ([]placement.Other, error) {
	found, _, err := request.GetRequiredResource(req, others)
	if err != nil {
		return nil, fmt.Errorf("cannot read the other claims of the namespace: %w", err)
	}
	var all []placement.Other
	for _, r := range found {
		if r.Resource.GetUID() == xr.GetUID() {
			continue
		}
		c, err := placement.ClaimOf(r.Resource)
		if err != nil {
			return nil, err
		}
		all = append(all, placement.Other{Name: c.Name, Created: c.Created, Stores: placement.Stores(c, offer)})
	}
	return all, nil
}

// answer writes a result into the response.
func answer(rsp *fnv1.RunFunctionResponse, xr *composite.Unstructured, result placement.Result) error {
	status, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&result.Status)
	if err != nil {
		return fmt.Errorf("cannot write the status: %w", err)
	}
	desired := composite.New()
	desired.SetAPIVersion(xr.GetAPIVersion())
	desired.SetKind(xr.GetKind())
	desired.Object["status"] = status
	if err := response.SetDesiredCompositeResource(rsp, &resource.Composite{Resource: desired, ConnectionDetails: result.Details, Ready: ready(result.Ready)}); err != nil {
		return err
	}
	all := map[resource.Name]*resource.DesiredComposed{}
	for name, r := range result.Resources {
		all[resource.Name(name)] = &resource.DesiredComposed{Resource: &composed.Unstructured{Unstructured: *r.Object}, Ready: ready(r.Ready)}
	}
	if err := response.SetDesiredComposedResources(rsp, all); err != nil {
		return err
	}
	if result.Refusal != nil {
		response.ConditionFalse(rsp, string(v1alpha1.TypeAccepted), string(result.Refusal.Reason)).WithMessage(result.Refusal.Message).TargetCompositeAndClaim()
		return nil
	}
	response.ConditionTrue(rsp, string(v1alpha1.TypeAccepted), string(v1alpha1.ReasonAccepted)).TargetCompositeAndClaim()
	return nil
}

func ready(ok bool) resource.Ready {
	if ok {
		return resource.ReadyTrue
	}
	return resource.ReadyFalse
}
