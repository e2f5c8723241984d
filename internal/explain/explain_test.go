package explain

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var update = flag.Bool("update", false, "write what was explained to the golden files")

const (
	refusesDeletion = `Store "shop.orders" holds records, which deletion would destroy: confirm with 0badcafe, or remove Delete from managementPolicies to keep them`
	runtimeCrashed  = "process ended (exit status 2), its log ends with: panic: planted"
)

// unready makes everything above a store not ready, as Crossplane does.
func unready(w *world, store, message string) {
	w.says("EventStore", store, "Ready", "False", "Unavailable", "")
	w.says("EventStore", store, "Synced", "False", "ReconcileError", message)
	w.says("XEventStore", "orders", "Ready", "False", "Creating", "Unready resources: store")
	w.says("XEventStore", "orders", "Synced", "False", "ReconcileError", "Unsynced resources: store")
	w.says("EventStoreClaim", "orders", "Ready", "False", "Waiting", "Composite resource claim is waiting for composite resource to become Ready")
}

// uncomposed has Crossplane fail to make resources of a claim.
func uncomposed(w *world, message string) {
	w.says("XEventStore", "orders", "Synced", "False", "ReconcileError", "cannot compose resources: "+message)
	w.says("EventStoreClaim", "orders", "Ready", "False", "Waiting", "Composite resource claim is waiting for composite resource to become Ready")
}

// cases plant a fault each. The first line of what is explained has want.
var cases = map[string]struct {
	reason string
	plant  func(w *world)
	want   string
}{
	"Well": {
		reason: "All is well, and protected stores are.", plant: func(*world) {},
		want: "EventStoreClaim shop/orders is ready.",
	},
	"UnknownClass": {
		reason: "What the function refuses names the claim and the remedy.",
		plant: func(w *world) {
			const message = `EventStoreClaim shop/orders: class "golbal" is not offered: set class to one of global`
			w.says("XEventStore", "orders", "Accepted", "False", "UnknownClass", message)
			w.says("EventStoreClaim", "orders", "Accepted", "False", "UnknownClass", message)
			w.says("EventStoreClaim", "orders", "Ready", "False", "Waiting", "")
		},
		want: `class "golbal" is not offered`,
	},
	"EnvironmentConfigMissing": {
		reason: "The function fails, and the reason is not the function.",
		plant: func(w *world) {
			w.remove("EnvironmentConfig", "eventstore")
			uncomposed(w, `pipeline step "place" returned a fatal result: there is no EnvironmentConfig "eventstore-placement", which says what claims become`)
		},
		want: "EnvironmentConfig eventstore-placement, which says what claims become, does not exist",
	},
	"EnvironmentConfigTypo": {
		reason: "It is read as the function reads it.",
		plant: func(w *world) {
			w.set("EnvironmentConfig", "eventstore", []any{}, "data", "qoutas")
			uncomposed(w, `pipeline step "place" returned a fatal result: cannot read the Placement in EnvironmentConfig "eventstore-placement": json: unknown field "qoutas"`)
		},
		want: `EnvironmentConfig "eventstore-placement": json: unknown field "qoutas"`,
	},
	"FunctionMissing": {
		reason: "The Composition calls a function that nobody installed.",
		plant: func(w *world) {
			w.remove("Function", "")
			w.remove("FunctionRevision", "")
			uncomposed(w, `cannot run Composition pipeline step "place": cannot get gRPC client connection for Function "crossplane-contrib-function-eventstore": cannot find an active FunctionRevision`)
		},
		want: "Function crossplane-contrib-function-eventstore, which the Composition calls, is not installed",
	},
	"FunctionCrashes": {
		reason: "Its runtime says why.",
		plant: func(w *world) {
			w.says("FunctionRevision", "", "RuntimeHealthy", "False", "UnhealthyPackageRevision", runtimeCrashed)
			w.says("Function", "", "Healthy", "False", "UnhealthyPackageRevision", "cannot establish the function")
			uncomposed(w, `cannot run Composition pipeline step "place": cannot run Function "crossplane-contrib-function-eventstore": rpc error: code = Unavailable desc = connection refused`)
		},
		want: "Function crossplane-contrib-function-eventstore does not run",
	},
	"FunctionHangs": {
		reason: "It looks healthy to everybody but Crossplane.",
		plant: func(w *world) {
			uncomposed(w, `cannot run Composition pipeline step "place": cannot run Function "crossplane-contrib-function-eventstore": rpc error: code = DeadlineExceeded desc = context deadline exceeded`)
		},
		want: "Function crossplane-contrib-function-eventstore hangs",
	},
	"CompositionMissing": {
		reason: "Nothing says what the claim becomes.",
		plant: func(w *world) {
			w.remove("Composition", "placed")
			w.says("XEventStore", "orders", "Synced", "False", "ReconcileError", `cannot fetch Composition: cannot get Composition: not found`)
		},
		want: "Composition placed.xeventstores.platform.eventstore.crossplane.io, which XEventStore orders-7xk2p has, does not exist",
	},
	"DefinitionMissing": {
		reason: "The configuration package is not there at all.",
		plant: func(w *world) {
			w.unserved["EventStoreClaim"], w.unserved["XEventStore"] = true, true
			w.remove("CompositeResourceDefinition", "")
		},
		want: "CompositeResourceDefinition xeventstores.platform.eventstore.crossplane.io does not exist",
	},
	"KindNotActivated": {
		reason: "Nobody has activated what the provider serves.",
		plant: func(w *world) {
			w.unserved["EventStore"] = true
			w.set("ManagedResourceDefinition", "eventstores", "Inactive", "spec", "state")
			w.says("ManagedResourceDefinition", "eventstores", "Established", "False", "InactiveManagedResource", "")
			uncomposed(w, `cannot apply composed resource "store": no matches for kind "EventStore" in version "eventstore.crossplane.io/v1alpha1"`)
		},
		want: "the kind EventStore of eventstore.crossplane.io is not activated",
	},
	"ProviderUnhealthy": {
		reason: "What the provider said last is old: the provider comes first.",
		plant: func(w *world) {
			w.says("ProviderRevision", "", "RuntimeHealthy", "False", "UnhealthyPackageRevision", runtimeCrashed)
			w.says("Provider", "", "Healthy", "False", "UnhealthyPackageRevision", runtimeCrashed)
			w.says("ProviderConfig", "redis", "Healthy", "False", "Unreachable", "connection refused")
		},
		want: "Provider crossplane-contrib-provider-eventstore does not run",
	},
	"ProviderMissing": {
		reason: "Its kinds are gone with it.",
		plant: func(w *world) {
			w.remove("Provider", "")
			w.remove("ProviderRevision", "")
			w.remove("ManagedResourceDefinition", "events")
			w.remove("ManagedResourceDefinition", "subs")
			w.unserved["EventStore"], w.unserved["Subscription"] = true, true
			uncomposed(w, `no matches for kind "EventStore" in version "eventstore.crossplane.io/v1alpha1"`)
		},
		want: "the package provider-eventstore is not installed as any Provider",
	},
	"ProviderConfigMissing": {
		reason: "One of two locations has none.",
		plant: func(w *world) {
			w.remove("ProviderConfig", "redis")
			unready(w, "orders-7xk2p-alibaba", "connect failed: ProviderConfig redis does not exist: create it, or correct spec.providerConfigRef")
		},
		want: "ProviderConfig redis, which EventStore orders-7xk2p-alibaba-cn-hangzhou-c3 names, does not exist",
	},
	"SecretMissing": {
		reason: "The ProviderConfig is there, and what it names is not.",
		plant: func(w *world) {
			w.remove("Secret", "redis-admin")
			const message = "Secret crossplane-system/redis-admin, which the ProviderConfig names, does not exist: create it"
			w.says("ProviderConfig", "redis", "Healthy", "False", "CredentialsMissing", message)
			unready(w, "orders-7xk2p-alibaba", "connect failed: "+message)
		},
		want: "Secret crossplane-system/redis-admin, which ProviderConfig redis names, does not exist",
	},
	"Unreachable": {
		reason: "A broker that does not answer explains the store, and not the other way round.",
		plant: func(w *world) {
			w.says("ProviderConfig", "redis", "Healthy", "False", "Unreachable", "cannot reach redis.example.org:6379: connection refused")
			unready(w, "orders-7xk2p-alibaba", "observe failed: cannot reach redis.example.org:6379: connection refused")
		},
		want: "ProviderConfig redis: its broker cannot be reached (Unreachable)",
	},
	"Unauthorized": {
		reason: "The Secret with the password is named.",
		plant: func(w *world) {
			w.says("ProviderConfig", "kafka", "Healthy", "False", "Unauthorized", "the broker refuses the credentials: SASL_AUTHENTICATION_FAILED")
			unready(w, "orders-7xk2p-aws", "observe failed: the broker refuses the credentials")
		},
		want: "ProviderConfig kafka: its broker refuses the credentials (Unauthorized)",
	},
	"Conflict": {
		reason: "Another resource owns the store: the confirmation goes on the claim.",
		plant: func(w *world) {
			const message = `Store "shop.orders" belongs to EventStore legacy of control plane 4711: choose another external name, or confirm with 12345678 to take it over`
			w.says("EventStore", "orders-7xk2p-aws", "Accepted", "False", "Conflict", message)
			w.says("EventStore", "orders-7xk2p-aws", "Ready", "False", "Refused", message)
			w.says("XEventStore", "orders", "Accepted", "False", "Conflict", "EventStoreClaim shop/orders in aws/us-east-1: "+message)
			w.says("EventStoreClaim", "orders", "Ready", "False", "Waiting", "")
		},
		want: "is refused (Conflict)",
	},
	"DeletionRefused": {
		reason: "The claim is being deleted: a confirmation on it would go nowhere.",
		plant: func(w *world) {
			w.delete("EventStoreClaim", "orders")
			w.delete("XEventStore", "orders")
			w.delete("EventStore", "orders-7xk2p-aws")
			w.says("EventStore", "orders-7xk2p-aws", "Accepted", "False", "NotEmpty", refusesDeletion)
			w.says("EventStore", "orders-7xk2p-aws", "Ready", "False", "Deleting", refusesDeletion)
			w.remove("EventStore", "orders-7xk2p-alibaba")
			w.remove("Subscription", "orders")
		},
		want: "is being deleted, and refuses (NotEmpty)",
	},
	"ClaimGone": {
		reason: "The claim is gone, and its store is found by its labels.",
		plant: func(w *world) {
			w.remove("EventStoreClaim", "orders")
			w.remove("XEventStore", "orders")
			w.delete("EventStore", "orders-7xk2p-aws")
			w.says("EventStore", "orders-7xk2p-aws", "Accepted", "False", "NotEmpty", refusesDeletion)
			w.remove("EventStore", "orders-7xk2p-alibaba")
			w.remove("Subscription", "orders")
		},
		want: "EventStoreClaim shop/orders does not exist any more, and its EventStore orders-7xk2p-aws-us-east-1-a1 refuses to be deleted (NotEmpty)",
	},
	"LeftBehind": {
		reason: "The claim has moved, and the old store holds events.",
		plant: func(w *world) {
			w.set("XEventStore", "orders", []any{map[string]any{
				"kind": "EventStore", "name": "shop.orders", "cloud": "aws", "region": "us-east-1", "backend": "kafka", "confirm": "feedf00d",
			}}, "status", "leftBehind")
			w.says("XEventStore", "orders", "Accepted", "False", "LeftBehind", "store shop.orders in aws/us-east-1 (class global) is not asked for any more")
		},
		want: "does not ask for EventStore shop.orders in aws/us-east-1 any more",
	},
	"Forbidden": {
		reason: "An application team may not read what is the platform team's, and still gets the cause.",
		plant: func(w *world) {
			for _, k := range []string{"Provider", "ProviderRevision", "Function", "FunctionRevision", "ManagedResourceDefinition", "CompositeResourceDefinition", "Composition", "ProviderConfig"} {
				w.secret[k] = true
			}
			unready(w, "orders-7xk2p-alibaba", "observe failed: cannot reach redis.example.org:6379: connection refused")
		},
		want: "EventStore orders-7xk2p-alibaba-cn-hangzhou-c3 is not synced: observe failed: cannot reach redis.example.org:6379",
	},
	"Paused": {
		reason: "Somebody has stopped it on purpose.",
		plant: func(w *world) {
			w.of("XEventStore", "orders").SetAnnotations(map[string]string{"crossplane.io/paused": "true"})
		},
		want: "XEventStore orders-7xk2p is paused",
	},
	"New": {
		reason: "Nothing is wrong: it takes a moment.",
		plant: func(w *world) {
			w.set("XEventStore", "orders", map[string]any{}, "status")
			w.says("EventStoreClaim", "orders", "Ready", "False", "Waiting", "")
			w.of("XEventStore", "orders").SetCreationTimestamp(metav1.Now())
		},
		want: "XEventStore orders-7xk2p is new",
	},
	"Slow": {
		reason: "Crossplane says nothing of a function that it waits for.",
		plant: func(w *world) {
			w.set("XEventStore", "orders", map[string]any{}, "status")
			w.says("EventStoreClaim", "orders", "Ready", "False", "Waiting", "")
			w.of("XEventStore", "orders").SetCreationTimestamp(metav1.NewTime(time.Now().Add(-time.Minute)))
		},
		want: "XEventStore orders-7xk2p has not been composed for 30s: Function crossplane-contrib-function-eventstore hangs",
	},
}

func TestExplain(t *testing.T) {
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			tc.plant(w)
			tree, err := Gather(t.Context(), w, Target{Kinds: Kinds, Namespace: "shop", Name: "orders"})
			if err != nil {
				t.Fatal(err)
			}
			got := render(t, tree)
			if first, _, _ := strings.Cut(got, "\n"); !strings.Contains(first, tc.want) {
				t.Errorf("%s\nthe first line is\n%s\nwant\n%s", tc.reason, first, tc.want)
			}
			golden(t, name, got)
		})
	}
}

func TestOrphans(t *testing.T) {
	w := newWorld(t)
	trees, err := Orphans(t.Context(), w)
	if err != nil || len(trees) != 0 {
		t.Errorf("there are %d orphans of claims that exist, %v", len(trees), err)
	}
	cases["ClaimGone"].plant(w)
	trees, err = Orphans(t.Context(), w)
	if err != nil || len(trees) != 1 {
		t.Fatalf("there are %d orphans, want those of one claim: %v", len(trees), err)
	}
	golden(t, "Orphans", render(t, trees[0]))
}

func TestNothingToExplain(t *testing.T) {
	_, err := Gather(t.Context(), newWorld(t), Target{Kinds: KindsOf("eventstoreclaim"), Namespace: "shop", Name: "odrers"})
	if !errors.Is(err, ErrNotFound) {
		t.Errorf("a claim that never was gives %v, want ErrNotFound", err)
	}
}

func TestKindsOf(t *testing.T) {
	for word, want := range map[string]int{
		"eventstore": 2, "es": 2, "EventStores": 2, "eventstore.eventstore.m.crossplane.io": 1, "eventstores.v1alpha1.eventstore.crossplane.io": 1,
		"eventstoreclaim": 1, "esc": 1, "aes": 1, "deployment": 0, "eventstore.example.org": 0,
	} {
		if got := len(KindsOf(word)); got != want {
			t.Errorf("KindsOf(%q) are %d kinds, want %d", word, got, want)
		}
	}
}

func render(t *testing.T, tree Tree) string {
	t.Helper()
	var b bytes.Buffer
	if err := Render(&b, tree, Diagnose(tree)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil { //nolint:gosec // It is source code.
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("explained (rewrite with -update): -want, +got:\n%s", diff)
	}
}
