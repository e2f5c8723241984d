package e2e_test

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	clusterv1alpha1 "github.com/crossplane-contrib/provider-eventstore/apis/cluster/v1alpha1"
)

// faults are planted each, and esctl explain has to begin with want. None touches what other claims use: each has a
// Composition, a location or a function of its own.
var faults = map[string]struct {
	reason string
	plant  func(t *testing.T, p *plot) (want string)
}{
	"None":            {reason: "All is well.", plant: allIsWell},
	"UnknownClass":    {reason: "A typo in the class.", plant: asks("golden", "good", `class "golden" is not offered: set class to one of fast, durable`)},
	"NotOffered":      {reason: "There is no Kafka there.", plant: asks("durable", "unreachable", `class "durable" is not offered in local/unreachable`)},
	"UnknownLocation": {reason: "There is no such place.", plant: asks("fast", "atlantis", "location local/atlantis does not exist")},
	"BrokerDown":      {reason: "Nobody listens there.", plant: asks("fast", "unreachable", "ProviderConfig explain-unreachable: its broker cannot be reached (Unreachable)")},
	"WrongPassword":   {reason: "The broker knows another password.", plant: asks("fast", "unauthorized", "ProviderConfig explain-unauthorized: its broker refuses the credentials (Unauthorized)")},
	"NoSecret":        {reason: "The ProviderConfig names a Secret that is not there.", plant: asks("fast", "no-secret", "Secret crossplane-system/explain-nowhere, which ProviderConfig explain-no-secret names, does not exist")},
	"NoConfig":        {reason: "The Placement names a ProviderConfig that is not there.", plant: asks("fast", "no-config", "ProviderConfig explain-no-config, which EventStore ")},
	"Namespaced": {
		reason: "A namespaced composite resource names ClusterProviderConfigs.",
		plant: func(t *testing.T, p *plot) string {
			p.namespaced = true
			p.composition(t, ourFunction, placementStep(offered))
			create(t, p.claim(t, "fast", "no-config"))
			return "ClusterProviderConfig explain-no-config, which EventStore " + p.namespace + "/orders-"
		},
	},
	"NoEnvironment": {
		reason: "The platform team has not said what claims become.",
		plant: func(t *testing.T, p *plot) string {
			p.composition(t, ourFunction, placementStep("explain-nothing"))
			create(t, p.claim(t, "fast", "good"))
			return "EnvironmentConfig explain-nothing, which says what claims become, does not exist"
		},
	},
	"EnvironmentTypo": {
		reason: "The platform team has mistyped.",
		plant: func(t *testing.T, p *plot) string {
			manifest(t, "apiVersion: apiextensions.crossplane.io/v1beta1\nkind: EnvironmentConfig\nmetadata: {name: explain-typo}\ndata: {clases: []}")
			p.composition(t, ourFunction, placementStep("explain-typo"))
			create(t, p.claim(t, "fast", "good"))
			return `EnvironmentConfig "explain-typo": json: unknown field "clases"`
		},
	},
	"NoComposition": {
		reason: "The claim asks for one that nobody made.",
		plant: func(t *testing.T, p *plot) string {
			p.named = "explain-nothing"
			create(t, p.claim(t, "fast", "good"))
			return "Composition explain-nothing, which "
		},
	},
	"NoFunction": {
		reason: "The Composition calls one that nobody installed.",
		plant: func(t *testing.T, p *plot) string {
			p.composition(t, "explain-nothing", placementStep(offered))
			create(t, p.claim(t, "fast", "good"))
			return "Function explain-nothing, which the Composition calls, is not installed"
		},
	},
	"FunctionCrashes": {
		reason: "It ends as soon as it starts.",
		plant: func(t *testing.T, p *plot) string {
			p.composition(t, crashing(t, "function-explain-crash"), placementStep(offered))
			create(t, p.claim(t, "fast", "good"))
			return "Function crossplane-contrib-function-explain-crash does not run"
		},
	},
	"FunctionHangs": {
		reason: "It takes requests, and answers none. Crossplane says so only after some minutes.",
		plant: func(t *testing.T, p *plot) string {
			name, _ := install(t, "function-explain-hang")
			stopped(t, "function-explain-hang")
			p.composition(t, name, placementStep(offered))
			create(t, p.claim(t, "fast", "good"))
			return "Function crossplane-contrib-function-explain-hang hangs" // By whomever it is found first.
		},
	},
	"NotActivated": {
		reason: "A provider serves the kind, and no ManagedResourceActivationPolicy activates it.",
		plant: func(t *testing.T, p *plot) string {
			manifest(t, notActivated)
			p.composition(t, "crossplane-contrib-function-patch-and-transform", widgetStep)
			create(t, p.claim(t, "fast", "good"))
			return "the kind Widget of explain.example.org is not activated"
		},
	},
	"Conflict": {
		reason: "Somebody else has a store of that name.",
		plant: func(t *testing.T, p *plot) string {
			owner := manifest(t, fmt.Sprintf("apiVersion: eventstore.crossplane.io/v1alpha1\nkind: EventStore\nmetadata: {name: explain-owner, annotations: {crossplane.io/external-name: %s.orders}}\nspec: {providerConfigRef: {name: fast}}", p.namespace))
			ready(t, owner)
			create(t, p.claim(t, "fast", "good"))
			return "is refused (Conflict)"
		},
	},
	"LeftBehind": {
		reason: "The claim has moved to Kafka, and the store on Redis holds a record.",
		plant: func(t *testing.T, p *plot) string {
			c := p.holding(t, nil)
			eventually(t, "the claim has moved", func(ctx context.Context) (bool, string) {
				if err := world.kube.Get(ctx, client.ObjectKeyFromObject(c), c); err != nil {
					return false, err.Error()
				}
				err := world.kube.Update(ctx, ofClass(t, "durable", c))
				return err == nil, fmt.Sprint(err)
			})
			return fmt.Sprintf("EventStoreClaim %s/orders does not ask for EventStore %s.orders in local/good any more", p.namespace, p.namespace)
		},
	},
	"DeletionRefused": {
		reason: "The claim waits for a store that holds a record.",
		plant: func(t *testing.T, p *plot) string {
			c := p.holding(t, nil)
			if err := world.kube.Delete(t.Context(), c, client.PropagationPolicy("Foreground")); err != nil {
				t.Fatal(err)
			}
			return "is being deleted, and refuses (NotEmpty)"
		},
	},
	"ClaimGone": {
		reason: "The claim did not wait for its store.",
		plant: func(t *testing.T, p *plot) string {
			c := p.holding(t, func(c *unstructured.Unstructured) {
				_ = unstructured.SetNestedField(c.Object, "Background", "spec", "compositeDeletePolicy")
			})
			if err := world.kube.Delete(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			gone(t, c)
			return "refuses to be deleted (NotEmpty)"
		},
	},
}

// TestExplain plants faults, and has esctl find them. It is not parallel: it stops the provider in the end.
func TestExplain(t *testing.T) {
	setStage(t)
	t.Run("Planted", func(t *testing.T) {
		for name, f := range faults {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				p := &plot{namespace: namespace(t), named: shared}
				p.find(t, f.reason, f.plant(t, p))
				switch name {
				case "ClaimGone":
					p.findsOrphans(t)
					p.confirms(t)
				case "DeletionRefused":
					p.confirms(t)
				}
			})
		}
	})
	t.Run("ProviderStopped", func(t *testing.T) {
		p := &plot{namespace: namespace(t), named: shared}
		stopped(t, "provider-eventstore")
		create(t, p.claim(t, "fast", "good"))
		p.find(t, "Nobody makes stores.", "Provider crossplane-contrib-provider-eventstore does not run")
	})
}

// asks has a claim ask for what it cannot get.
func asks(class, region, want string) func(t *testing.T, p *plot) string {
	return func(t *testing.T, p *plot) string {
		create(t, p.claim(t, class, region))
		return want
	}
}

func allIsWell(t *testing.T, p *plot) string {
	c := p.claim(t, "fast", "good")
	create(t, c)
	ready(t, c)
	return fmt.Sprintf("EventStoreClaim %s/orders is ready.", p.namespace)
}

// find waits until esctl begins with want.
func (p *plot) find(t *testing.T, reason, want string) {
	t.Helper()
	var out string
	eventually(t, "esctl explain begins with "+want, func(ctx context.Context) (bool, string) {
		var code int
		out, code = esctl(ctx, "explain", "orders", "-n", p.namespace)
		first, _, _ := strings.Cut(out, "\n")
		return strings.Contains(first, want) && code == map[bool]int{true: 0, false: 1}[strings.HasSuffix(want, " is ready.")], fmt.Sprintf("%s (exit code %d)", out, code)
	})
	t.Logf("%s\n%s", reason, out)
}

// confirms does what esctl says, and the store goes.
func (p *plot) confirms(t *testing.T) {
	t.Helper()
	out, _ := esctl(t.Context(), "explain", "orders", "-n", p.namespace)
	m := regexp.MustCompile(`kubectl annotate eventstore\.eventstore\.crossplane\.io (\S+) --overwrite eventstore\.crossplane\.io/confirm=([0-9a-f]{8})`).FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("esctl does not say how to confirm:\n%s", out)
	}
	mg := composed(t, clusterv1alpha1.EventStoreGroupVersionKind, p.namespace)
	if mg.GetName() != m[1] {
		t.Fatalf("esctl names store %s, want %s", m[1], mg.GetName())
	}
	if err := annotate(t.Context(), mg, m[2]); err != nil {
		t.Fatal(err)
	}
	gone(t, mg)
}

func (p *plot) findsOrphans(t *testing.T) {
	t.Helper()
	out, code := esctl(t.Context(), "explain", "--orphans")
	if !strings.Contains(out, "EventStoreClaim "+p.namespace+"/orders does not exist any more") || code != 1 {
		t.Errorf("esctl explain --orphans does not find it (exit code %d):\n%s", code, out)
	}
}

// stopped has a package's process do nothing more, until the test ends.
func stopped(t *testing.T, name string) {
	t.Helper()
	p, err := world.Process(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Signal(syscall.SIGCONT) })
}
