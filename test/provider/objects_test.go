package provider_test

import (
	"testing"
	"time"

	xpv2 "github.com/crossplane/crossplane/apis/v2/core/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	clusterv1alpha1 "github.com/crossplane-contrib/provider-eventstore/apis/cluster/v1alpha1"
	"github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
	namespacedv1alpha1 "github.com/crossplane-contrib/provider-eventstore/apis/namespaced/v1alpha1"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
)

// namespace creates a namespace of its own for a test.
func namespace(t *testing.T) string {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "team-"}}
	create(t, ns)
	return ns.GetName()
}

// passwordSecret returns a Secret with a password as editors leave it: with a newline at the end.
func passwordSecret(namespace, name, password string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		StringData: map[string]string{"password": password + "\n"},
	}
}

func brokerSpec(address string) v1alpha1.BrokerSpec {
	return v1alpha1.BrokerSpec{Redis: &v1alpha1.RedisSettings{Addresses: []string{address}, Username: broker.RedisAdminUser}}
}

func credentials(namespace, secret string) *v1alpha1.Credentials {
	return &v1alpha1.Credentials{Source: xpv2.CredentialsSourceSecret, SecretRef: &xpv2.SecretKeySelector{
		SecretReference: xpv2.SecretReference{Namespace: namespace, Name: secret}, Key: "password",
	}}
}

// clusterConfig returns the ProviderConfig of the cluster-scoped kinds for a server.
func clusterConfig(name, address, namespace, secret string) *clusterv1alpha1.ProviderConfig {
	return &clusterv1alpha1.ProviderConfig{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       v1alpha1.ProviderConfigSpec{BrokerSpec: brokerSpec(address), Credentials: credentials(namespace, secret)},
	}
}

// sharedConfig returns a ClusterProviderConfig for a server.
func sharedConfig(name, address, namespace, secret string) *namespacedv1alpha1.ClusterProviderConfig {
	return &namespacedv1alpha1.ClusterProviderConfig{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: namespacedv1alpha1.ClusterProviderConfigSpec{ProviderConfigSpec: v1alpha1.ProviderConfigSpec{
			BrokerSpec: brokerSpec(address), Credentials: credentials(namespace, secret),
		}},
	}
}

// localConfig returns the ProviderConfig of a namespace for a server.
func localConfig(namespace, name, address, secret string) *namespacedv1alpha1.ProviderConfig {
	return &namespacedv1alpha1.ProviderConfig{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: namespacedv1alpha1.ProviderConfigSpec{
			BrokerSpec: brokerSpec(address),
			Credentials: &namespacedv1alpha1.Credentials{Source: xpv2.CredentialsSourceSecret, SecretRef: &xpv2.LocalSecretKeySelector{
				LocalSecretReference: xpv2.LocalSecretReference{Name: secret}, Key: "password",
			}},
		},
	}
}

// store returns a namespaced EventStore of one partition on the shared Redis.
func store(namespace, name string) *namespacedv1alpha1.EventStore {
	one := int32(1)
	s := &namespacedv1alpha1.EventStore{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	s.Spec.ProviderConfigReference = &xpv2.ProviderConfigReference{Kind: "ClusterProviderConfig", Name: "default"}
	s.Spec.WriteConnectionSecretToReference = &xpv2.LocalSecretReference{Name: name}
	s.Spec.ForProvider.Partitions = &one
	return s
}

// subscription returns a namespaced Subscription to the store of that name.
func subscription(namespace, store, name string) *namespacedv1alpha1.Subscription {
	s := &namespacedv1alpha1.Subscription{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	s.Spec.ProviderConfigReference = &xpv2.ProviderConfigReference{Kind: "ClusterProviderConfig", Name: "default"}
	s.Spec.WriteConnectionSecretToReference = &xpv2.LocalSecretReference{Name: name}
	s.Spec.ForProvider.EventStoreRef = &xpv2.NamespacedReference{Name: store}
	return s
}

// clusterStore returns a cluster-scoped EventStore of one partition, whose Secret goes to namespace.
func clusterStore(namespace, name string) *clusterv1alpha1.EventStore {
	one := int32(1)
	s := &clusterv1alpha1.EventStore{ObjectMeta: metav1.ObjectMeta{Name: name}}
	s.Spec.ProviderConfigReference = &xpv2.Reference{Name: "default"}
	s.Spec.WriteConnectionSecretToReference = &xpv2.SecretReference{Namespace: namespace, Name: name}
	s.Spec.ForProvider.Partitions = &one
	return s
}

// use has a store or subscription use a ProviderConfig.
func use[T interface {
	SetProviderConfigReference(r *xpv2.ProviderConfigReference)
}](o T, kind, config string) T {
	o.SetProviderConfigReference(&xpv2.ProviderConfigReference{Kind: kind, Name: config})
	return o
}

func objectMeta(namespace, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: name}
}

// externalName gives o an external name.
func externalName[T metav1.Object](o T, name string) T {
	a := map[string]string{"crossplane.io/external-name": name}
	o.SetAnnotations(a)
	return o
}

func duration(d time.Duration) *v1alpha1.Duration { return v1alpha1.DurationOf(d) }
