package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	clusterv1alpha1 "github.com/crossplane-contrib/provider-eventstore/apis/cluster/v1alpha1"
	"github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
	namespacedv1alpha1 "github.com/crossplane-contrib/provider-eventstore/apis/namespaced/v1alpha1"
	"github.com/crossplane-contrib/provider-eventstore/internal/postgrestest"
)

var managedKinds = []schema.GroupVersionKind{
	clusterv1alpha1.EventStoreGroupVersionKind, clusterv1alpha1.SubscriptionGroupVersionKind,
	namespacedv1alpha1.EventStoreGroupVersionKind, namespacedv1alpha1.SubscriptionGroupVersionKind,
	{Group: "platform.eventstore.crossplane.io", Version: "v1alpha1", Kind: "XEventStore"},
	{Group: "platform.eventstore.crossplane.io", Version: "v1alpha1", Kind: "XSubscription"},
}

// A broker is what an application, and somebody with all rights, do on one kind of broker.
type broker interface {
	// write adds a record that no SDK wrote.
	write(t *testing.T, store string)
	// position returns where a subscription is, over all partitions; it is another text if any of it is missing.
	position(ctx context.Context, store, subscription string) string
	// lose deletes the positions of a subscription.
	lose(t *testing.T, store, subscription string)
	// traces returns whatever has the store's name.
	traces(ctx context.Context, store string) ([]string, error)
}

// brokers returns what stands behind each class.
func brokers() map[string]broker {
	return map[string]broker{"fast": redisBroker{}, "durable": kafkaBroker{}, "isolated": pulsarBroker{}}
}

// TestPath goes the whole path on every backend in both flavours: a claim with cluster-scoped kinds, and a namespaced
// composite resource. They say only the class.
func TestPath(t *testing.T) {
	flavours := map[string]struct {
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
	database := postgrestest.Start(t)
	for class, b := range brokers() {
		for name, tc := range flavours {
			t.Run(class+"/"+name, func(t *testing.T) {
				t.Parallel()
				t.Log(tc.reason)
				ns, other := namespace(t), namespace(t) // The warehouse is another team's.
				store, subscription := ofClass(t, class, example(t, tc.store, ns)), ofClass(t, class, example(t, tc.subscription, ns))
				warehouse := ofClass(t, class, example(t, "orders/manifests/warehouse.yaml", other))
				create(t, store, subscription, warehouse)
				ready(t, store)
				ready(t, subscription)
				ready(t, warehouse)
				stop := trades(t, database.Database(t).Config().ConnString(),
					"--binding", mount(t, ns, tc.secret), "--subscription-binding", mount(t, ns, tc.reader),
					"--warehouse-binding", mount(t, other, "warehouse-events"), "--warehouse-subscription-binding", mount(t, other, "warehouse-picking"))
				allRead(t, ns+".orders", "billing")
				stop()
				replays(t, store)
				restoresPosition(t, b, ns+".orders", "billing")
				refusesDeletion(t, store, subscription, tc.kind, ns)
				leavesNothing(t, b, ns, ns+".orders")
				abandons(t, warehouse)
				leavesNothing(t, b, other, other+".warehouse")
			})
		}
	}
}

// replays reads with the tool what the order service has written.
func replays(t *testing.T, claim *unstructured.Unstructured) {
	t.Helper()
	name := strings.ToLower(claim.GetKind()) + "/" + claim.GetName()
	out, code := esctl(t.Context(), "replay", name, "-n", claim.GetNamespace(), "-o", "json")
	types := map[string]int{}
	for line := range strings.Lines(out) {
		var e struct{ Type string }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v in what esctl replay prints: %s", err, out)
		}
		types[e.Type]++
	}
	want := map[string]int{"OrderPlaced": traded, "OrderPaid": traded - 1, "OrderShipped": traded - 2, "OrderCancelled": 1} // appended in all.
	if diff := cmp.Diff(want, types); diff != "" || code != 0 {
		t.Errorf("esctl replay ends with %d (-want, +got):\n%s", code, diff)
	}
}

// ofClass asks for another class.
func ofClass(t *testing.T, class string, u *unstructured.Unstructured) *unstructured.Unstructured {
	t.Helper()
	if err := unstructured.SetNestedField(u.Object, class, "spec", "class"); err != nil {
		t.Fatal(err)
	}
	return u
}

// restoresPosition deletes a subscription's positions, and expects them back where they were when the provider saw them last: where
// all is read.
func restoresPosition(t *testing.T, b broker, store, subscription string) {
	t.Helper()
	before := b.position(t.Context(), store, subscription)
	b.lose(t, store, subscription)
	eventually(t, "the position is back at "+before, func(ctx context.Context) (bool, string) {
		got := b.position(ctx, store, subscription)
		return got == before, got
	})
}

// allRead waits until the provider has seen all that the order service has written, and then that a subscription has read it.
func allRead(t *testing.T, store, subscription string) {
	t.Helper()
	eventually(t, "the provider has seen all that was written", func(ctx context.Context) (bool, string) {
		n, ok := metric(ctx, t, "eventstore_store_records{", fmt.Sprintf("store=%q} ", store))
		return ok && n >= appended, fmt.Sprint(n, " records")
	})
	eventually(t, "the provider has seen that all is read", func(ctx context.Context) (bool, string) {
		n, ok := metric(ctx, t, "eventstore_subscription_lag_records{", fmt.Sprintf("store=%q,subscription=%q} ", store, subscription))
		return ok && n == 0, fmt.Sprint("a lag of ", n)
	})
}

// metric returns the value of a metric whose name and first labels, and whose last labels, are these.
func metric(ctx context.Context, t *testing.T, name, labels string) (value float64, ok bool) {
	t.Helper()
	for line := range strings.Lines(metrics(ctx, t)) {
		if before, after, found := strings.Cut(line, labels); found && strings.HasPrefix(before, name) {
			value, err := strconv.ParseFloat(strings.TrimSpace(after), 64)
			return value, err == nil
		}
	}
	return 0, false
}

// metrics returns what the provider tells Prometheus.
func metrics(ctx context.Context, t *testing.T) string {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, world.ProviderMetricsURL(), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error()
	}
	return string(body)
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
	for class, b := range brokers() {
		t.Run(class, func(t *testing.T) {
			t.Parallel()
			testConfirmedBeforehand(t, class, b)
		})
	}
}

func testConfirmedBeforehand(t *testing.T, class string, b broker) {
	ns := namespace(t)
	store, subscription := ofClass(t, class, example(t, "claims/eventstore.yaml", ns)), ofClass(t, class, example(t, "claims/subscription.yaml", ns))
	create(t, store, subscription)
	ready(t, store)
	ready(t, subscription)
	b.write(t, ns+".orders")
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
	leavesNothing(t, b, ns, ns+".orders")
}
