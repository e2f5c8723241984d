package e2e_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// TestDeletedInAnyOrder deletes a store and the subscription that reads it, both made by a team of its own.
func TestDeletedInAnyOrder(t *testing.T) {
	flavours := map[string]struct{ store, subscription string }{
		"Claim":      {"claims/eventstore.yaml", "claims/subscription.yaml"},
		"Namespaced": {"claims/app-eventstore.yaml", "claims/app-subscription.yaml"},
	}
	orders := map[string]struct {
		reason string
		class  string
		delete func(t *testing.T, store, subscription *unstructured.Unstructured)
	}{
		"StoreFirst": {
			reason: "A subscription whose store is gone has nothing left to protect.",
			class:  "durable",
			delete: func(t *testing.T, store, subscription *unstructured.Unstructured) {
				t.Helper()
				deleted(t, store)
				gone(t, store)
				deleted(t, subscription)
			},
		},
		"SubscriptionFirst": {
			reason: "That is how somebody does it who thinks of it.",
			class:  "isolated",
			delete: func(t *testing.T, store, subscription *unstructured.Unstructured) {
				t.Helper()
				deleted(t, subscription)
				gone(t, subscription)
				deleted(t, store)
			},
		},
		"AtOnce": {
			reason: "kubectl delete -f of a folder, or Argo CD, waits for nothing.",
			class:  "fast",
			delete: func(t *testing.T, store, subscription *unstructured.Unstructured) {
				t.Helper()
				deleted(t, store, subscription)
			},
		},
		"Namespace": {
			reason: "A namespace that is deleted takes all with it, in whatever order, Secrets included.",
			class:  "durable",
			delete: func(t *testing.T, store, _ *unstructured.Unstructured) {
				t.Helper()
				ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: store.GetNamespace()}}
				deleted(t, ns)
				gone(t, ns)
			},
		},
	}
	for flavour, examples := range flavours {
		for name, tc := range orders {
			t.Run(flavour+"/"+name, func(t *testing.T) {
				t.Parallel()
				t.Log(tc.reason)
				ns := namespace(t)
				store, subscription := ofClass(t, tc.class, example(t, examples.store, ns)), ofClass(t, tc.class, example(t, examples.subscription, ns))
				create(t, store, subscription)
				ready(t, store)
				ready(t, subscription)
				tc.delete(t, store, subscription)
				gone(t, store)
				gone(t, subscription)
				leavesNothing(t, brokers()[tc.class], ns, ns+".orders")
			})
		}
	}
}

// deleted asks for the deletion of objects.
func deleted(t *testing.T, objects ...client.Object) {
	t.Helper()
	for _, o := range objects {
		if err := world.kube.Delete(t.Context(), o); err != nil {
			t.Fatalf("cannot delete %s: %v", o.GetName(), err)
		}
	}
}
