package v1alpha1

import (
	"testing"

	xpv2 "github.com/crossplane/crossplane/apis/v2/core/v2"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	common "github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
)

// TestConnectionNamesItsOwnNamespace fills every reference to a Secret, so that a new one cannot be forgotten.
func TestConnectionNamesItsOwnNamespace(t *testing.T) {
	key := xpv2.LocalSecretKeySelector{LocalSecretReference: xpv2.LocalSecretReference{Name: "s"}, Key: "k"}
	credentials := &Credentials{Source: xpv2.CredentialsSourceSecret, SecretRef: &key}
	pc := &ProviderConfig{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team-a"},
		Spec: ProviderConfigSpec{
			BrokerSpec:          common.BrokerSpec{Redis: &common.RedisSettings{Addresses: []string{"r:6379"}}},
			TLS:                 &TLS{CASecretRef: &key, ClientCertificateSecretRef: &xpv2.LocalSecretReference{Name: "c"}, ServerName: "r"},
			Credentials:         credentials,
			TokenSigningKey:     credentials,
			SentinelCredentials: credentials,
		},
	}
	fullKey := &xpv2.SecretKeySelector{SecretReference: xpv2.SecretReference{Name: "s", Namespace: "team-a"}, Key: "k"}
	full := &common.Credentials{Source: xpv2.CredentialsSourceSecret, SecretRef: fullKey}
	want := common.ProviderConfigSpec{
		BrokerSpec:          pc.Spec.BrokerSpec,
		TLS:                 &common.TLS{CASecretRef: fullKey, ClientCertificateSecretRef: &xpv2.SecretReference{Name: "c", Namespace: "team-a"}, ServerName: "r"},
		Credentials:         full,
		TokenSigningKey:     full,
		SentinelCredentials: full,
	}
	got := pc.Connection()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Connection(): -want, +got:\n%s", diff)
	}
	got.Redis.Addresses[0] = "changed"
	if pc.Spec.Redis.Addresses[0] != "r:6379" {
		t.Error("Connection() shares memory with the object, which a cache may own")
	}
}

func TestConnectionOfAnEmptySpec(t *testing.T) {
	if diff := cmp.Diff(common.ProviderConfigSpec{}, (&ProviderConfig{}).Connection()); diff != "" {
		t.Errorf("Connection(): -want, +got:\n%s", diff)
	}
}

func TestGrantsExternalNames(t *testing.T) {
	p := &ClusterProviderConfig{Spec: ClusterProviderConfigSpec{ExternalNames: []ExternalNameGrant{{Namespace: "platform"}}}}
	for ns, want := range map[string]bool{"platform": true, "shop": false, "": false, "platform.": false} {
		if got := p.GrantsExternalNames(ns); got != want {
			t.Errorf("GrantsExternalNames(%q) = %t, want %t", ns, got, want)
		}
	}
}

func TestBinding(t *testing.T) {
	es := &EventStore{}
	es.SetBinding("orders-events")
	if es.Status.Binding == nil || es.Status.Binding.Name != "orders-events" {
		t.Errorf("SetBinding: binding is %v", es.Status.Binding)
	}
	es.SetBinding("")
	if es.Status.Binding != nil {
		t.Errorf("SetBinding(\"\"): binding is still %v", es.Status.Binding)
	}
}
