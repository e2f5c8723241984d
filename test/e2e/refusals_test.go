package e2e_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// offer is what the tests of this file offer, beside the world's own. No broker answers at what the ProviderConfigs "down" say,
// and no ProviderConfig is called "absent".
const offer = `
apiVersion: eventstore.fn.crossplane.io/v1alpha1
kind: Placement
classes:
  - {name: small, backend: redis, defaultLocations: [{cloud: alibaba, region: cn-hangzhou}], limits: {maxPartitions: 2, maxRetention: {duration: 24h}, maxSubscriptions: 1}}
  - {name: redundant, defaultLocations: [{cloud: alibaba, region: cn-hangzhou}]}
locations:
  - {cloud: aws, region: us-east-1, providerConfigs: {kafka: kafka}}
  - {cloud: azure, region: eastus, providerConfigs: {pulsar: pulsar}}
  - {cloud: alibaba, region: cn-hangzhou, providerConfigs: {redis: redis}}
  - {cloud: mars, region: north, providerConfigs: {redis: absent}}
  - {cloud: mars, region: south, providerConfigs: {redis: refusals-down}}
quotas:
  - {namespace: "*", stores: 3}
`

// function is the name of the function of the package.
const function = "crossplane-contrib-function-eventstore"

// composition creates a Composition of the test's own, with the Placement as its input, for both kinds, and returns what has
// claims use it.
func composition(t *testing.T, name, functionName, placement string) (use func(*unstructured.Unstructured)) {
	t.Helper()
	input := map[string]any{}
	if err := yaml.Unmarshal([]byte(placement), &input); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"XEventStore", "AppEventStore"} {
		c := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "apiextensions.crossplane.io/v1", "kind": "Composition",
			"spec": map[string]any{
				"mode":             "Pipeline",
				"compositeTypeRef": map[string]any{"apiVersion": "platform.eventstore.crossplane.io/v1alpha1", "kind": kind},
				"pipeline":         []any{map[string]any{"step": "place", "functionRef": map[string]any{"name": functionName}, "input": input}},
			},
		}}
		c.SetName(strings.ToLower(kind) + "-" + name)
		create(t, c)
		t.Cleanup(func() { _ = world.kube.Delete(context.WithoutCancel(t.Context()), c) })
	}
	return func(claim *unstructured.Unstructured) {
		path, kind := []string{"spec", "compositionRef"}, "xeventstore"
		if claim.GetKind() == "AppEventStore" {
			path, kind = []string{"spec", "crossplane", "compositionRef"}, "appeventstore"
		}
		set(t, claim, map[string]any{"name": kind + "-" + name}, path...)
	}
}

// object reads a manifest.
func object(t *testing.T, manifest string) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(manifest), &u.Object); err != nil {
		t.Fatal(err)
	}
	return u
}

// claimFor returns a claim, or namespaced composite resource, with a spec in YAML.
func claimFor(t *testing.T, kind, namespace, spec string) *unstructured.Unstructured {
	t.Helper()
	u := object(t, "{apiVersion: platform.eventstore.crossplane.io/v1alpha1, kind: "+kind+", metadata: {name: orders}, spec: "+spec+"}")
	u.SetNamespace(namespace)
	return u
}

// TestRefusals has every claim that cannot be say so in one sentence, and makes nothing of it.
func TestRefusals(t *testing.T) {
	own := composition(t, "refusals", function, offer)
	cases := map[string]struct {
		reason string
		spec   string
		want   string   // The reason of Accepted.
		words  []string // Of the sentence.
	}{
		"UnknownClass":    {"Nobody offers it.", `{class: gold}`, "UnknownClass", []string{`class "gold" is not offered`, "small, redundant"}},
		"NotOffered":      {"It is elsewhere.", `{class: small, locations: [{cloud: aws, region: us-east-1}]}`, "NotOffered", []string{`class "small" is not offered in aws/us-east-1`, "alibaba/cn-hangzhou"}},
		"UnknownLocation": {"There is no such place.", `{class: small, locations: [{cloud: venus, region: west}]}`, "UnknownLocation", []string{"location venus/west does not exist", "aws/us-east-1"}},
		"AboveLimit":      {"More than the class has.", `{class: small, partitions: 3, retention: {duration: 24h}}`, "AboveLimit", []string{"partitions is 3", `class "small" allows 2`}},
		"Retention":       {"Longer than the class keeps.", `{class: small}`, "AboveLimit", []string{"retention.duration is for ever", "allows 24h"}},
		"Quota":           {"More than the namespace may have.", `{class: redundant, locations: [{cloud: aws, region: us-east-1}, {cloud: azure, region: eastus}, {cloud: alibaba, region: cn-hangzhou}, {cloud: mars, region: south}]}`, "AboveLimit", []string{"may have 3 stores"}},
		"SecretClash": {
			"One would overwrite the other.", `{class: redundant, connectionSecretName: s, subscriptions: [{name: a}, {name: b, connectionSecretName: s}]}`,
			"NameClash",
			[]string{`the connection Secret "s"`, `subscription "b"`, "set connectionSecretName"},
		},
		"SecretsOfTwo": {
			"Two subscriptions, too.", `{class: redundant, subscriptions: [{name: a, connectionSecretName: s}, {name: b, connectionSecretName: s}]}`,
			"NameClash",
			[]string{`subscription "b"`, `subscription "a"`},
		},
	}
	for name, tc := range cases {
		for _, kind := range []string{"EventStoreClaim", "AppEventStore"} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				t.Parallel()
				t.Log(tc.reason)
				ns := namespace(t)
				claim := claimFor(t, kind, ns, tc.spec)
				own(claim)
				create(t, claim)
				s := refused(t, claim, tc.want, append(tc.words, kind+" "+ns+"/orders: ")...)
				if all := made(t.Context(), t, claim); len(all) > 0 || s.condition("Ready").Status == "True" {
					t.Errorf("%d resources were made, and the claim is %s", len(all), s.condition("Ready"))
				}
				deletesAll(t, claim)
			})
		}
	}
}

// TestBadLocation has one location of three fail: the sentence names it, and the others are Ready.
func TestBadLocation(t *testing.T) {
	own := composition(t, "bad-location", function, offer)
	for _, manifest := range []string{
		`{apiVersion: eventstore.crossplane.io/v1alpha1, kind: ProviderConfig, metadata: {name: refusals-down}, spec: {redis: {addresses: ["127.0.0.1:1"]}, credentials: {source: None}}}`,
		`{apiVersion: eventstore.m.crossplane.io/v1alpha1, kind: ClusterProviderConfig, metadata: {name: refusals-down}, spec: {redis: {addresses: ["127.0.0.1:1"]}, credentials: {source: None}}}`,
	} {
		pc := object(t, manifest)
		create(t, pc)
		t.Cleanup(func() { _ = world.kube.Delete(context.WithoutCancel(t.Context()), pc) })
	}
	cases := map[string]struct {
		reason string
		region string
		words  []string
	}{
		"Missing":   {"Nobody has created the ProviderConfig.", "north", []string{"Config absent does not exist: create it"}},
		"Unhealthy": {"Its broker does not answer.", "south", []string{"cannot reach Redis at 127.0.0.1:1"}},
	}
	for name, tc := range cases {
		for _, kind := range []string{"EventStoreClaim", "AppEventStore"} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				t.Parallel()
				t.Log(tc.reason)
				ns := namespace(t)
				claim := claimFor(t, kind, ns, fmt.Sprintf(`{class: redundant, partitions: 1, locations: [{cloud: aws, region: us-east-1}, {cloud: mars, region: %s}, {cloud: azure, region: eastus}]}`, tc.region))
				own(claim)
				create(t, claim)
				words := append(tc.words, kind+" "+ns+"/orders in mars/"+tc.region+": ")
				s := until(t, claim, fmt.Sprintf("status.message says %q, and two locations are Ready", words), func(s claimStatus) bool {
					return says(s.Message, words...) && len(s.Locations) == 3 && s.Locations[0].Ready && s.Locations[2].Ready
				})
				if s.Locations[1].Ready || s.condition("Ready").Status == "True" || strings.Contains(s.Message, "\n") {
					t.Errorf("the status is %+v, want one location not Ready", s)
				}
				deletesAll(t, claim)
			})
		}
	}
}

// TestNoPlacement has the function not run: nothing is made, and Synced says why.
func TestNoPlacement(t *testing.T) {
	cases := map[string]struct {
		reason    string
		function  string
		placement string
		words     []string
		silent    bool // Nobody can say it on the claim.
	}{
		"Typo":       {"A typo in a limit would lift it.", function, strings.Replace(offer, "maxPartitions", "maxPartition", 1), []string{"cannot read the Placement", `unknown field "maxPartition"`}, false},
		"NoSuchPlan": {"Nobody has written what claims become.", function, "{apiVersion: eventstore.fn.crossplane.io/v1alpha1, kind: Placement, environmentConfig: nobody-wrote-it}", []string{`there is no EnvironmentConfig "nobody-wrote-it"`, "the platform team has to create it"}, false},
		"NoFunction": {"Nobody has installed the function.", "function-not-there", offer, []string{"function-not-there"}, true},
	}
	for name, tc := range cases {
		use := composition(t, "no-placement-"+strings.ToLower(name), tc.function, tc.placement)
		for _, kind := range []string{"EventStoreClaim", "AppEventStore"} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				t.Parallel()
				t.Log(tc.reason)
				claim := claimFor(t, kind, namespace(t), `{class: redundant}`)
				use(claim)
				create(t, claim)
				until(t, composite(t, claim), fmt.Sprintf("Synced says %q", tc.words), func(s claimStatus) bool {
					c := s.condition("Synced")
					return c.Status == "False" && says(c.Message, tc.words...)
				})
				if !tc.silent {
					until(t, claim, fmt.Sprintf("Accepted says %q", tc.words), func(s claimStatus) bool {
						c := s.condition("Accepted")
						return c.Status == "False" && c.Reason == "PlacementInvalid" && says(c.Message, tc.words...)
					})
				}
				deletesAll(t, claim)
			})
		}
	}
}

// composite returns a claim's composite resource: itself, if it is one.
func composite(t *testing.T, claim *unstructured.Unstructured) *unstructured.Unstructured {
	t.Helper()
	if claim.GetKind() != "EventStoreClaim" {
		return claim
	}
	xr := claimFor(t, "XEventStore", "", "{}")
	eventually(t, "the claim has a composite resource", func(ctx context.Context) (bool, string) {
		if err := world.kube.Get(ctx, client.ObjectKeyFromObject(claim), claim); err != nil {
			return false, err.Error()
		}
		name, ok, _ := unstructured.NestedString(claim.Object, "spec", "resourceRef", "name")
		xr.SetName(name)
		return ok, fmt.Sprint(claim.Object)
	})
	return xr
}

// deletesAll deletes a claim that holds nothing.
func deletesAll(t *testing.T, claim *unstructured.Unstructured) {
	t.Helper()
	if err := world.kube.Delete(t.Context(), claim, client.PropagationPolicy("Foreground")); err != nil {
		t.Fatal(err)
	}
	gone(t, claim)
}
