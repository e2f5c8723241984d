package provider_test

import (
	"strings"
	"testing"
	"time"

	xpv2 "github.com/crossplane/crossplane/apis/v2/core/v2"
	corev1 "k8s.io/api/core/v1"
	kerrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
	namespacedv1alpha1 "github.com/crossplane-contrib/provider-eventstore/apis/namespaced/v1alpha1"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// invalid checks that the API server refuses with a message that has all parts.
func invalid(t *testing.T, err error, parts ...string) {
	t.Helper()
	if !kerrors.IsInvalid(err) {
		t.Fatalf("the API server says %v, want Invalid", err)
	}
	t.Logf("API server: %v", err)
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("%q is not in: %v", p, err)
		}
	}
}

func TestPartitionsRefusedByTheAPIServer(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	none := store(ns, "none")
	none.Spec.ForProvider.Partitions = ptr.To[int32](0)
	invalid(t, world.kube.Create(t.Context(), none), "spec.forProvider.partitions", "greater than or equal to 1")

	s := store(ns, "orders")
	create(t, s)
	ready(t, s)
	before := s.DeepCopy()
	s.Spec.ForProvider.Partitions = ptr.To[int32](2)
	invalid(t, world.kube.Patch(t.Context(), s, client.MergeFrom(before)), "partitions cannot change once set", "create a new store and migrate")
}

// TestDefaultPartitions: what the provider decided is written where it cannot change any more.
func TestDefaultPartitions(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	s := store(ns, "orders")
	s.Spec.ForProvider.Partitions = nil
	create(t, s)
	ready(t, s)
	eventually(t, "the spec has the default", func() (bool, string) {
		err := world.kube.Get(t.Context(), objectKey(s), s)
		return err == nil && ptr.Deref(s.Spec.ForProvider.Partitions, 0) == layout.DefaultPartitions, "it has not"
	})
}

// TestRetentionShrunk: a shorter retention deletes events, so it waits for a person; everything else goes on.
func TestRetentionShrunk(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	s := store(ns, "orders")
	create(t, s)
	ready(t, s)
	c := admin(t, world.redis)
	appendEvents(t, c, ns+".orders", 3)

	change(t, s, func(s *namespacedv1alpha1.EventStore) {
		s.Spec.ForProvider.Retention = &v1alpha1.Retention{Duration: duration(24 * time.Hour)}
		s.Spec.ForProvider.MaxEventBytes = ptr.To[int64](4096)
	})
	token := refused(t, s, v1alpha1.ReasonRetentionShrink, "retention.duration", "24h", "would delete events", "confirm with", "or raise retention.duration")
	ready(t, s) // The store works as before.
	eventually(t, "the other change is made", func() (bool, string) {
		m := c.HGetAll(t.Context(), layout.RedisMarker(ns+".orders")).Val()
		return m["max-event-bytes"] == "4096" && m[layout.RedisMarkerKind] == string(layout.Sourcing), m["max-event-bytes"]
	})

	// A token for something else does not count.
	allow(t, s, "00000000")
	refused(t, s, v1alpha1.ReasonRetentionShrink)
	allow(t, s, token)
	accepted(t, s)
	ready(t, s)
	eventually(t, "the store is a streaming one", func() (bool, string) {
		err := world.kube.Get(t.Context(), objectKey(s), s)
		return err == nil && s.Status.AtProvider.Kind == v1alpha1.StoreKindStreaming && s.Status.AtProvider.Retention != nil, string(s.Status.AtProvider.Kind)
	})
	eventually(t, "the Secret says so", func() (bool, string) {
		got := string(connection(t, ns, "orders")[layout.SecretExpectedVersions])
		return got == "false", got
	})
	happened(t, s, "retention.duration", "24h")
}

// TestUnsupportedField: nothing is created until the field is gone.
func TestUnsupportedField(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	s := store(ns, "orders")
	s.Spec.ForProvider.MessageTTL = duration(time.Hour)
	create(t, s)
	refused(t, s, v1alpha1.ReasonUnsupported, "messageTTL is not supported on redis", "choose the backend pulsar")
	condition(t, s, xpv2.TypeReady, corev1.ConditionFalse, v1alpha1.ReasonRefused, "messageTTL")
	condition(t, s, xpv2.TypeSynced, corev1.ConditionTrue, "")
	c := admin(t, world.redis)
	if l := left(t, c, ns+"."); len(l) > 0 {
		t.Errorf("something was created: %v", l)
	}
	change(t, s, func(s *namespacedv1alpha1.EventStore) { s.Spec.ForProvider.MessageTTL = nil })
	ready(t, s)
	accepted(t, s)

	// Afterwards, a field that is refused does not stop the store.
	change(t, s, func(s *namespacedv1alpha1.EventStore) {
		s.Spec.ForProvider.Tiering = &v1alpha1.Tiering{AfterDuration: duration(time.Hour)}
	})
	refused(t, s, v1alpha1.ReasonUnsupported, "tiering.afterDuration is not supported on redis", "all events are in memory")
	ready(t, s)
}

// TestEvictionEnabled: a server that may drop events gets no store.
func TestEvictionEnabled(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	r := ownBroker(t, broker.RedisOptions{AppendOnly: true, Config: map[string]string{"maxmemory-policy": "allkeys-lru"}})
	pc := configFor(t, ns, r)
	s := use(store(ns, "orders"), "ClusterProviderConfig", ns)
	create(t, s)
	refused(t, s, v1alpha1.ReasonEvictionEnabled, "allkeys-lru", "set maxmemory-policy to noeviction")
	condition(t, s, xpv2.TypeReady, corev1.ConditionFalse, v1alpha1.ReasonRefused, "maxmemory-policy")
	condition(t, pc, v1alpha1.TypeHealthy, corev1.ConditionTrue, "", "allkeys-lru")
	c := admin(t, r)
	if l := left(t, c, ns+"."); len(l) > 0 {
		t.Errorf("something was created: %v", l)
	}
	if err := c.ConfigSet(t.Context(), "maxmemory-policy", "noeviction").Err(); err != nil {
		t.Fatal(err)
	}
	ready(t, s)
	accepted(t, s)
}

// TestPersistenceRequired: whoever needs it is not given a server that forgets.
func TestPersistenceRequired(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	r := ownBroker(t, broker.RedisOptions{})
	configFor(t, ns, r)
	s := use(store(ns, "orders"), "ClusterProviderConfig", ns)
	s.Spec.ForProvider.Redis = &v1alpha1.EventStoreRedis{RequirePersistence: ptr.To(true)}
	create(t, s)
	refused(t, s, v1alpha1.ReasonNotPersistent, "would lose events at a restart", "or unset requirePersistence")
	if err := admin(t, r).ConfigSet(t.Context(), "appendonly", "yes").Err(); err != nil {
		t.Fatal(err)
	}
	ready(t, s)
}
