package e2e_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// A site is a location of the class "global".
type site struct {
	place
	backend string
	broker
}

// sites are in the order of the examples.
func sites() []site {
	return []site{
		{place{"aws", "us-east-1"}, "kafka", kafkaBroker{}},
		{place{"azure", "eastus"}, "pulsar", pulsarBroker{}},
		{place{"alibaba", "cn-hangzhou"}, "redis", redisBroker{}},
	}
}

// global are the examples with three locations, in both flavours.
func global() map[string]string {
	return map[string]string{"Claim": "multicloud/claim.yaml", "Namespaced": "multicloud/app-eventstore.yaml"}
}

// TestPlaces has one claim make a store in three clouds: each has a Secret that opens it, and the claim's own has all.
func TestPlaces(t *testing.T) {
	for name, path := range global() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ns := namespace(t)
			claim := example(t, path, ns)
			set(t, claim, map[string]any{"enabled": true}, "spec", "snapshots") // The order service wants them.
			own := "ledger-events-all"
			if name == "Claim" {
				own = "ledger-copied"
				set(t, claim, map[string]any{"name": own}, "spec", "writeConnectionSecretToRef")
			}
			create(t, claim)
			s := accepted(t, claim)
			if len(s.Locations) != 3 || len(s.Subscriptions) != 3 || s.Message != "" || s.Binding.Name != "ledger-events" {
				t.Fatalf("the status is %+v", s)
			}
			traced(t, claim)
			gathered := secret(t, ns, own, "aws.us-east-1.password", "azure.eastus.password", "alibaba.cn-hangzhou.password")
			for i, at := range sites() {
				l, sub := s.Locations[i], s.Subscriptions[i]
				if l.place != at.place || l.Backend != at.backend || !l.Ready || l.Endpoint == "" || l.Store != ns+".ledger" || !sub.Ready {
					t.Errorf("status says of %s: %+v, and of its subscription: %+v", at.place, l, sub)
				}
				tours(t, mount(t, ns, l.SecretName), mount(t, ns, sub.SecretName))
				for key, value := range secret(t, ns, l.SecretName).Data {
					if got := gathered.Data[at.Cloud+"."+at.Region+"."+key]; string(got) != string(value) {
						t.Errorf("%s of Secret %s is another in Secret %s", key, l.SecretName, own)
					}
					if got := gathered.Data[key]; i == 0 && string(got) != string(value) {
						t.Errorf("%s of the first location, in Secret %s, is another in Secret %s", key, l.SecretName, own)
					}
				}
			}
			remove(t, claim, "ledger")
		})
	}
}

// traced has Crossplane's own command find all that a claim is made of.
func traced(t *testing.T, claim *unstructured.Unstructured) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), world.Crank(), "beta", "trace", claim.GetKind()+".platform.eventstore.crossplane.io", claim.GetName(), "-n", claim.GetNamespace(), "-o", "wide")
	cmd.Env = append(os.Environ(), "KUBECONFIG="+world.Kubeconfig())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("crossplane beta trace: %v\n%s", err, out)
	}
	for _, u := range made(t.Context(), t, claim) {
		if !strings.Contains(string(out), u.GetKind()+"/"+u.GetName()) {
			t.Errorf("crossplane beta trace does not show %s %s:\n%s", u.GetKind(), u.GetName(), out)
		}
	}
}

// remove deletes a claim with three stores that hold records, as their tokens in the status allow.
func remove(t *testing.T, claim *unstructured.Unstructured, name string) {
	t.Helper()
	var tokens []string
	until(t, claim, "each location says what would refuse its deletion", func(s claimStatus) bool {
		tokens = nil
		for _, l := range s.Locations {
			if _, after, ok := strings.Cut(l.Message, "confirm with "); ok {
				tokens = append(tokens, after[:8])
			}
		}
		return len(tokens) == len(s.Locations)
	})
	confirms(t, claim, tokens...)
	confirmed(t, claim, tokens)
	if err := world.kube.Delete(t.Context(), claim, client.PropagationPolicy("Foreground")); err != nil {
		t.Fatal(err)
	}
	gone(t, claim)
	for _, at := range sites() {
		leavesNothing(t, at, claim.GetNamespace(), claim.GetNamespace()+"."+name)
	}
}

// confirmed waits until all that a claim is made of has the tokens.
func confirmed(t *testing.T, claim *unstructured.Unstructured, tokens []string) {
	t.Helper()
	eventually(t, "the confirmation has reached the stores", func(ctx context.Context) (bool, string) {
		all := made(ctx, t, claim)
		for _, u := range all {
			if got := u.GetAnnotations()["eventstore.crossplane.io/confirm"]; got != strings.Join(tokens, ",") {
				return false, fmt.Sprintf("%s %s has %q", u.GetKind(), u.GetName(), got)
			}
		}
		return len(all) > 0, "nothing is composed"
	})
}

// made returns the stores and subscriptions that were composed for a claim's namespace, and what a claim leaves to be found.
func made(ctx context.Context, t *testing.T, claim *unstructured.Unstructured) (all []unstructured.Unstructured) {
	t.Helper()
	for _, kind := range managedKinds[:4] {
		l := &unstructured.UnstructuredList{}
		l.SetGroupVersionKind(kind)
		if err := world.kube.List(ctx, l); err != nil {
			t.Fatal(err)
		}
		for _, u := range l.Items {
			if u.GetNamespace() == claim.GetNamespace() || u.GetLabels()["crossplane.io/claim-namespace"] == claim.GetNamespace() {
				all = append(all, u)
			}
		}
	}
	return all
}

// secret waits until a Secret has the keys, and returns it.
func secret(t *testing.T, namespace, name string, keys ...string) *corev1.Secret {
	t.Helper()
	s := &corev1.Secret{}
	eventually(t, fmt.Sprintf("the Secret %s has %s", name, keys), func(ctx context.Context) (bool, string) {
		if err := world.kube.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, s); err != nil {
			return false, err.Error()
		}
		for _, key := range keys {
			if len(s.Data[key]) == 0 {
				return false, fmt.Sprintf("it has %s", slices.Sorted(maps.Keys(s.Data)))
			}
		}
		return true, ""
	})
	return s
}

// set writes a field of an object that does not exist yet.
func set(t *testing.T, u *unstructured.Unstructured, value any, path ...string) {
	t.Helper()
	if err := unstructured.SetNestedField(u.Object, value, path...); err != nil {
		t.Fatal(err)
	}
}

// TestScale lists no subscription, then five, then two: those with nothing to read go, and one that has stays until that is
// confirmed.
func TestScale(t *testing.T) {
	for name, places := range map[string][]site{"Claim": sites(), "Namespaced": sites()[2:]} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testScale(t, global()[name], places)
		})
	}
}

func testScale(t *testing.T, path string, places []site) {
	ns := namespace(t)
	claim := example(t, path, ns)
	unstructured.RemoveNestedField(claim.Object, "spec", "subscriptions")
	locations, _, _ := unstructured.NestedSlice(claim.Object, "spec", "locations")
	set(t, claim, locations[len(locations)-len(places):], "spec", "locations")
	create(t, claim)
	accepted(t, claim)
	last := places[len(places)-1]
	last.write(t, ns+".ledger") // In one place alone.
	list := func(subscriptions ...any) {
		change(t, claim, func(spec map[string]any) { spec["subscriptions"] = subscriptions })
	}
	latest := func(name string) map[string]any {
		return map[string]any{"name": name, "startFrom": map[string]any{"position": "Latest"}}
	}
	list(latest("a"), latest("b"), latest("c"), latest("d"), map[string]any{"name": "e"})
	until(t, claim, "five subscriptions are in each place, and the last of them knows what it has to read", func(s claimStatus) bool {
		ready, lags := 0, false
		for _, sub := range s.Subscriptions {
			if sub.Ready {
				ready++
			}
			lags = lags || sub.place == last.place && sub.Name == "e" && sub.LagRecords > 0
		}
		return ready == 5*len(places) && lags
	})
	list(latest("a"), latest("b"))
	s := refused(t, claim, "LeftBehind", claim.GetKind()+" "+ns+"/ledger: ", "subscription e in "+last.String(), "let it read to the end")
	if left := s.LeftBehind; len(left) != 1 || left[0].place != last.place || left[0].Kind != "Subscription" || left[0].Name != "e" || !says(s.Message, left[0].Confirm) {
		t.Fatalf("the status is %+v, want one subscription left behind", s)
	}
	confirms(t, claim, s.LeftBehind[0].Confirm)
	accepted(t, claim)
	eventually(t, "a store and two subscriptions are left in each place", func(ctx context.Context) (bool, string) {
		all := made(ctx, t, claim)
		var names []string
		for _, u := range all {
			names = append(names, u.GetKind()+" "+u.GetName())
		}
		return len(all) == 3*len(places), fmt.Sprint(names)
	})
	for _, at := range places[:len(places)-1] {
		at.write(t, ns+".ledger")
	}
	remove(t, claim, "ledger")
}
