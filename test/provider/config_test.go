package provider_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
	namespacedv1alpha1 "github.com/crossplane-contrib/provider-eventstore/apis/namespaced/v1alpha1"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/process"
)

func TestWrongPassword(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	secret := passwordSecret(ns, "redis", "not-the-password")
	pc, s := localConfig(ns, "redis", world.redis.Addr, "redis"), use(store(ns, "orders"), "ProviderConfig", "redis")
	create(t, secret, pc, s)

	condition(t, pc, v1alpha1.TypeHealthy, corev1.ConditionFalse, v1alpha1.ReasonUnauthorized, world.redis.Addr, "refuses the user name or the password", "correct the credentials")
	fails(t, s, ns+".orders", "refuses the user name or the password")

	change(t, secret, func(s *corev1.Secret) { s.StringData = map[string]string{"password": world.redis.AdminPassword} })
	ready(t, s)
	condition(t, pc, v1alpha1.TypeHealthy, corev1.ConditionTrue, v1alpha1.ReasonHealthy)
}

func TestUnreachableBroker(t *testing.T) {
	t.Parallel()
	ports, err := process.FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	address := process.Loopback(ports[0])
	ns := namespace(t)
	pc, s := localConfig(ns, "redis", address, "redis"), use(store(ns, "orders"), "ProviderConfig", "redis")
	sub := use(subscription(ns, "orders", "billing"), "ProviderConfig", "redis")
	create(t, passwordSecret(ns, "redis", world.redis.AdminPassword), pc, s, sub)

	condition(t, pc, v1alpha1.TypeHealthy, corev1.ConditionFalse, v1alpha1.ReasonUnreachable, address, "is the server running")
	fails(t, s, ns+".orders", address, "the connection is refused")
	fails(t, sub, ns+".orders/billing", address, "the connection is refused")

	// The address was wrong, and is corrected.
	change(t, pc, func(pc *namespacedv1alpha1.ProviderConfig) { pc.Spec.Redis.Addresses = []string{world.redis.Addr} })
	ready(t, s)
	ready(t, sub)
	condition(t, pc, v1alpha1.TypeHealthy, corev1.ConditionTrue, v1alpha1.ReasonHealthy)
}

// TestBrokerComesBack: what was asked for while the broker was down is made once it is back, what it lost is repaired,
// and nothing is made twice.
func TestBrokerComesBack(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	r := ownBroker(t, broker.RedisOptions{AppendOnly: true}) // Without an ACL file, a restart forgets the users.
	pc := configFor(t, ns, r)
	s := use(store(ns, "orders"), "ClusterProviderConfig", ns)
	create(t, s)
	ready(t, s)
	c := admin(t, r)
	ids := appendEvents(t, asApplication(t, r, ns, "orders"), ns+".orders", 3)

	if err := r.Stop(); err != nil {
		t.Fatal(err)
	}
	late := use(store(ns, "late"), "ClusterProviderConfig", ns)
	create(t, late)
	fails(t, late, r.Addr, "the connection is refused")
	condition(t, pc, v1alpha1.TypeHealthy, corev1.ConditionFalse, v1alpha1.ReasonUnreachable, r.Addr)

	if err := r.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	ready(t, late)
	eventually(t, "the application's user is back", func() (bool, string) {
		err := asApplication(t, r, ns, "orders").Ping(t.Context()).Err()
		return err == nil, "PING fails"
	})
	ready(t, s)
	condition(t, pc, v1alpha1.TypeHealthy, corev1.ConditionTrue, v1alpha1.ReasonHealthy)
	if n := events(t, c, ns+".orders"); n != int64(len(ids)) {
		t.Errorf("the store has %d records, want %d", n, len(ids))
	}
	if got := len(left(t, c, ns+".orders")); got != 3 { // User, marker, events.
		t.Errorf("Redis has %v of the store", left(t, c, ns+".orders"))
	}
}

func TestProviderConfigMissing(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	s := use(store(ns, "orders"), "ClusterProviderConfig", "of-"+ns)
	sub := use(subscription(ns, "orders", "billing"), "ClusterProviderConfig", "of-"+ns)
	create(t, s, sub)
	fails(t, s, "ClusterProviderConfig of-"+ns+" does not exist", "create it, or correct spec.providerConfigRef")
	fails(t, sub, "ClusterProviderConfig of-"+ns+" does not exist")

	pc := sharedConfig("of-"+ns, world.redis.Addr, "crossplane-system", "redis")
	if err := world.kube.Create(t.Context(), pc); err != nil {
		t.Fatal(err)
	}
	ready(t, s)
	ready(t, sub)

	// It goes when its last user has gone.
	discard(t, sub)
	discard(t, s)
	discard(t, pc)
}

func TestSecretMissing(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	pc := localConfig(ns, "redis", world.redis.Addr, "credentials")
	// Several, because each waits in a backoff of its own, and all must be told.
	first, second := use(store(ns, "first"), "ProviderConfig", "redis"), use(store(ns, "second"), "ProviderConfig", "redis")
	create(t, pc, first, second)
	condition(t, pc, v1alpha1.TypeHealthy, corev1.ConditionFalse, v1alpha1.ReasonCredentialsMissing, "Secret "+ns+"/credentials", "does not exist: create it")
	fails(t, first, "Secret "+ns+"/credentials", "does not exist: create it")
	fails(t, second, "Secret "+ns+"/credentials")

	secret := &corev1.Secret{StringData: map[string]string{"token": "x"}}
	secret.Namespace, secret.Name = ns, "credentials"
	create(t, secret)
	fails(t, first, "Secret "+ns+"/credentials", `no key "password"`, "add it")

	change(t, secret, func(s *corev1.Secret) { s.StringData = map[string]string{"password": world.redis.AdminPassword} })
	ready(t, first)
	ready(t, second)
	condition(t, pc, v1alpha1.TypeHealthy, corev1.ConditionTrue, v1alpha1.ReasonHealthy)
}

// TestRotatedSecret: the new password is used within seconds, and the old one not any more.
func TestRotatedSecret(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	r := ownBroker(t, broker.RedisOptions{AppendOnly: true})
	pc := configFor(t, ns, r)
	s := use(store(ns, "orders"), "ClusterProviderConfig", ns)
	create(t, s)
	ready(t, s)

	const rotated = "a-rotated-password-of-the-admin"
	audit.secret(rotated)
	c := admin(t, r)
	// Both work for a while, as whoever rotates passwords does it.
	if err := c.ACLSetUser(t.Context(), r.AdminUser, ">"+rotated).Err(); err != nil {
		t.Fatal(err)
	}
	secret := passwordSecret(ns, "redis", "")
	change(t, secret, func(s *corev1.Secret) { s.StringData = map[string]string{"password": rotated} })
	late := use(store(ns, "late"), "ClusterProviderConfig", ns)
	create(t, late)
	ready(t, late)
	eventually(t, "the provider logs in anew", func() (bool, string) {
		// A password that is taken away cuts nobody off by itself.
		if err := c.ACLSetUser(t.Context(), r.AdminUser, "<"+r.AdminPassword).Err(); err != nil {
			return false, err.Error()
		}
		_ = c.ClientKillByFilter(t.Context(), "USER", r.AdminUser, "SKIPME", "yes")
		return true, ""
	})
	later := use(store(ns, "later"), "ClusterProviderConfig", ns)
	create(t, later)
	ready(t, later)
	condition(t, pc, v1alpha1.TypeHealthy, corev1.ConditionTrue, v1alpha1.ReasonHealthy)
	ready(t, s)
}

// TestSecretOfAnotherNamespace: a tenant cannot even spell it, and what is read is the tenant's own.
func TestSecretOfAnotherNamespace(t *testing.T) {
	t.Parallel()
	ns, other := namespace(t), namespace(t)
	create(t, passwordSecret(other, "redis", world.redis.AdminPassword))
	pc := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "eventstore.m.crossplane.io/v1alpha1", "kind": "ProviderConfig",
		"metadata": map[string]any{"namespace": ns, "name": "redis"},
		"spec": map[string]any{
			"redis": map[string]any{"addresses": []any{world.redis.Addr}, "username": world.redis.AdminUser},
			"credentials": map[string]any{"source": "Secret", "secretRef": map[string]any{
				"namespace": other, "name": "redis", "key": "password",
			}},
		},
	}}
	if err := world.kube.Create(t.Context(), pc.DeepCopy(), client.FieldValidation("Strict")); err == nil {
		t.Error("the API server takes a namespace in the secretRef of a namespaced ProviderConfig")
	} else {
		t.Logf("strict: %v", err)
	}
	create(t, pc) // Without validation of fields, the unknown one is dropped.
	typed := localConfig(ns, "redis", "", "")
	s := use(store(ns, "orders"), "ProviderConfig", "redis")
	create(t, s)
	condition(t, typed, v1alpha1.TypeHealthy, corev1.ConditionFalse, v1alpha1.ReasonCredentialsMissing, "Secret "+ns+"/redis")
	fails(t, s, "Secret "+ns+"/redis", "does not exist")
}
