package v1alpha1

import (
	xpv2 "github.com/crossplane/crossplane/apis/v2/core/v2"

	common "github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
)

// ProviderConfigSpec is the spec of the namespaced ProviderConfig. It names Secrets of its own namespace only, and neither
// files nor variables of the provider: who may create one in a namespace must not read another's secrets with it. It is
// common.ProviderConfigSpec otherwise, rules included.
// +kubebuilder:validation:XValidation:rule="!has(self.kafka) || !has(self.kafka.authentication) || self.kafka.authentication.mechanism in ['MTLS', 'AWS_MSK_IAM'] || (has(self.credentials) && self.credentials.source != 'None')",message="this kafka.authentication.mechanism needs a secret: set credentials, whose value is the password, or the client's secret for OAUTHBEARER"
// +kubebuilder:validation:XValidation:rule="!has(self.pulsar) || !has(self.pulsar.authentication) || self.pulsar.authentication.method == 'MTLS' || (has(self.credentials) && self.credentials.source != 'None')",message="this pulsar.authentication.method needs a secret: set credentials, whose value is the token, or the client's secret for OAuth2"
// +kubebuilder:validation:XValidation:rule="!((has(self.kafka) && has(self.kafka.authentication) && self.kafka.authentication.mechanism == 'MTLS') || (has(self.pulsar) && has(self.pulsar.authentication) && self.pulsar.authentication.method == 'MTLS')) || (has(self.tls) && has(self.tls.clientCertificateSecretRef))",message="MTLS needs a certificate: set tls.clientCertificateSecretRef to a Secret of type kubernetes.io/tls"
// +kubebuilder:validation:XValidation:rule="!has(self.credentials) || self.credentials.source == 'None' || has(self.redis) || (has(self.kafka) && has(self.kafka.authentication) && self.kafka.authentication.mechanism != 'AWS_MSK_IAM') || (has(self.pulsar) && has(self.pulsar.authentication))",message="credentials would not be used: set kafka.authentication or pulsar.authentication to say how, or remove them"
// +kubebuilder:validation:XValidation:rule="!has(self.tokenSigningKey) || has(self.pulsar)",message="tokenSigningKey is for pulsar: remove it"
// +kubebuilder:validation:XValidation:rule="!has(self.sentinelCredentials) || (has(self.redis) && self.redis.mode == 'Sentinel')",message="sentinelCredentials are for redis with mode: Sentinel: remove them, or set redis.mode"
type ProviderConfigSpec struct {
	common.BrokerSpec `json:",inline"`

	// TLS encrypts connections to the broker. An empty object uses the machine's certificate authorities.
	// Default: plain text. Backends: kafka, pulsar, redis.
	// +optional
	TLS *TLS `json:"tls,omitempty"`

	// Credentials are the secret part of how the provider authenticates: the password of SCRAM, PLAIN or Redis, the
	// client's secret of OAuth, the token of Pulsar. A trailing newline is not part of it.
	// Default: none. Backends: kafka, pulsar, redis.
	// +optional
	Credentials *Credentials `json:"credentials,omitempty"`

	// TokenSigningKey is the key that the broker checks tokens with, by which the provider issues a token for every
	// store and subscription: a PEM private key (RS256, ES256), or the bytes of a shared secret key (HS256).
	// Default: none; principals are then Provided. Backends: pulsar.
	// +optional
	TokenSigningKey *Credentials `json:"tokenSigningKey,omitempty"`

	// SentinelCredentials are the password of the Sentinels, where it is not the servers'.
	// Default: none. Backends: redis, with mode Sentinel.
	// +optional
	SentinelCredentials *Credentials `json:"sentinelCredentials,omitempty"`
}

// TLS says how connections to the broker are encrypted.
type TLS struct {
	// CASecretRef is a key of a Secret with the certificate authorities that sign the broker's certificate, as PEM.
	// Default: the machine's.
	// +optional
	CASecretRef *xpv2.LocalSecretKeySelector `json:"caSecretRef,omitempty"`

	// ClientCertificateSecretRef is a Secret of type kubernetes.io/tls (keys tls.crt and tls.key) with the certificate
	// that the provider shows. Default: none.
	// +optional
	ClientCertificateSecretRef *xpv2.LocalSecretReference `json:"clientCertificateSecretRef,omitempty"`

	// ServerName is the name that the broker's certificate must have. Default: the host that is dialled.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	ServerName string `json:"serverName,omitempty"`
}

// Credentials say where a secret value is read from.
// +kubebuilder:validation:XValidation:rule="(self.source == 'Secret') == has(self.secretRef)",message="source: Secret and secretRef belong together: set both or neither"
type Credentials struct {
	// Source of the value: Secret, None.
	// +kubebuilder:validation:Enum=Secret;None
	Source xpv2.CredentialsSource `json:"source"`

	// SecretRef is the key of a Secret, for source Secret. A change takes effect within seconds.
	// +optional
	SecretRef *xpv2.LocalSecretKeySelector `json:"secretRef,omitempty"`
}

// in returns the spec with a namespace in every reference to a Secret.
func (s *ProviderConfigSpec) in(namespace string) common.ProviderConfigSpec {
	out := common.ProviderConfigSpec{
		BrokerSpec:          *s.BrokerSpec.DeepCopy(),
		Credentials:         s.Credentials.in(namespace),
		TokenSigningKey:     s.TokenSigningKey.in(namespace),
		SentinelCredentials: s.SentinelCredentials.in(namespace),
	}
	if t := s.TLS; t != nil {
		out.TLS = &common.TLS{ServerName: t.ServerName}
		if t.CASecretRef != nil {
			out.TLS.CASecretRef = t.CASecretRef.ToSecretKeySelector(namespace)
		}
		if r := t.ClientCertificateSecretRef; r != nil {
			out.TLS.ClientCertificateSecretRef = &xpv2.SecretReference{Name: r.Name, Namespace: namespace}
		}
	}
	return out
}

func (c *Credentials) in(namespace string) *common.Credentials {
	if c == nil {
		return nil
	}
	out := &common.Credentials{Source: c.Source}
	if c.SecretRef != nil {
		out.SecretRef = c.SecretRef.ToSecretKeySelector(namespace)
	}
	return out
}
