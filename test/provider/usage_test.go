package provider_test

import (
	"testing"

	xpv2 "github.com/crossplane/crossplane/apis/v2/core/v2"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
)

// config is a ProviderConfig of any kind.
type config interface {
	conditioned
	GetUsers() int64
}

// TestProviderConfigInUse: each kind of ProviderConfig stays while it is used, says so, and goes with its last user.
func TestProviderConfigInUse(t *testing.T) {
	t.Parallel()
	cases := map[string]func(ns string) (config, []client.Object){
		"ProviderConfigOfANamespace": func(ns string) (config, []client.Object) {
			return localConfig(ns, "redis", world.redis.Addr, "redis"), []client.Object{
				use(store(ns, "orders"), "ProviderConfig", "redis"), use(subscription(ns, "orders", "billing"), "ProviderConfig", "redis"),
			}
		},
		"ClusterProviderConfig": func(ns string) (config, []client.Object) {
			return sharedConfig(ns, world.redis.Addr, ns, "redis"), []client.Object{
				use(store(ns, "orders"), "ClusterProviderConfig", ns), use(subscription(ns, "orders", "billing"), "ClusterProviderConfig", ns),
			}
		},
		"ProviderConfigOfTheCluster": func(ns string) (config, []client.Object) {
			first, second := clusterStore(ns, ns+".orders"), clusterStore(ns, ns+".payments")
			first.Spec.ProviderConfigReference.Name, second.Spec.ProviderConfigReference.Name = ns, ns
			return clusterConfig(ns, world.redis.Addr, ns, "redis"), []client.Object{first, second}
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ns := namespace(t)
			pc, users := tc(ns)
			create(t, passwordSecret(ns, "redis", world.redis.AdminPassword), pc)
			create(t, users...)
			for _, u := range users {
				ready(t, u.(conditioned)) //nolint:forcetypeassert // They are managed resources.
			}
			remove(t, pc)
			condition(t, pc, "Terminating", corev1.ConditionTrue, "", "Blocking deletion while usages still exist")
			eventually(t, "status says how many use it", func() (bool, string) {
				err := world.kube.Get(t.Context(), objectKey(pc), pc)
				return err == nil && pc.GetUsers() == 2, describe(pc)
			})
			discard(t, users[1])
			discard(t, users[0]) // With the connection of a ProviderConfig that is being deleted itself.
			gone(t, pc)
		})
	}
}

// TestTwoBrokers: resources of one ProviderConfig have nothing to do with the broker of another, of the same names even.
func TestTwoBrokers(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	r := ownBroker(t, brokerDefaults)
	configFor(t, ns, r)
	here := store(ns, "orders")
	there := externalName(use(store(ns, "orders-there"), "ClusterProviderConfig", ns), ns+".orders")
	create(t, here, there)
	ready(t, here)
	ready(t, there)
	appendEvents(t, asApplication(t, r, ns, "orders-there"), ns+".orders", 2)
	if n := events(t, admin(t, world.redis), ns+".orders"); n != 0 {
		t.Errorf("the other broker has %d records, want none", n)
	}
	data := connection(t, ns, "orders-there")
	if err := login(t, world.redis, string(data["username"]), string(data["password"])).Ping(t.Context()).Err(); err == nil {
		t.Error("the user of one broker is let in by the other")
	}
	if got := string(data["endpoints"]); got != r.Addr {
		t.Errorf("the Secret leads to %s, want %s", got, r.Addr)
	}
}

// TestSourcesOfCredentials: a password can also come from the environment or a file of the provider.
func TestSourcesOfCredentials(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	cases := map[string]*v1alpha1.Credentials{
		"environment": {Source: xpv2.CredentialsSourceEnvironment, Env: &xpv2.EnvSelector{Name: passwordVariable}},
		"filesystem":  {Source: xpv2.CredentialsSourceFilesystem, Fs: &xpv2.FsSelector{Path: world.file}},
	}
	for name, c := range cases {
		pc := sharedConfig(ns+"-"+name, world.redis.Addr, "", "")
		pc.Spec.Credentials = c
		s := use(store(ns, name), "ClusterProviderConfig", pc.GetName())
		create(t, pc, s)
		ready(t, s)
		condition(t, pc, v1alpha1.TypeHealthy, corev1.ConditionTrue, v1alpha1.ReasonHealthy)
	}
	broken := map[string]struct {
		c    *v1alpha1.Credentials
		part string
	}{
		"no-variable": {&v1alpha1.Credentials{Source: xpv2.CredentialsSourceEnvironment, Env: &xpv2.EnvSelector{Name: "NOT_SET"}}, "NOT_SET"},
		"no-file":     {&v1alpha1.Credentials{Source: xpv2.CredentialsSourceFilesystem, Fs: &xpv2.FsSelector{Path: "/does/not/exist"}}, "/does/not/exist"},
	}
	for name, tc := range broken {
		pc := sharedConfig(ns+"-"+name, world.redis.Addr, "", "")
		pc.Spec.Credentials = tc.c
		create(t, pc)
		condition(t, pc, v1alpha1.TypeHealthy, corev1.ConditionFalse, v1alpha1.ReasonCredentialsMissing, tc.part)
	}
}
