package provider_test

import (
	"os"
	"testing"

	xpv2 "github.com/crossplane/crossplane/apis/v2/core/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
	namespacedv1alpha1 "github.com/crossplane-contrib/provider-eventstore/apis/namespaced/v1alpha1"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

var brokerDefaults = broker.RedisOptions{AppendOnly: true}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func caSecret(t *testing.T, namespace string, r *broker.Redis) *corev1.Secret {
	t.Helper()
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "ca"},
		Data:       map[string][]byte{"ca.crt": read(t, r.CAFile)},
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	pc := localConfig(ns, "redis", world.redis.TLSAddr, "redis")
	s := use(store(ns, "orders"), "ProviderConfig", "redis")
	create(t, passwordSecret(ns, "redis", world.redis.AdminPassword), caSecret(t, ns, world.redis), pc, s)

	// Plain text to the TLS port.
	condition(t, pc, v1alpha1.TypeHealthy, corev1.ConditionFalse, v1alpha1.ReasonUnreachable, world.redis.TLSAddr, "set tls")

	// TLS with the machine's authorities, which did not sign the server's certificate.
	change(t, pc, func(pc *namespacedv1alpha1.ProviderConfig) { pc.Spec.TLS = &namespacedv1alpha1.TLS{} })
	condition(t, pc, v1alpha1.TypeHealthy, corev1.ConditionFalse, v1alpha1.ReasonUnreachable, "unknown authority", "set the CA")

	change(t, pc, func(pc *namespacedv1alpha1.ProviderConfig) {
		pc.Spec.TLS.CASecretRef = &xpv2.LocalSecretKeySelector{LocalSecretReference: xpv2.LocalSecretReference{Name: "ca"}, Key: "ca.crt"}
	})
	ready(t, s)
	condition(t, pc, v1alpha1.TypeHealthy, corev1.ConditionTrue, v1alpha1.ReasonHealthy)
	data := connection(t, ns, "orders")
	if string(data[layout.SecretTLS]) != "true" || string(data[layout.SecretCA]) != string(read(t, world.redis.CAFile)) {
		t.Errorf("the connection Secret says tls=%s and has a CA of %d bytes", data[layout.SecretTLS], len(data[layout.SecretCA]))
	}
}

func TestMutualTLS(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	r := ownBroker(t, broker.RedisOptions{AppendOnly: true, TLS: true, RequireClientCert: true})
	pc := localConfig(ns, "redis", r.TLSAddr, "redis")
	pc.Spec.TLS = &namespacedv1alpha1.TLS{CASecretRef: &xpv2.LocalSecretKeySelector{LocalSecretReference: xpv2.LocalSecretReference{Name: "ca"}, Key: "ca.crt"}}
	s := use(store(ns, "orders"), "ProviderConfig", "redis")
	create(t, passwordSecret(ns, "redis", r.AdminPassword), caSecret(t, ns, r), pc, s)
	condition(t, pc, v1alpha1.TypeHealthy, corev1.ConditionFalse, v1alpha1.ReasonUnreachable, r.TLSAddr, "client certificate")

	create(t, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "client"}, Type: corev1.SecretTypeTLS,
		Data: map[string][]byte{corev1.TLSCertKey: read(t, r.ClientCertFile), corev1.TLSPrivateKeyKey: read(t, r.ClientKeyFile)},
	})
	change(t, pc, func(pc *namespacedv1alpha1.ProviderConfig) {
		pc.Spec.TLS.ClientCertificateSecretRef = &xpv2.LocalSecretReference{Name: "client"}
	})
	ready(t, s)
	condition(t, pc, v1alpha1.TypeHealthy, corev1.ConditionTrue, v1alpha1.ReasonHealthy)

	// The provider's own certificate is not the applications'.
	if data := connection(t, ns, "orders"); len(data[layout.SecretPrivateKey]) > 0 {
		t.Error("the provider's private key was handed out")
	}
}
