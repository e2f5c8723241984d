package main

import (
	"strings"
	"testing"

	"github.com/crossplane/function-sdk-go/logging"
	fnv1 "github.com/crossplane/function-sdk-go/proto/v1"
	"google.golang.org/protobuf/types/known/structpb"
	"sigs.k8s.io/yaml"
)

const (
	inline = `
apiVersion: eventstore.fn.crossplane.io/v1alpha1
kind: Placement
classes: [{name: fast, backend: redis}]
locations: [{cloud: local, region: default, providerConfigs: {redis: fast}}]
`
	elsewhere = "{apiVersion: eventstore.fn.crossplane.io/v1alpha1, kind: Placement, environmentConfig: eventstore-placement}"
	claim     = `
apiVersion: platform.eventstore.crossplane.io/v1alpha1
kind: XEventStore
metadata: {name: orders-x7k2p, uid: "1", creationTimestamp: "2026-01-01T00:00:00Z", labels: {crossplane.io/claim-name: orders, crossplane.io/claim-namespace: shop}}
spec: {class: fast, resourceRefs: []}
`
	namespaced = `
apiVersion: platform.eventstore.crossplane.io/v1alpha1
kind: AppEventStore
metadata: {name: orders, namespace: shop, uid: "1"}
spec: {class: fast}
`
	environmentConfig = `
apiVersion: apiextensions.crossplane.io/v1beta1
kind: EnvironmentConfig
metadata: {name: eventstore-placement}
data:
  classes: [{name: fast, backend: redis}]
  locations: [{cloud: local, region: default, providerConfigs: {redis: fast}}]
  quotas: [{namespace: shop, stores: 1}]
`
	older = `
apiVersion: platform.eventstore.crossplane.io/v1alpha1
kind: XEventStore
metadata: {name: older, uid: "2", creationTimestamp: "1999-01-01T00:00:00Z", labels: {crossplane.io/claim-name: older, crossplane.io/claim-namespace: shop}}
spec: {class: fast}
`
)

func structOf(t *testing.T, text string) *structpb.Struct {
	t.Helper()
	m := map[string]any{}
	if err := yaml.Unmarshal([]byte(text), &m); err != nil {
		t.Fatal(err)
	}
	s, err := structpb.NewStruct(m)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func resources(t *testing.T, texts ...string) *fnv1.Resources {
	t.Helper()
	all := &fnv1.Resources{}
	for _, text := range texts {
		all.Items = append(all.Items, &fnv1.Resource{Resource: structOf(t, text)})
	}
	return all
}

func TestRunFunction(t *testing.T) {
	cases := map[string]struct {
		reason    string
		input, xr string
		required  func(t *testing.T) map[string]*fnv1.Resources
		composed  int
		fatal     string
		accepted  fnv1.Status
		requires  string
	}{
		"Claim":      {reason: "One store, by the Placement of the step.", input: inline, xr: claim, composed: 1, accepted: fnv1.Status_STATUS_CONDITION_TRUE},
		"Namespaced": {reason: "The same for namespaced composite resources.", input: inline, xr: namespaced, composed: 1, accepted: fnv1.Status_STATUS_CONDITION_TRUE},
		"NotAClaim":  {reason: "Labels of a namespaced one are its author's.", input: inline, xr: strings.Replace(namespaced, "metadata: {", "metadata: {labels: {crossplane.io/claim-name: a, crossplane.io/claim-namespace: b}, ", 1), composed: 1, accepted: fnv1.Status_STATUS_CONDITION_TRUE},
		"Refused":    {reason: "A claim that cannot be is not composed, and says why.", input: inline, xr: strings.Replace(claim, "class: fast", "class: gold", 1), accepted: fnv1.Status_STATUS_CONDITION_FALSE},
		"Typo":       {reason: "With a Placement that is wrong nothing is changed.", input: strings.Replace(inline, "backend", "backends", 1), xr: claim, fatal: `unknown field "backends"`, accepted: fnv1.Status_STATUS_CONDITION_FALSE},
		"Asks":       {reason: "The Placement is elsewhere: it is asked for.", input: elsewhere, xr: claim, requires: environment},
		"Missing": {
			reason: "The Placement is not there: nothing is changed.", input: elsewhere, xr: claim, requires: environment,
			required: func(*testing.T) map[string]*fnv1.Resources {
				return map[string]*fnv1.Resources{environment: {}}
			},
			fatal: `there is no EnvironmentConfig "eventstore-placement"`, accepted: fnv1.Status_STATUS_CONDITION_FALSE,
		},
		"Found": {
			reason: "The Placement has a quota, and the claim is the first.", input: elsewhere, xr: claim, requires: others, composed: 1, accepted: fnv1.Status_STATUS_CONDITION_TRUE,
			required: func(t *testing.T) map[string]*fnv1.Resources {
				t.Helper()
				return map[string]*fnv1.Resources{environment: resources(t, environmentConfig), others: resources(t, claim)}
			},
		},
		"AboveQuota": {
			reason: "The Placement has a quota, and another claim was there before.", input: elsewhere, xr: claim, requires: others, accepted: fnv1.Status_STATUS_CONDITION_FALSE,
			required: func(t *testing.T) map[string]*fnv1.Resources {
				t.Helper()
				return map[string]*fnv1.Resources{environment: resources(t, environmentConfig), others: resources(t, claim, older)}
			},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			req := &fnv1.RunFunctionRequest{
				Input:    structOf(t, tc.input),
				Observed: &fnv1.State{Composite: &fnv1.Resource{Resource: structOf(t, tc.xr)}},
			}
			if tc.required != nil {
				req.RequiredResources = tc.required(t)
			}
			rsp, err := (&runner{log: logging.NewNopLogger()}).RunFunction(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			var fatal string
			for _, r := range rsp.GetResults() {
				if r.GetSeverity() == fnv1.Severity_SEVERITY_FATAL {
					fatal += r.GetMessage()
				}
			}
			if (fatal == "") != (tc.fatal == "") || !strings.Contains(fatal, tc.fatal) {
				t.Errorf("%s\nfatal: %q, want %q", tc.reason, fatal, tc.fatal)
			}
			if got := len(rsp.GetDesired().GetResources()); got != tc.composed {
				t.Errorf("%s\n%d resources, want %d: %v", tc.reason, got, tc.composed, rsp.GetDesired())
			}
			if tc.requires != "" && rsp.GetRequirements().GetResources()[tc.requires] == nil {
				t.Errorf("%s\nthe requirements are %v, want %s", tc.reason, rsp.GetRequirements(), tc.requires)
			}
			var accepted fnv1.Status
			for _, c := range rsp.GetConditions() {
				accepted = c.GetStatus()
			}
			if accepted != tc.accepted {
				t.Errorf("%s\nconditions %v, want Accepted %s", tc.reason, rsp.GetConditions(), tc.accepted)
			}
		})
	}
}
