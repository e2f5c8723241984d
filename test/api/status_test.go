package api_test

import (
	"testing"
	"time"

	xpv2 "github.com/crossplane/crossplane/apis/v2/core/v2"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	common "github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
	namespaced "github.com/crossplane-contrib/provider-eventstore/apis/namespaced/v1alpha1"
)

// TestStatus writes every field of every status: one that the schema refuses would keep all others from being written.
func TestStatus(t *testing.T) {
	at := &metav1.Time{Time: time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)}
	principal := &common.PrincipalObservation{Name: "es:team-a.status", Managed: new(true), Isolation: "shares groups"}
	positions := []common.PartitionPosition{{Partition: 0, Position: "0-0"}, {Partition: 1, Position: "-1:-1"}, {Partition: 2}, {Partition: 4095, Position: "42"}}

	t.Run("EventStore", func(t *testing.T) {
		es := &namespaced.EventStore{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "status"}}
		keep(t, es)
		es.SetConditions(xpv2.Available(), common.Refused(common.ReasonRetentionShrink, "confirm with 3f9a"))
		es.SetObservedGeneration(1)
		es.SetLastHandledReconcileAt("token")
		es.SetBinding("orders-events")
		*es.Observation() = common.EventStoreObservation{
			Backend: common.BackendRedis, Endpoint: "redis:6379", LayoutVersion: new(int32(1)), Kind: common.StoreKindStreaming,
			Partitions: new(int32(6)), Positions: []common.PartitionRange{{Partition: 0}, {Partition: 1, First: "1-0", Last: "2-0", Records: new(int64(2))}},
			Records: new(int64(0)), Bytes: new(int64(0)), OldestRecordTime: at, NewestRecordTime: at,
			Retention:     &common.RetentionObservation{Duration: common.DurationOf(time.Hour), Bytes: new(int64(1))},
			MaxEventBytes: new(int64(1)), Durability: &common.DurabilityObservation{Replicas: new(int32(1)), Persistent: new(false), Note: "n"},
			ExpiredEvents: new(int64(0)), AcceptedLosses: new(int32(1)), Principal: principal, AppliedConfig: []string{"segment.ms"},
		}
		writeStatus(t, es, &namespaced.EventStore{}, func(o *namespaced.EventStore) any { return o.Status })
	})
	t.Run("Subscription", func(t *testing.T) {
		s := &namespaced.Subscription{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "status"}}
		s.Spec.ForProvider.EventStore = "team-a.status"
		keep(t, s)
		s.SetConditions(common.NotReady(common.ReasonStoreNotReady, "waits"), common.Accepted())
		s.SetBinding("billing-events")
		*s.Observation() = common.SubscriptionObservation{
			Backend: common.BackendKafka, EventStore: "team-a.status", InitializedTime: at, LagRecords: new(int64(0)), LagSeconds: new(int64(0)),
			Consumers: new(int32(0)), Positions: positions, DeadLetters: new(int64(0)), Principal: principal,
			LastReplay: &common.ReplayObservation{ID: "a", From: &common.Start{Time: at}, Time: at, Before: positions, Positions: positions},
		}
		writeStatus(t, s, &namespaced.Subscription{}, func(o *namespaced.Subscription) any { return o.Status })
	})
	t.Run("ProviderConfig", func(t *testing.T) {
		pc := &namespaced.ProviderConfig{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "status"}}
		pc.Spec.Redis = &common.RedisSettings{Addresses: []string{"redis:6379"}}
		keep(t, pc)
		pc.SetUsers(3)
		pc.SetConditions(common.Healthy(common.ReasonWarning, "81 % of maxmemory is used"))
		pc.Status.Broker = &common.BrokerObservation{Backend: common.BackendRedis, Version: "8.2.1", Endpoint: "redis:6379", RoundTrip: common.DurationOf(2 * time.Millisecond)}
		writeStatus(t, pc, &namespaced.ProviderConfig{}, func(o *namespaced.ProviderConfig) any { return o.Status })
	})
}

// writeStatus writes a status, reads it back, and fails the test if it is another one.
func writeStatus[T client.Object](t *testing.T, o, back T, status func(T) any) {
	t.Helper()
	want := status(o.DeepCopyObject().(T)) //nolint:forcetypeassert // A copy has the type of its original.
	if err := client.WithFieldValidation(kube, "Strict").Status().Update(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if err := kube.Get(t.Context(), client.ObjectKeyFromObject(o), back); err != nil {
		t.Fatal(err)
	}
	times := cmp.Comparer(func(a, b metav1.Time) bool { return a.Truncate(time.Second).Equal(b.Truncate(time.Second)) })
	if diff := cmp.Diff(want, status(back), times); diff != "" {
		t.Errorf("status: -written, +read:\n%s", diff)
	}
}
