package api_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"

	xpextv1 "github.com/crossplane/crossplane/apis/v2/apiextensions/v1"
	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// TestClaimRules creates claims and namespaced composite resources. An empty want means that it is accepted.
func TestClaimRules(t *testing.T) {
	cases := map[string]struct {
		reason string
		kinds  []string
		name   string
		spec   string
		want   string
	}{
		"Store":              {"A class is enough.", stores, "orders", `{class: fast}`, ""},
		"Places":             {"One store in each, with what reads it.", stores, "orders", `{class: fast, locations: [{cloud: aws, region: us-east-1}, {cloud: azure, region: eastus}], subscriptions: [{name: billing}]}`, ""},
		"PlaceTwice":         {"One store is enough.", stores, "orders", `{class: fast, locations: [{cloud: aws, region: us-east-1}, {cloud: aws, region: us-east-1}]}`, "Duplicate value"},
		"HalfAPlace":         {"Nobody can guess the region.", stores, "orders", `{class: fast, locations: [{cloud: aws}]}`, "region: Required"},
		"ListedTwice":        {"They would be one.", stores, "orders", `{class: fast, subscriptions: [{name: a}, {name: a}]}`, "Duplicate value"},
		"ListedFromTwo":      {"The rule is that of the managed resource.", stores, "orders", `{class: fast, subscriptions: [{name: a, startFrom: {position: Latest, time: "2026-01-31T12:00:00Z"}}]}`, "exactly one of position"},
		"StoreWithoutClass":  {"Nobody can guess it.", stores, "orders", `{}`, "spec.class: Required"},
		"StoreInDays":        {"The rule is that of the managed resource.", stores, "orders", `{class: fast, retention: {duration: 7d}}`, "7 days are 168h"},
		"EmptyRetention":     {"The rule is that of the managed resource.", stores, "orders", `{class: fast, retention: {}}`, "leave retention out"},
		"Subscription":       {"A class and a store are enough.", subs, "billing", `{class: fast, eventStore: orders}`, ""},
		"NoStore":            {"It must read something.", subs, "billing", `{class: fast}`, "spec.eventStore: Required"},
		"NameWithDot":        {"The rule is that of the managed resource.", subs, "billing.eu", `{class: fast, eventStore: orders}`, "use '-' in metadata.name"},
		"FromTwoPlaces":      {"The rule is that of the managed resource.", subs, "billing", `{class: fast, eventStore: orders, startFrom: {position: Latest, time: "2026-01-31T12:00:00Z"}}`, "exactly one of position"},
		"DeadLettersOffKept": {"The rule is that of the managed resource.", subs, "billing", `{class: fast, eventStore: orders, deadLetter: {enabled: false, retention: 1h}}`, "retention has no meaning"},
		"ReplayWithoutID":    {"The rule is that of the managed resource.", subs, "billing", `{class: fast, eventStore: orders, replay: {from: {position: Latest}}}`, "replay.id: Required"},
		"LongName":           {"A subscription's name has at most 40 characters.", []string{"AppSubscription"}, strings.Repeat("a", 41), `{class: fast, eventStore: orders}`, "at most 40 characters"},
		"OneSecretTwice":     {"Two would write the same Secret.", []string{"EventStoreClaim"}, "orders", `{class: fast, connectionSecretName: a, writeConnectionSecretToRef: {name: a}}`, "remove one of them"},
		"TwoSecrets":         {"A Secret and a copy of it.", []string{"EventStoreClaim"}, "orders", `{class: fast, connectionSecretName: a, writeConnectionSecretToRef: {name: b}}`, ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			for _, kind := range tc.kinds {
				refused(t, kind+": "+tc.reason, try(t, platform.object(t, kind, tc.name, tc.spec)), tc.want)
			}
		})
	}
}

// platform is the group of claims and composite resources.
var platform = scope{group: "platform.eventstore.crossplane.io", namespace: "shop"}

var (
	stores = []string{"EventStoreClaim", "AppEventStore"}
	subs   = []string{"SubscriptionClaim", "AppSubscription"}
)

// TestClaimChanges changes claims and namespaced composite resources that exist.
func TestClaimChanges(t *testing.T) {
	cases := map[string]struct {
		reason        string
		kinds         []string
		before, after string
		want          string
	}{
		"OtherClass":     {"The function keeps the old store, and the provider one that holds records.", stores, `{class: fast}`, `{class: durable}`, ""},
		"GrowPartitions": {"The rule is that of the managed resource.", stores, `{class: fast, partitions: 6}`, `{class: fast, partitions: 12}`, "create a new store and migrate"},
		"AddPartitions":  {"What exists may be written down.", stores, `{class: fast}`, `{class: fast, partitions: 6}`, ""},
		"MoveListed":     {"It would have no effect.", stores, `{class: fast, subscriptions: [{name: a}]}`, `{class: fast, subscriptions: [{name: a, startFrom: {position: Latest}}]}`, "set replay"},
		"OtherStore":     {"Positions in one store mean nothing in another.", subs, `{class: fast, eventStore: a}`, `{class: fast, eventStore: b}`, "eventStore cannot change"},
		"MoveStart":      {"It would have no effect.", subs, `{class: fast, eventStore: a}`, `{class: fast, eventStore: a, startFrom: {position: Latest}}`, "set replay"},
		"SameReplay": {
			"The same id would do nothing.", subs, `{class: fast, eventStore: a, replay: {id: a, from: {position: Earliest}}}`,
			`{class: fast, eventStore: a, replay: {id: a, from: {position: Latest}}}`, "new id",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			for _, kind := range tc.kinds {
				u := platform.object(t, kind, strings.ToLower("change-"+name), tc.before)
				keep(t, u)
				u.Object["spec"] = platform.object(t, kind, "-", tc.after).Object["spec"]
				refused(t, kind+": "+tc.reason, kube.Update(t.Context(), u, client.DryRunAll), tc.want)
			}
		})
	}
}

// TestConnectionSecretKeys compares the keys that the plain Composition copies with those that the provider writes: a key that
// is missing would be missing in every claim's Secret. The XRDs let all through: those of several locations have prefixes.
func TestConnectionSecretKeys(t *testing.T) {
	want := layoutKeys(t)
	xrds, err := definitions()
	if err != nil {
		t.Fatal(err)
	}
	for _, xrd := range xrds {
		if xrd.Spec.ClaimNames == nil {
			continue // Namespaced composite resources have no connection Secret: the managed resource writes it.
		}
		t.Run(xrd.Spec.Names.Kind, func(t *testing.T) {
			if keys := xrd.Spec.ConnectionSecretKeys; len(keys) > 0 {
				t.Errorf("the XRD lets %q through alone", keys)
			}
			if diff := cmp.Diff(want, composedKeys(t, xrd.Spec.Names.Kind)); diff != "" {
				t.Errorf("connectionDetails of the Composition: -want, +got:\n%s", diff)
			}
		})
	}
}

// layoutKeys reads the constants Secret… of package layout, sorted.
func layoutKeys(t *testing.T) []string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "../../internal/layout/secret.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	ast.Inspect(f, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		for i, name := range v.Names {
			if !strings.HasPrefix(name.Name, "Secret") || name.Name == "SecretTypeEventStore" || i >= len(v.Values) {
				continue
			}
			if lit, ok := v.Values[i].(*ast.BasicLit); ok {
				s, err := strconv.Unquote(lit.Value)
				if err != nil {
					t.Fatal(err)
				}
				keys = append(keys, s)
			}
		}
		return false
	})
	slices.Sort(keys)
	return keys
}

// composedKeys returns the keys that the Composition of a kind copies, sorted.
func composedKeys(t *testing.T, kind string) []string {
	t.Helper()
	compositions, err := readAll[xpextv1.Composition](configurationDir, "apis/*/*-composition.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range compositions {
		if c.Spec.CompositeTypeRef.Kind != kind {
			continue
		}
		input := struct {
			Resources []struct {
				ConnectionDetails []struct{ Name, FromConnectionSecretKey string }
			}
		}{}
		if err := yaml.Unmarshal(c.Spec.Pipeline[0].Input.Raw, &input); err != nil {
			t.Fatal(err)
		}
		var keys []string
		for _, d := range input.Resources[0].ConnectionDetails {
			if d.Name != d.FromConnectionSecretKey {
				t.Errorf("key %s becomes %s: applications look for the first", d.FromConnectionSecretKey, d.Name)
			}
			keys = append(keys, d.Name)
		}
		slices.Sort(keys)
		return keys
	}
	t.Fatalf("there is no Composition for %s", kind)
	return nil
}

// TestColumns checks what kubectl get prints, in the order in which it prints it.
func TestColumns(t *testing.T) {
	want := map[string][]string{
		"EventStore":            {"READY", "SYNCED", "ACCEPTED", "BACKEND", "PARTITIONS", "RECORDS", "EXTERNAL-NAME", "AGE"},
		"Subscription":          {"READY", "SYNCED", "ACCEPTED", "STORE", "TYPE", "LAG", "CONSUMERS", "AGE"},
		"ProviderConfig":        {"HEALTHY", "BACKEND", "USERS", "AGE"},
		"ClusterProviderConfig": {"HEALTHY", "BACKEND", "USERS", "AGE"},
	}
	crds, err := readAll[unstructured.Unstructured](providerDir, "crds/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, crd := range crds {
		kind, _, _ := unstructured.NestedString(crd.Object, "spec", "names", "kind")
		if want[kind] == nil {
			continue
		}
		t.Run(crd.GetName(), func(t *testing.T) {
			versions, _, _ := unstructured.NestedSlice(crd.Object, "spec", "versions")
			columns, _, _ := unstructured.NestedSlice(versions[0].(map[string]any), "additionalPrinterColumns") //nolint:forcetypeassert // A CRD's version is an object.
			var got []string
			for _, c := range columns {
				m := c.(map[string]any) //nolint:forcetypeassert // So is a column.
				if _, wide := m["priority"]; !wide {
					got = append(got, m["name"].(string)) //nolint:forcetypeassert // It has a name.
				}
			}
			if diff := cmp.Diff(want[kind], got); diff != "" {
				t.Errorf("columns: -want, +got:\n%s", diff)
			}
		})
	}
}
