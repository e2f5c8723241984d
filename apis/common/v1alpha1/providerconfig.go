package v1alpha1

import (
	xpv2 "github.com/crossplane/crossplane/apis/v2/core/v2"
)

// A PrincipalPolicy says who creates the users that applications connect as.
// +kubebuilder:validation:Enum=Managed;Provided
type PrincipalPolicy string

const (
	// PrincipalsManaged creates a user for every store and subscription, which can do nothing else.
	PrincipalsManaged PrincipalPolicy = "Managed"
	// PrincipalsProvided uses the credentials in the Secret that a store or subscription names.
	PrincipalsProvided PrincipalPolicy = "Provided"
)

// BrokerSpec says which broker to use: exactly one of kafka, pulsar and redis. All kinds of ProviderConfig share it; what
// names a Secret is beside it, because a namespaced kind names Secrets of its own namespace only.
// +kubebuilder:validation:XValidation:rule="(has(self.kafka) ? 1 : 0) + (has(self.pulsar) ? 1 : 0) + (has(self.redis) ? 1 : 0) == 1",message="set exactly one of kafka, pulsar and redis: one ProviderConfig is for one broker"
// +kubebuilder:validation:XValidation:rule="has(self.kafka) == has(oldSelf.kafka) && has(self.pulsar) == has(oldSelf.pulsar) && has(self.redis) == has(oldSelf.redis)",message="the kind of broker cannot change, because stores would be looked for elsewhere: create another ProviderConfig",reason="FieldValueForbidden"
// +kubebuilder:validation:XValidation:rule="!has(self.kafka) || !has(self.kafka.authentication) || self.kafka.authentication.mechanism != 'MTLS' || (has(self.principals) && self.principals == 'Provided')",message="users that the provider makes could not log in where it connects by MTLS: set principals: Provided, and name each certificate's principal in principalSecretRef"
type BrokerSpec struct {
	// Kafka is how to reach an Apache Kafka cluster, or what speaks its protocol.
	// +optional
	Kafka *KafkaSettings `json:"kafka,omitempty"`

	// Pulsar is how to reach an Apache Pulsar cluster.
	// +optional
	Pulsar *PulsarSettings `json:"pulsar,omitempty"`

	// Redis is how to reach Redis: one server, servers with Sentinel, or a Redis Cluster.
	// +optional
	Redis *RedisSettings `json:"redis,omitempty"`

	// Principals says who creates the users that applications connect as. Managed: the provider creates one for every
	// store and subscription. Provided: a store or subscription names a Secret with the credentials, for services
	// whose users cannot be managed through the broker's protocol; what such a user may do is then not bounded by the
	// provider, and status says so. Default: Managed. Backends: kafka, pulsar, redis.
	// +optional
	// +kubebuilder:default=Managed
	Principals PrincipalPolicy `json:"principals,omitempty"`
}

// Backend is the kind of broker that is configured. It is empty if none is.
func (s *BrokerSpec) Backend() Backend {
	switch {
	case s.Kafka != nil:
		return BackendKafka
	case s.Pulsar != nil:
		return BackendPulsar
	case s.Redis != nil:
		return BackendRedis
	}
	return ""
}

// ProviderConfigSpec is the spec of the cluster-scoped ProviderConfig kinds, whose Secrets may be in any namespace. The
// controller also works with it for the namespaced ProviderConfig, whose own namespace it then names throughout.
// +kubebuilder:validation:XValidation:rule="!has(self.kafka) || !has(self.kafka.authentication) || self.kafka.authentication.mechanism in ['MTLS', 'AWS_MSK_IAM'] || (has(self.credentials) && self.credentials.source != 'None')",message="this kafka.authentication.mechanism needs a secret: set credentials, whose value is the password, or the client's secret for OAUTHBEARER"
// +kubebuilder:validation:XValidation:rule="!has(self.pulsar) || !has(self.pulsar.authentication) || self.pulsar.authentication.method == 'MTLS' || (has(self.credentials) && self.credentials.source != 'None')",message="this pulsar.authentication.method needs a secret: set credentials, whose value is the token, or the client's secret for OAuth2"
// +kubebuilder:validation:XValidation:rule="!((has(self.kafka) && has(self.kafka.authentication) && self.kafka.authentication.mechanism == 'MTLS') || (has(self.pulsar) && has(self.pulsar.authentication) && self.pulsar.authentication.method == 'MTLS')) || (has(self.tls) && has(self.tls.clientCertificateSecretRef))",message="MTLS needs a certificate: set tls.clientCertificateSecretRef to a Secret of type kubernetes.io/tls"
// +kubebuilder:validation:XValidation:rule="!has(self.credentials) || self.credentials.source == 'None' || has(self.redis) || (has(self.kafka) && has(self.kafka.authentication) && self.kafka.authentication.mechanism != 'AWS_MSK_IAM') || (has(self.pulsar) && has(self.pulsar.authentication))",message="credentials would not be used: set kafka.authentication or pulsar.authentication to say how, or remove them"
// +kubebuilder:validation:XValidation:rule="!has(self.tokenSigningKey) || has(self.pulsar)",message="tokenSigningKey is for pulsar: remove it"
// +kubebuilder:validation:XValidation:rule="!has(self.sentinelCredentials) || (has(self.redis) && self.redis.mode == 'Sentinel')",message="sentinelCredentials are for redis with mode: Sentinel: remove them, or set redis.mode"
type ProviderConfigSpec struct {
	BrokerSpec `json:",inline"`

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
	CASecretRef *xpv2.SecretKeySelector `json:"caSecretRef,omitempty"`

	// ClientCertificateSecretRef is a Secret of type kubernetes.io/tls (keys tls.crt and tls.key) with the certificate
	// that the provider shows. Default: none.
	// +optional
	ClientCertificateSecretRef *xpv2.SecretReference `json:"clientCertificateSecretRef,omitempty"`

	// ServerName is the name that the broker's certificate must have. Default: the host that is dialled.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	ServerName string `json:"serverName,omitempty"`
}

// Credentials say where a secret value is read from.
// +kubebuilder:validation:XValidation:rule="(self.source == 'Secret') == has(self.secretRef)",message="source: Secret and secretRef belong together: set both or neither"
// +kubebuilder:validation:XValidation:rule="(self.source == 'Environment') == has(self.env)",message="source: Environment and env belong together: set both or neither"
// +kubebuilder:validation:XValidation:rule="(self.source == 'Filesystem') == has(self.fs)",message="source: Filesystem and fs belong together: set both or neither"
type Credentials struct {
	// Source of the value: Secret, Environment, Filesystem, None.
	// +kubebuilder:validation:Enum=Secret;Environment;Filesystem;None
	Source xpv2.CredentialsSource `json:"source"`

	// SecretRef is the key of a Secret, for source Secret. A change takes effect within seconds.
	// +optional
	SecretRef *xpv2.SecretKeySelector `json:"secretRef,omitempty"`

	// Env is an environment variable of the provider, for source Environment.
	// +optional
	Env *xpv2.EnvSelector `json:"env,omitempty"`

	// Fs is a file that the provider can read, such as one that a Vault agent writes, for source Filesystem.
	// +optional
	Fs *xpv2.FsSelector `json:"fs,omitempty"`
}

// A ProviderConfigStatus is what the provider last saw of a broker.
type ProviderConfigStatus struct {
	xpv2.ProviderConfigStatus `json:",inline"`

	// Broker is what answered at the endpoint.
	// +optional
	Broker *BrokerObservation `json:"broker,omitempty"`
}

// BrokerObservation is what answered at the endpoint.
type BrokerObservation struct {
	// Backend is the kind of broker: kafka, pulsar, redis.
	// +optional
	Backend Backend `json:"backend,omitempty"`

	// Version that the broker says it is.
	// +optional
	Version string `json:"version,omitempty"`

	// Endpoint that answered.
	// +optional
	Endpoint string `json:"endpoint,omitempty"`

	// RoundTrip is how long the broker took to answer, rounded. Unit: a duration such as 2ms.
	// +optional
	RoundTrip *Duration `json:"roundTrip,omitempty"`
}
