package e2e_test

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	clusterv1alpha1 "github.com/crossplane-contrib/provider-eventstore/apis/cluster/v1alpha1"
	"github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
	namespacedv1alpha1 "github.com/crossplane-contrib/provider-eventstore/apis/namespaced/v1alpha1"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

var managedKinds = []schema.GroupVersionKind{
	clusterv1alpha1.EventStoreGroupVersionKind, clusterv1alpha1.SubscriptionGroupVersionKind,
	namespacedv1alpha1.EventStoreGroupVersionKind, namespacedv1alpha1.SubscriptionGroupVersionKind,
	{Group: "platform.eventstore.crossplane.io", Version: "v1alpha1", Kind: "XEventStore"},
	{Group: "platform.eventstore.crossplane.io", Version: "v1alpha1", Kind: "XSubscription"},
}

// TestPath goes the whole path in both flavours: a claim with cluster-scoped kinds, and a namespaced composite resource.
func TestPath(t *testing.T) {
	cases := map[string]struct {
		reason              string
		store, subscription string // Examples.
		secret, reader      string // The Secrets that they ask for.
		kind                schema.GroupVersionKind
	}{
		"Claim": {
			reason: "An application team without Crossplane v2 submits claims.",
			store:  "claims/eventstore.yaml", subscription: "claims/subscription.yaml",
			secret: "orders-events", reader: "billing-events",
			kind: clusterv1alpha1.EventStoreGroupVersionKind,
		},
		"Namespaced": {
			reason: "With Crossplane v2 it creates namespaced composite resources.",
			store:  "claims/app-eventstore.yaml", subscription: "claims/app-subscription.yaml",
			secret: "orders-events", reader: "billing-subscription",
			kind: namespacedv1alpha1.EventStoreGroupVersionKind,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Log(tc.reason)
			ns := namespace(t)
			store, subscription := example(t, tc.store, ns), example(t, tc.subscription, ns)
			unstructured.RemoveNestedField(subscription.Object, "spec", "filter") // The order service wants every event.
			create(t, store, subscription)
			ready(t, store)
			ready(t, subscription)
			out := serve(t, mount(t, ns, tc.secret), mount(t, ns, tc.reader))
			if !strings.Contains(out, "everything matched") {
				t.Errorf("the order service printed:\n%s", out)
			}
			repairsGroup(t, store, ns+".orders", "billing")
			refusesDeletion(t, store, subscription, tc.kind, ns)
			leavesNothing(t, ns, ns+".orders")
		})
	}
}

// repairsGroup deletes the consumer group of a partition, and expects it back where it was.
func repairsGroup(t *testing.T, claim *unstructured.Unstructured, store, subscription string) {
	t.Helper()
	c := broker(t)
	events := ""
	for p := range layout.DefaultPartitions { // The order is in one of them.
		if events = layout.RedisEvents(store, p); c.XLen(t.Context(), events).Val() > 0 {
			break
		}
	}
	position := func(ctx context.Context) string {
		groups, err := c.XInfoGroups(ctx, events).Result()
		if err != nil || len(groups) != 1 {
			return fmt.Sprint(len(groups), " groups ", err)
		}
		return groups[0].LastDeliveredID
	}
	before := position(t.Context())
	token(t, claim) // By now the provider has looked since the service ended: what it has not seen it cannot restore.
	if err := c.XGroupDestroy(t.Context(), events, subscription).Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the group is back at "+before, func(ctx context.Context) (bool, string) {
		got := position(ctx)
		return got == before, got
	})
}

// refusesDeletion deletes a store that holds events: it stays, its owner can read why, and a confirmation lets it go.
func refusesDeletion(t *testing.T, store, subscription *unstructured.Unstructured, kind schema.GroupVersionKind, namespace string) {
	t.Helper()
	confirmation := token(t, store) // It can be read before anything is deleted.
	foreground := client.PropagationPolicy("Foreground")
	for _, u := range []*unstructured.Unstructured{subscription, store} {
		if err := world.kube.Delete(t.Context(), u, foreground); err != nil {
			t.Fatal(err)
		}
	}
	gone(t, subscription)
	mg := composed(t, kind, namespace)
	eventually(t, "the deletion of the store is refused", func(ctx context.Context) (bool, string) {
		if err := world.kube.Get(ctx, client.ObjectKeyFromObject(mg), mg); err != nil {
			return false, err.Error()
		}
		status := fmt.Sprint(mg.Object["status"])
		return strings.Contains(status, string(v1alpha1.ReasonNotEmpty)), status
	})
	if err := world.kube.Get(t.Context(), client.ObjectKeyFromObject(store), store); err != nil {
		t.Fatalf("the %s did not stay while its store refuses to be deleted: %v", store.GetKind(), err)
	}
	if err := annotate(t.Context(), mg, confirmation); err != nil {
		t.Fatal(err)
	}
	gone(t, mg)
	gone(t, store)
}

// token waits until a claim's status shows what would refuse its deletion, and returns what confirms it.
func token(t *testing.T, claim *unstructured.Unstructured) (token string) {
	t.Helper()
	eventually(t, "the store says what would refuse its deletion", func(ctx context.Context) (bool, string) {
		if err := world.kube.Get(ctx, client.ObjectKeyFromObject(claim), claim); err != nil {
			return false, err.Error()
		}
		status := fmt.Sprint(claim.Object["status"])
		_, after, ok := strings.Cut(status, "confirm with ")
		if ok {
			token = after[:8]
		}
		return ok, status
	})
	return token
}

// annotate sets the confirmation.
func annotate(ctx context.Context, u *unstructured.Unstructured, token string) error {
	before := u.DeepCopy()
	a := maps.Clone(u.GetAnnotations())
	if a == nil {
		a = map[string]string{}
	}
	a[v1alpha1.AnnotationConfirm] = token
	u.SetAnnotations(a)
	return world.kube.Patch(ctx, u, client.MergeFrom(before))
}

// composed returns the store that was composed for the namespace.
func composed(t *testing.T, kind schema.GroupVersionKind, namespace string) *unstructured.Unstructured {
	t.Helper()
	l := &unstructured.UnstructuredList{}
	l.SetGroupVersionKind(kind)
	if err := world.kube.List(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	for i := range l.Items {
		if l.Items[i].GetAnnotations()["crossplane.io/external-name"] == namespace+".orders" {
			return &l.Items[i]
		}
	}
	t.Fatalf("no %s is named %s.orders", kind.Kind, namespace)
	return nil
}

// TestConfirmedBeforehand sets the confirmation on the claim before it is deleted: it goes all the way down.
func TestConfirmedBeforehand(t *testing.T) {
	ns := namespace(t)
	store, subscription := example(t, "claims/eventstore.yaml", ns), example(t, "claims/subscription.yaml", ns)
	create(t, store, subscription)
	ready(t, store)
	ready(t, subscription)
	c := broker(t)
	if err := c.XAdd(t.Context(), addRaw(ns+".orders")).Err(); err != nil {
		t.Fatal(err)
	}
	confirmation := token(t, store)
	eventually(t, "the claim carries the token", func(ctx context.Context) (bool, string) {
		if err := world.kube.Get(ctx, client.ObjectKeyFromObject(store), store); err != nil {
			return false, err.Error()
		}
		err := annotate(ctx, store, confirmation)
		return err == nil, fmt.Sprint(err)
	})
	mg := composed(t, clusterv1alpha1.EventStoreGroupVersionKind, ns)
	eventually(t, "the confirmation has reached the store", func(ctx context.Context) (bool, string) {
		err := world.kube.Get(ctx, client.ObjectKeyFromObject(mg), mg)
		return err == nil && mg.GetAnnotations()[v1alpha1.AnnotationConfirm] != "", fmt.Sprint(err, mg.GetAnnotations())
	})
	// The store first: a subscription whose store stays is protected by its own lag.
	for _, u := range []*unstructured.Unstructured{store, subscription} {
		if err := world.kube.Delete(t.Context(), u); err != nil {
			t.Fatal(err)
		}
		gone(t, u)
	}
	leavesNothing(t, ns, ns+".orders")
}
