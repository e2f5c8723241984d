package e2e_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	clusterv1alpha1 "github.com/crossplane-contrib/provider-eventstore/apis/cluster/v1alpha1"
	namespacedv1alpha1 "github.com/crossplane-contrib/provider-eventstore/apis/namespaced/v1alpha1"
)

// TestOtherClass has a claim whose store holds a record ask for another class. The old store stays, comes back when the class
// is put back, and goes when that is confirmed: it alone.
func TestOtherClass(t *testing.T) {
	for name, path := range map[string]string{"Claim": "claims/eventstore.yaml", "Namespaced": "claims/app-eventstore.yaml"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ns := namespace(t)
			claim := ofClass(t, "fast", example(t, path, ns))
			create(t, claim)
			first := accepted(t, claim).Locations[0]
			redisBroker{}.write(t, ns+".orders")
			own := token(t, claim)
			uid := storeOf(t, claim, "fast").GetUID()
			class := func(class string) { change(t, claim, func(spec map[string]any) { spec["class"] = class }) }

			class("durable")
			sentence := []string{claim.GetKind() + " " + ns + "/orders: ", "store " + ns + ".orders in local/default (class fast)", "put class and locations back", own}
			refused(t, claim, "LeftBehind", sentence...)
			s := until(t, claim, "the new store is Ready beside the old one", func(s claimStatus) bool { return s.condition("Ready").Status == "True" })
			if left := s.LeftBehind; len(left) != 1 || left[0].Backend != "redis" || left[0].Confirm != own || s.Locations[0].Backend != "kafka" || (first.SecretName != "" && s.Locations[0].SecretName == first.SecretName) {
				t.Errorf("the status is %+v, want the old store left behind with its token and its Secret", s)
			}
			if traces, err := (kafkaBroker{}).traces(t.Context(), ns+".orders"); err != nil || len(traces) == 0 {
				t.Errorf("Kafka has %s, %v: want the new store", traces, err)
			}

			class("fast")
			s = refused(t, claim, "LeftBehind", "(class durable)")
			if got := storeOf(t, claim, "fast").GetUID(); got != uid || s.Locations[0].SecretName != first.SecretName || s.Locations[0].Backend != "redis" {
				t.Errorf("after the class was put back, the store is %s with the Secret %s, want %s as it was", got, s.Locations[0].SecretName, uid)
			}
			confirms(t, claim, s.LeftBehind[0].Confirm)
			accepted(t, claim)
			eventually(t, "Kafka has nothing of it any more", func(ctx context.Context) (bool, string) {
				traces, err := (kafkaBroker{}).traces(ctx, ns+".orders")
				return err == nil && len(traces) == 0, fmt.Sprint(traces, err)
			})

			class("durable")
			refused(t, claim, "LeftBehind", sentence...)
			kafkaBroker{}.write(t, ns+".orders")
			confirms(t, claim, own)
			accepted(t, claim)
			eventually(t, "Redis has nothing of it any more", func(ctx context.Context) (bool, string) {
				traces, err := (redisBroker{}).traces(ctx, ns+".orders")
				return err == nil && len(traces) == 0, fmt.Sprint(traces, err)
			})
			confirms(t, claim, token(t, claim))
			deletes(t, claim)
			leavesNothing(t, kafkaBroker{}, ns, ns+".orders")
		})
	}
}

// storeOf returns the store of a class that was composed for a claim.
func storeOf(t *testing.T, claim *unstructured.Unstructured, class string) *unstructured.Unstructured {
	t.Helper()
	for _, u := range made(t.Context(), t, claim) {
		if u.GetKind() == "EventStore" && u.GetLabels()["platform.eventstore.crossplane.io/class"] == class {
			return &u
		}
	}
	t.Fatalf("nothing of class %q is composed for %s", class, claim.GetName())
	return nil
}

// deletes deletes a claim that carries its confirmation, once that has reached what it is made of.
func deletes(t *testing.T, claim *unstructured.Unstructured) {
	t.Helper()
	confirmed(t, claim, strings.Split(claim.GetAnnotations()["eventstore.crossplane.io/confirm"], ","))
	if err := world.kube.Delete(t.Context(), claim, client.PropagationPolicy("Foreground")); err != nil {
		t.Fatal(err)
	}
	gone(t, claim)
}

// TestLocationLost takes a location away from a claim with a record in it: its store and its subscription stay, and go
// together once that is confirmed. The other locations do not notice.
func TestLocationLost(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	claim := example(t, "multicloud/claim.yaml", ns)
	create(t, claim)
	accepted(t, claim)
	for _, at := range sites() {
		at.write(t, ns+".ledger")
	}
	before := made(t.Context(), t, claim)
	locations, _, _ := unstructured.NestedSlice(claim.Object, "spec", "locations")
	change(t, claim, func(spec map[string]any) { spec["locations"] = locations[:2] })
	s := refused(t, claim, "LeftBehind", "EventStoreClaim "+ns+"/ledger: store "+ns+".ledger in alibaba/cn-hangzhou")
	if len(s.LeftBehind) != 2 || len(s.Locations) != 2 || s.LeftBehind[0].Kind != "EventStore" || s.LeftBehind[1].Kind != "Subscription" {
		t.Fatalf("the status is %+v, want a store and its subscription left behind", s)
	}
	change(t, claim, func(spec map[string]any) { spec["locations"] = locations })
	accepted(t, claim)
	uids := map[string]bool{}
	for _, u := range before {
		uids[string(u.GetUID())] = true
	}
	for _, u := range made(t.Context(), t, claim) {
		if !uids[string(u.GetUID())] {
			t.Errorf("%s %s was made again", u.GetKind(), u.GetName())
		}
	}
	change(t, claim, func(spec map[string]any) { spec["locations"] = locations[:2] })
	s = refused(t, claim, "LeftBehind")
	confirms(t, claim, s.LeftBehind[0].Confirm)
	accepted(t, claim)
	eventually(t, "Redis has nothing of it any more", func(ctx context.Context) (bool, string) {
		traces, err := (redisBroker{}).traces(ctx, ns+".ledger")
		return err == nil && len(traces) == 0, fmt.Sprint(traces, err)
	})
	if left := len(made(t.Context(), t, claim)); left != 4 {
		t.Errorf("%d resources are left, want those of two locations", left)
	}
	remove(t, claim, "ledger")
}

// TestComesBack deletes a claim whose store holds a record, and applies it again: it finds the store, with its record.
func TestComesBack(t *testing.T) {
	flavours := map[string]struct {
		reason      string
		class       string // Another one for each: what the brokers do is the same.
		path        string
		kind        schema.GroupVersionKind
		propagation string
	}{
		"Claim": {
			reason: "The claim waits for its store, which somebody has to keep first.", class: "durable",
			path: "claims/eventstore.yaml", kind: clusterv1alpha1.EventStoreGroupVersionKind, propagation: "Background",
		},
		"Foreground": {
			reason: "So does a namespaced composite resource, if its deletion asks for that.", class: "isolated",
			path: "claims/app-eventstore.yaml", kind: namespacedv1alpha1.EventStoreGroupVersionKind, propagation: "Foreground",
		},
		"Background": {
			reason: "It is gone otherwise, while its store refuses: applied again, it gets that back by itself.", class: "fast",
			path: "claims/app-eventstore.yaml", kind: namespacedv1alpha1.EventStoreGroupVersionKind, propagation: "Background",
		},
	}
	for name, tc := range flavours {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Log(tc.reason)
			b, ns := brokers()[tc.class], namespace(t)
			claim := ofClass(t, tc.class, example(t, tc.path, ns))
			again := claim.DeepCopy()
			create(t, claim)
			accepted(t, claim)
			b.write(t, ns+".orders")
			was := token(t, claim) // It could be read before.
			store := composed(t, tc.kind, ns)
			if err := world.kube.Delete(t.Context(), claim, client.PropagationPolicy(tc.propagation)); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the store refuses to be deleted", func(ctx context.Context) (bool, string) {
				err := world.kube.Get(ctx, client.ObjectKeyFromObject(store), store)
				status := fmt.Sprint(store.Object["status"])
				return err == nil && strings.Contains(status, "NotEmpty") && strings.Contains(status, was), status
			})
			if name != "Background" {
				until(t, claim, "the claim stays", func(claimStatus) bool { return claim.GetDeletionTimestamp() != nil })
				keep(t, store)
			}
			gone(t, claim)
			create(t, again)
			var now string
			eventually(t, "another store knows of the record", func(context.Context) (bool, string) {
				accepted(t, again)
				now = token(t, again) // Which is made of its UID.
				return now != was, now
			})
			confirms(t, again, now)
			deletes(t, again)
			leavesNothing(t, b, ns, ns+".orders")
		})
	}
}

// keep has the provider let go of a store that it must not delete.
func keep(t *testing.T, store *unstructured.Unstructured) {
	t.Helper()
	kept := store.DeepCopy()
	set(t, kept, []any{"Observe", "Create", "Update", "LateInitialize"}, "spec", "managementPolicies")
	if err := world.kube.Patch(t.Context(), kept, client.MergeFrom(store)); err != nil {
		t.Fatal(err)
	}
	gone(t, store)
}
