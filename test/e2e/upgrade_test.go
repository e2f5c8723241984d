package e2e_test

import (
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	clusterv1alpha1 "github.com/crossplane-contrib/provider-eventstore/apis/cluster/v1alpha1"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/controlplane"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/packages"
)

// TestUpgrade upgrades the function and the configuration under a claim that is in use, by the real package manager, and rolls
// both back: nothing is made again, and claims go on.
func TestUpgrade(t *testing.T) {
	ns := namespace(t)
	claim := example(t, "multicloud/claim.yaml", ns)
	create(t, claim)
	accepted(t, claim)
	for _, at := range sites() {
		at.write(t, ns+".ledger")
	}
	before := identities(t, claim)
	for i, version := range []string{"v0.1.1-local", packages.DefaultVersion} {
		revision := revisionOf(t, "Function")
		upgrade(t, version)
		if now := revisionOf(t, "Function"); now == revision {
			t.Errorf("%s runs still %s", version, now)
		}
		// The function that is there now composes: it lists another subscription.
		change(t, claim, func(spec map[string]any) {
			spec["subscriptions"] = append(spec["subscriptions"].([]any), map[string]any{"name": fmt.Sprintf("by-%d", i), "startFrom": map[string]any{"position": "Latest"}}) //nolint:forcetypeassert // The example has one.
		})
		until(t, claim, "the claim is Ready with another subscription, by "+version, func(s claimStatus) bool {
			return len(s.Subscriptions) == 3*(2+i) && s.condition("Ready").Status == "True"
		})
		after := identities(t, claim)
		for name, uid := range before {
			if after[name] != uid {
				t.Errorf("%s was %s, and is %q with %s", name, uid, after[name], version)
			}
		}
	}
	remove(t, claim, "ledger")
}

// upgrade builds the function and the configuration as another version, and installs them.
func upgrade(t *testing.T, version string) {
	t.Helper()
	all, err := packages.Build(t.Context(), packages.Options{Out: t.TempDir(), Version: version, Progress: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	all = slices.DeleteFunc(all, func(p controlplane.Package) bool { return p.Kind == controlplane.Provider })
	if err := world.Install(t.Context(), all...); err != nil {
		t.Fatal(err)
	}
}

// revisionOf returns the revision of our function, or configuration, that is in use.
func revisionOf(t *testing.T, kind string) string {
	t.Helper()
	u := object(t, "{apiVersion: pkg.crossplane.io/v1, kind: "+kind+", metadata: {name: "+function+"}}")
	if err := world.kube.Get(t.Context(), client.ObjectKeyFromObject(u), u); err != nil {
		t.Fatal(err)
	}
	revision, _, _ := unstructured.NestedString(u.Object, "status", "currentRevision")
	return revision
}

// identities are the UIDs of what a claim is made of, by kind and name.
func identities(t *testing.T, claim *unstructured.Unstructured) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, u := range made(t.Context(), t, claim) {
		all[u.GetKind()+" "+u.GetName()] = string(u.GetUID())
	}
	return all
}

// TestToTheFunction has a claim of the Composition without our function change to the one with it: its store stays the same
// resource, and what could not be had before can be now.
func TestToTheFunction(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	claim := ofClass(t, "durable", example(t, "claims/eventstore.yaml", ns))
	set(t, claim, map[string]any{"name": "xeventstores.platform.eventstore.crossplane.io"}, "spec", "compositionRef")
	create(t, claim)
	ready(t, claim)
	kafkaBroker{}.write(t, ns+".orders")
	store := composed(t, clusterv1alpha1.EventStoreGroupVersionKind, ns)
	before := identities(t, claim)
	change(t, claim, func(spec map[string]any) {
		spec["compositionRef"] = map[string]any{"name": "placed.xeventstores.platform.eventstore.crossplane.io"}
		delete(spec, "compositionRevisionRef")
	})
	s := accepted(t, claim)
	if diff := cmp.Diff(before, identities(t, claim)); diff != "" || len(s.Locations) != 1 || s.Locations[0].Store != ns+".orders" {
		t.Errorf("the status is %+v, and the store (-before, +after):\n%s", s, diff)
	}
	change(t, claim, func(spec map[string]any) { spec["subscriptions"] = []any{map[string]any{"name": "audit"}} })
	until(t, claim, "the claim has a subscription", func(s claimStatus) bool { return len(s.Subscriptions) == 1 && s.Subscriptions[0].Ready })
	if now := composed(t, clusterv1alpha1.EventStoreGroupVersionKind, ns); now.GetUID() != store.GetUID() {
		t.Errorf("the store %s was made again", now.GetName())
	}
	confirms(t, claim, token(t, claim))
	deletes(t, claim)
	leavesNothing(t, kafkaBroker{}, ns, ns+".orders")
}
