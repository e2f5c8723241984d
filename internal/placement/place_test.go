package placement

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	placementv1alpha1 "github.com/crossplane-contrib/provider-eventstore/apis/placement/v1alpha1"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

const offerYAML = `
classes:
  - name: durable
    backend: kafka
    defaultLocations: [{cloud: aws, region: us-east-1}]
    limits: {maxPartitions: 12, maxLocations: 2, maxSubscriptions: 2, maxEventBytes: 1048576}
  - name: fast
    backend: redis
    defaults: {retention: {duration: 168h}, partitions: 3}
    limits: {maxRetention: {duration: 168h, bytes: 1000}}
  - name: global
    locations:
      - {cloud: aws, region: us-east-1}
      - {cloud: azure, region: eastus}
      - {cloud: alibaba, region: cn-hangzhou}
locations:
  - {cloud: aws, region: us-east-1, providerConfigs: {kafka: aws}}
  - {cloud: aws, region: us-east-2, providerConfigs: {kafka: aws}}
  - {cloud: azure, region: eastus, providerConfigs: {pulsar: azure}}
  - {cloud: alibaba, region: cn-hangzhou, providerConfigs: {redis: alibaba}}
quotas:
  - {namespace: small, stores: 2}
`

func offerOf(t testing.TB, text string) placementv1alpha1.Offer {
	t.Helper()
	raw, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	o, err := ParseOffer("eventstore-placement", raw)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// claimOf is the claim shop/orders, with a spec in YAML.
func claimOf(t testing.TB, spec string) Claim {
	t.Helper()
	c := Claim{Kind: "EventStoreClaim", Namespace: "shop", Name: "orders", Composite: "orders-x7k2p", UID: "0001", Created: "2026-01-02T00:00:00Z"}
	if err := yaml.Unmarshal([]byte(spec), &c.Spec); err != nil {
		t.Fatal(err)
	}
	return c
}

// apply is what Crossplane and the provider make of a result: everything is there, and Ready.
func apply(r Result) Observed {
	o := Observed{}
	for _, key := range slices.Sorted(maps.Keys(r.Resources)) {
		u := r.Resources[key].Object.DeepCopy()
		u.SetUID(types.UID("uid-of-" + u.GetName()))
		status := map[string]any{
			"atProvider": map[string]any{"backend": "kafka", "endpoint": "broker:9092", "records": int64(7), "lagRecords": int64(0)},
			"conditions": []any{
				map[string]any{"type": "Ready", "status": "True"},
				map[string]any{"type": "Synced", "status": "True"},
				map[string]any{"type": "Accepted", "status": "True"},
			},
		}
		if u.GetKind() != kindSecret {
			u.Object["status"] = status
		}
		o[key] = ObservedResource{Object: u, Details: map[string][]byte{"username": []byte(u.GetName())}}
	}
	return o
}

// lag has a subscription have something to read.
func lag(t testing.TB, r ObservedResource) {
	t.Helper()
	if err := unstructured.SetNestedField(r.Object.Object, int64(3), "status", "atProvider", "lagRecords"); err != nil {
		t.Fatal(err)
	}
}

func names(r Result) []string { return slices.Sorted(maps.Keys(r.Resources)) }

func TestRefusals(t *testing.T) {
	offer := offerOf(t, offerYAML)
	cases := map[string]struct {
		reason    string
		spec      string
		namespace string
		others    []Other
		want      Reason
		sentence  []string // What the message must have beside the claim's name.
	}{
		"UnknownClass":    {reason: "Nobody offers it.", spec: "class: gold", want: ReasonUnknownClass, sentence: []string{`"gold"`, "durable, fast, global"}},
		"UnknownLocation": {reason: "There is no such place.", spec: "{class: durable, locations: [{cloud: mars, region: north}]}", want: ReasonUnknownLocation, sentence: []string{"mars/north", "aws/us-east-1"}},
		"NotOffered":      {reason: "The class is elsewhere.", spec: "{class: durable, locations: [{cloud: azure, region: eastus}]}", want: ReasonNotOffered, sentence: []string{`"durable" is not offered in azure/eastus`, "offered there: global", "aws/us-east-1"}},
		"NoLocation":      {reason: "Nobody knows which of three.", spec: "class: global", want: ReasonNoLocation, sentence: []string{"set locations", "alibaba/cn-hangzhou"}},
		"Twice":           {reason: "One store is enough.", spec: "{class: durable, locations: [{cloud: aws, region: us-east-1}, {cloud: aws, region: us-east-1}]}", want: ReasonLocationTwice, sentence: []string{"aws/us-east-1 is named twice"}},
		"SameBroker":      {reason: "It would be the same store on the same broker.", spec: "{class: durable, locations: [{cloud: aws, region: us-east-1}, {cloud: aws, region: us-east-2}]}", want: ReasonLocationTwice, sentence: []string{"us-east-1 and aws/us-east-2 are the same broker"}},
		"Partitions":      {reason: "More than the class has.", spec: "{class: durable, partitions: 13}", want: ReasonAboveLimit, sentence: []string{"partitions is 13", "12"}},
		"EventBytes":      {reason: "More than the class has.", spec: "{class: durable, maxEventBytes: 2097152}", want: ReasonAboveLimit, sentence: []string{"maxEventBytes is 2097152"}},
		"Retention":       {reason: "Longer than the class keeps.", spec: "{class: fast, retention: {duration: 169h}}", want: ReasonAboveLimit, sentence: []string{"retention.duration is 169h", "168h"}},
		"RetentionBytes":  {reason: "A size that nobody bounds.", spec: "{class: fast, retention: {duration: 24h}}", want: ReasonAboveLimit, sentence: []string{"retention.bytes is without bound"}},
		"Subscriptions":   {reason: "More than the class has.", spec: "{class: durable, subscriptions: [{name: a}, {name: b}, {name: c}]}", want: ReasonAboveLimit, sentence: []string{"the number of subscriptions is 3"}},
		"Clash":           {reason: "They would be one.", spec: "{class: durable, subscriptions: [{name: a}, {name: a}]}", want: ReasonNameClash, sentence: []string{`"a"`}},
		"SecretClash":     {reason: "One would overwrite the other.", spec: "{class: durable, connectionSecretName: s, subscriptions: [{name: a, connectionSecretName: s}]}", want: ReasonNameClash, sentence: []string{`"s"`}},
		"Quota": {
			reason: "Those before it have all that the namespace may have.", spec: "{class: durable}", namespace: "small",
			others: []Other{{Name: "a", Created: "2026-01-01T00:00:00Z", Stores: 2}, {Name: "z", Created: "2026-01-03T00:00:00Z", Stores: 9}},
			want:   ReasonAboveLimit, sentence: []string{"namespace small may have 2 stores"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			c := claimOf(t, tc.spec)
			if tc.namespace != "" {
				c.Namespace = tc.namespace
			}
			r := Place(c, offer, nil, tc.others)
			if r.Refusal == nil || r.Refusal.Reason != tc.want || len(r.Resources) > 0 || r.Ready {
				t.Fatalf("%s\nrefusal %+v, %d resources, ready %t: want %s, and nothing made", tc.reason, r.Refusal, len(r.Resources), r.Ready, tc.want)
			}
			for _, part := range append(tc.sentence, c.String()) {
				if !strings.Contains(r.Refusal.Message, part) {
					t.Errorf("%s\nthe message is %q, want %q in it", tc.reason, r.Refusal.Message, part)
				}
			}
			if r.Status.Message != r.Refusal.Message {
				t.Errorf("status says %q", r.Status.Message)
			}

			good := Place(claimOf(t, "{class: durable, subscriptions: [{name: a}]}"), offer, nil, nil)
			kept := Place(c, offer, apply(good), tc.others)
			if diff := cmp.Diff(names(good), names(kept)); diff != "" {
				t.Errorf("%s\nwhat was made before it was refused (-want, +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestCompose(t *testing.T) {
	offer := offerOf(t, offerYAML)
	c := claimOf(t, `{class: global, partitions: 2, connectionSecretName: s, locations: [{cloud: aws, region: us-east-1}, {cloud: alibaba, region: cn-hangzhou}],
	  subscriptions: [{name: audit, type: Failover, connectionSecretName: audit-events}]}`)
	c.Confirm = "abcd"
	first := Place(c, offer, nil, nil)
	want := []string{
		"store-alibaba-cn-hangzhou-alibaba", "store-aws-us-east-1-aws",
		"subscription-audit-alibaba-cn-hangzhou-alibaba", "subscription-audit-aws-us-east-1-aws",
	}
	if diff := cmp.Diff(want, names(first)); diff != "" || first.Ready || first.Refusal != nil {
		t.Fatalf("ready %t, refusal %+v, resources (-want, +got):\n%s", first.Ready, first.Refusal, diff)
	}
	got := first.Resources["subscription-audit-aws-us-east-1-aws"].Object.Object
	name := got["metadata"].(map[string]any)["name"]
	if diff := cmp.Diff(map[string]any{
		"apiVersion": "eventstore.crossplane.io/v1alpha1", "kind": "Subscription",
		"metadata": map[string]any{
			"name":        name,
			"annotations": map[string]any{"crossplane.io/external-name": "audit", "eventstore.crossplane.io/confirm": "abcd"},
			"labels":      map[string]any{LabelClass: "global", LabelCloud: "aws", LabelRegion: "us-east-1"},
		},
		"spec": map[string]any{
			"providerConfigRef":          map[string]any{"name": "aws"},
			"writeConnectionSecretToRef": map[string]any{"name": "audit-events", "namespace": "shop"},
			"forProvider":                map[string]any{"eventStore": "shop.orders", "type": "Failover"},
		},
	}, got); diff != "" {
		t.Errorf("a subscription (-want, +got):\n%s", diff)
	}
	observed := apply(first)
	second := Place(c, offer, observed, nil)
	if !second.Ready || second.Refusal != nil || second.Status.Message != "" || len(second.Status.Locations) != 2 || len(second.Status.Subscriptions) != 2 {
		t.Errorf("with all of it there: %+v", second)
	}
	for key, r := range second.Resources {
		if diff := cmp.Diff(first.Resources[key].Object, r.Object); diff != "" {
			t.Errorf("%s is another one when it is there (-before, +after):\n%s", key, diff)
		}
	}
	if second.Status.Binding == nil || second.Status.Binding.Name != "s" || second.Status.Locations[1].SecretName != "s-alibaba-cn-hangzhou" {
		t.Errorf("the Secrets are %+v and %+v", second.Status.Binding, second.Status.Locations)
	}
	if d := second.Details; len(d) != 3 || string(d["username"]) != string(d["aws.us-east-1.username"]) || d["alibaba.cn-hangzhou.username"] == nil {
		t.Errorf("the details are %q", d)
	}
}

// TestMove changes class and locations: what held data stays until its deletion is confirmed.
func TestMove(t *testing.T) {
	offer := offerOf(t, offerYAML)
	before := Place(claimOf(t, "{class: durable, subscriptions: [{name: a}]}"), offer, nil, nil)
	observed := apply(before)
	lag(t, observed["subscription-a-aws-us-east-1-aws"]) // It goes with its store all the same.
	moved := claimOf(t, "{class: fast, retention: {duration: 1h, bytes: 10}}")

	r := Place(moved, offer, observed, nil)
	if len(r.Resources) != 3 || r.Refusal == nil || r.Refusal.Reason != ReasonLeftBehind || len(r.Status.LeftBehind) != 2 {
		t.Fatalf("after the move: %v, %+v, %+v", names(r), r.Refusal, r.Status.LeftBehind)
	}
	token := r.Status.LeftBehind[0].Confirm
	key := "store-aws-us-east-1-aws"
	if want := plan.Token(string(observed[key].Object.GetUID()), plan.FieldDelete, "shop.orders"); token != want || !strings.Contains(r.Refusal.Message, want) {
		t.Errorf("the token is %s, want the provider's own %s, and the message %q to say it", token, want, r.Refusal.Message)
	}
	if diff := cmp.Diff(observed[key].Object.Object["spec"], r.Resources[key].Object.Object["spec"]); diff != "" {
		t.Errorf("what stays is changed (-before, +after):\n%s", diff)
	}

	moved.Confirm = token
	r = Place(moved, offer, observed, nil)
	if len(r.Resources) != 3 || r.Resources[key].Object.GetAnnotations()["eventstore.crossplane.io/confirm"] != token {
		t.Fatalf("the confirmation must reach the store before its deletion: %v", names(r))
	}
	confirmed := apply(r)
	lag(t, confirmed["subscription-a-aws-us-east-1-aws"])
	r = Place(moved, offer, confirmed, nil)
	if diff := cmp.Diff([]string{"store-alibaba-cn-hangzhou-alibaba"}, names(r)); diff != "" || r.Refusal != nil {
		t.Errorf("after the confirmation: %+v (-want, +got):\n%s", r.Refusal, diff)
	}

	back := Place(claimOf(t, "{class: durable, subscriptions: [{name: a}]}"), offer, observed, nil)
	if diff := cmp.Diff(names(before), names(back)); diff != "" || back.Refusal != nil {
		t.Errorf("put back: %+v (-want, +got):\n%s", back.Refusal, diff)
	}
}

// TestComesBack asks again for a store that is being deleted: it is let go of if the provider refuses to delete it, unless its
// deletion was confirmed.
func TestComesBack(t *testing.T) {
	offer := offerOf(t, offerYAML)
	c := claimOf(t, "class: durable")
	key := "store-aws-us-east-1-aws"
	first := Place(c, offer, nil, nil)
	observed := apply(first)
	if p := policies(Place(c, offer, observed, nil).Resources[key]); p != nil {
		t.Errorf("what is not being deleted has managementPolicies %v", p)
	}
	deleted := metav1.Now()
	observed[key].Object.SetDeletionTimestamp(&deleted)
	if p := policies(Place(c, offer, observed, nil).Resources[key]); p != nil {
		t.Errorf("what is being deleted, and not refused that, has managementPolicies %v", p)
	}
	refused := []any{
		map[string]any{"type": "Ready", "status": "False", "reason": "Deleting"},
		map[string]any{"type": "Accepted", "status": "False", "reason": "NotEmpty"},
	}
	if err := unstructured.SetNestedSlice(observed[key].Object.Object, refused, "status", "conditions"); err != nil {
		t.Fatal(err)
	}
	if p := policies(Place(c, offer, observed, nil).Resources[key]); len(p) == 0 || slices.Contains(p, "Delete") || slices.Contains(p, "*") {
		t.Errorf("what is being deleted has managementPolicies %v, want all but Delete", p)
	}
	again := c
	again.UID = "0002"
	if was, is := first.Resources[key].Object.GetName(), Place(again, offer, nil, nil).Resources[key].Object.GetName(); was != is {
		t.Errorf("the same claim, applied again, does not find %s, but makes %s", was, is)
	}
	c.Confirm = observed[key].token()
	if p := policies(Place(c, offer, observed, nil).Resources[key]); p != nil {
		t.Errorf("what is being deleted, and was confirmed, has managementPolicies %v", p)
	}
}

func policies(r Resource) []string {
	all, _, _ := unstructured.NestedStringSlice(r.Object.Object, "spec", "managementPolicies")
	return all
}

// TestSubscriptionsRemoved drops those that have read everything, and keeps the others.
func TestSubscriptionsRemoved(t *testing.T) {
	offer := offerOf(t, offerYAML)
	observed := apply(Place(claimOf(t, "{class: durable, subscriptions: [{name: a}, {name: b}]}"), offer, nil, nil))
	lags := "subscription-b-aws-us-east-1-aws"
	lag(t, observed[lags])
	r := Place(claimOf(t, "class: durable"), offer, observed, nil)
	if diff := cmp.Diff([]string{"store-aws-us-east-1-aws", lags}, names(r)); diff != "" || r.Refusal == nil || r.Refusal.Reason != ReasonLeftBehind {
		t.Errorf("%+v (-want, +got):\n%s", r.Refusal, diff)
	}
}

// TestAdoptsAnothersNames finds what the Composition without our function has made.
func TestAdoptsAnothersNames(t *testing.T) {
	offer := offerOf(t, offerYAML)
	made := apply(Place(claimOf(t, "class: durable"), offer, nil, nil))
	plain := Observed{"store": made["store-aws-us-east-1-aws"]}
	plain["store"].Object.SetName("orders-x7k2p-8f3d2")
	r := Place(claimOf(t, "class: durable"), offer, plain, nil)
	if diff := cmp.Diff([]string{"store"}, names(r)); diff != "" || r.Resources["store"].Object.GetName() != "orders-x7k2p-8f3d2" {
		t.Errorf("it is made again (-want, +got):\n%s", diff)
	}
}

// TestProviderConfigEdited has what was composed name another ProviderConfig than it was made with: it gets its own back, and
// nothing is made on another broker.
func TestProviderConfigEdited(t *testing.T) {
	offer := offerOf(t, offerYAML)
	for name, c := range map[string]Claim{
		"Accepted": claimOf(t, "{class: durable, subscriptions: [{name: a}]}"),
		"Refused":  claimOf(t, "{class: none, subscriptions: [{name: a}]}"),
	} {
		made := Place(claimOf(t, "{class: durable, subscriptions: [{name: a}]}"), offer, nil, nil)
		observed := apply(made)
		for _, r := range observed {
			refer(r.Object, "default")
		}
		after := Place(c, offer, observed, nil)
		if diff := cmp.Diff(names(made), names(after)); diff != "" {
			t.Errorf("%s: something else is made (-before, +after):\n%s", name, diff)
		}
		for key, r := range after.Resources {
			if at := text(r.Object, "spec", "providerConfigRef", "name"); at != "aws" {
				t.Errorf("%s: %s is moved to ProviderConfig %s", name, key, at)
			}
			if text(observed[key].Object, "spec", "providerConfigRef", "name") != "default" {
				t.Errorf("%s: what was observed of %s was changed", name, key)
			}
		}
	}
}

// TestPlacementChanges has the platform team edit the Placement under a claim that nobody edits: its store stays where it is.
func TestPlacementChanges(t *testing.T) {
	c := claimOf(t, "{class: durable, subscriptions: [{name: a}]}")
	before := Place(c, offerOf(t, offerYAML), nil, nil)
	observed := apply(before)
	if err := unstructured.SetNestedField(observed["store-aws-us-east-1-aws"].Object.Object, int64(6), "spec", "forProvider", "partitions"); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct{ reason, was, is string }{
		"ProviderConfig": {reason: "The ProviderConfig has another name.", was: "region: us-east-1, providerConfigs: {kafka: aws}", is: "region: us-east-1, providerConfigs: {kafka: new}"},
		"Default":        {reason: "Other claims go elsewhere by default.", was: "defaultLocations: [{cloud: aws, region: us-east-1}]", is: "defaultLocations: [{cloud: aws, region: us-east-2}]"},
		"Partitions":     {reason: "Other stores have another number.", was: "limits: {maxPartitions: 12,", is: "defaults: {partitions: 3}\n    limits: {maxPartitions: 4,"},
	} {
		offer := strings.Replace(offerYAML, tc.was, tc.is, 1)
		if offer == offerYAML {
			t.Fatalf("%s changes nothing", name)
		}
		after := Place(c, offerOf(t, offer), observed, nil)
		if diff := cmp.Diff(names(before), names(after)); diff != "" || after.Refusal != nil || !after.Ready {
			t.Errorf("%s: %s\n%+v (-before, +after):\n%s", name, tc.reason, after.Refusal, diff)
			continue
		}
		for _, path := range [][]string{{"spec", "providerConfigRef", "name"}, {"spec", "writeConnectionSecretToRef", "name"}} {
			if was, is := text(observed["store-aws-us-east-1-aws"].Object, path...), text(after.Resources["store-aws-us-east-1-aws"].Object, path...); was != is {
				t.Errorf("%s: %s\n%v was %s, and is %s", name, tc.reason, path, was, is)
			}
		}
		if n := number(after.Resources["store-aws-us-east-1-aws"].Object, "spec", "forProvider", "partitions"); n != 6 {
			t.Errorf("%s: %s\nthe store has 6 partitions, and is to have %d", name, tc.reason, n)
		}
	}
}

// TestRefusedInUse refuses a change of a claim that is in use: what its applications and its author need to know stays.
func TestRefusedInUse(t *testing.T) {
	offer := offerOf(t, offerYAML)
	c := claimOf(t, "{class: durable, connectionSecretName: s, subscriptions: [{name: a}]}")
	observed := apply(Place(c, offer, nil, nil))
	before := Place(c, offer, observed, nil)
	refused := c
	refused.Partitions = new(int32(13))
	after := Place(refused, offer, observed, nil)
	if after.Refusal == nil || after.Ready {
		t.Fatalf("refusal %+v, ready %t", after.Refusal, after.Ready)
	}
	before.Status.Message = after.Status.Message
	if diff := cmp.Diff(before.Status, after.Status); diff != "" {
		t.Errorf("the status (-before, +after):\n%s", diff)
	}
	if diff := cmp.Diff(before.Details, after.Details); diff != "" {
		t.Errorf("the details (-before, +after):\n%s", diff)
	}
}

// TestMovedTwice has a third store in one location: each has a Secret of its own.
func TestMovedTwice(t *testing.T) {
	offer := offerOf(t, "{classes: [{name: a, backend: kafka}, {name: b, backend: pulsar}, {name: c, backend: redis}],"+
		"locations: [{cloud: x, region: z, providerConfigs: {kafka: k, pulsar: p, redis: r}}]}")
	observed := Observed{}
	for _, class := range []string{"a", "b", "c"} {
		observed = apply(Place(claimOf(t, "{class: "+class+", connectionSecretName: s}"), offer, observed, nil))
	}
	secrets := map[string]bool{}
	for _, r := range observed {
		secrets[text(r.Object, "spec", "writeConnectionSecretToRef", "name")] = true
	}
	if len(observed) != 3 || len(secrets) != 3 || !secrets["s"] {
		t.Errorf("%d stores write to %v", len(observed), secrets)
	}
}

// TestFailures has one of several locations fail: the sentence names the claim, the place, the cause and the remedy.
func TestFailures(t *testing.T) {
	offer := offerOf(t, offerYAML)
	c := claimOf(t, "{class: global, locations: [{cloud: aws, region: us-east-1}, {cloud: azure, region: eastus}]}")
	observed := apply(Place(c, offer, nil, nil))
	err := unstructured.SetNestedSlice(observed["store-azure-eastus-azure"].Object.Object, []any{
		map[string]any{"type": "Synced", "status": "False", "message": `ProviderConfig "azure" does not exist: create it`},
	}, "status", "conditions")
	if err != nil {
		t.Fatal(err)
	}
	r := Place(c, offer, observed, nil)
	if want := `EventStoreClaim shop/orders in azure/eastus: ProviderConfig "azure" does not exist: create it`; r.Ready || r.Status.Message != want || !r.Status.Locations[0].Ready {
		t.Errorf("ready %t, message %q, want %q", r.Ready, r.Status.Message, want)
	}
}

// FuzzParse has whatever an offer and a claim say never panic, never drop what holds data, and always give the same.
func FuzzParse(f *testing.F) {
	raw, err := yaml.YAMLToJSON([]byte(offerYAML))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw, []byte(`{"class":"durable","locations":[{"cloud":"aws","region":"us-east-1"}],"subscriptions":[{"name":"a"}]}`))
	f.Add([]byte(`{"classes":[{"name":"x"}],"locations":[{"cloud":"a","region":"b","providerConfigs":{"kafka":"k"}}]}`), []byte(`{"class":"x"}`))
	observed := apply(Place(claimOf(f, "{class: durable, subscriptions: [{name: a}]}"), offerOf(f, offerYAML), nil, nil))
	lag(f, observed["subscription-a-aws-us-east-1-aws"])
	f.Fuzz(func(t *testing.T, offer, spec []byte) {
		o, err := ParseOffer("fuzzed", offer)
		if err != nil {
			return
		}
		c := claimOf(t, "{}")
		if json.Unmarshal(spec, &c.Spec) != nil {
			return
		}
		r := Place(c, o, observed, nil)
		for key := range observed {
			if _, ok := r.Resources[key]; !ok {
				t.Errorf("%s is dropped", key)
			}
		}
		if diff := cmp.Diff(r, Place(c, o, observed, nil)); diff != "" {
			t.Errorf("another result for the same (-once, +again):\n%s", diff)
		}
	})
}
