package v1alpha1

// A KafkaMechanism is a way to authenticate to Kafka.
// +kubebuilder:validation:Enum=SCRAM-SHA-256;SCRAM-SHA-512;PLAIN;OAUTHBEARER;AWS_MSK_IAM;MTLS
type KafkaMechanism string

// The ways to authenticate to Kafka, by the names that SASL gives them; AWS_MSK_IAM is as an AWS role, with the provider's
// own AWS credentials; MTLS is by client certificate, without SASL.
const (
	KafkaScramSHA256 KafkaMechanism = "SCRAM-SHA-256"
	KafkaScramSHA512 KafkaMechanism = "SCRAM-SHA-512"
	KafkaPlain       KafkaMechanism = "PLAIN"
	KafkaOAuthBearer KafkaMechanism = "OAUTHBEARER"
	KafkaAWSMSKIAM   KafkaMechanism = "AWS_MSK_IAM"
	KafkaMTLS        KafkaMechanism = "MTLS"
)

// KafkaSettings say how to reach an Apache Kafka cluster.
type KafkaSettings struct {
	// BootstrapServers are the brokers to ask first, as host:port.
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=261
	// +kubebuilder:validation:items:Pattern=`^(\[[0-9a-fA-F:]+\]|[-._A-Za-z0-9]+):[0-9]{1,5}$`
	BootstrapServers []string `json:"bootstrapServers"`

	// Authentication says how the provider authenticates. Default: not at all.
	// +optional
	Authentication *KafkaAuthentication `json:"authentication,omitempty"`

	// RegistryTopic is the compacted topic in which the provider records which resource owns which store. Providers
	// that share a Kafka cluster must use the same one. It cannot change. Default: eventstore.registry.
	// +optional
	// +kubebuilder:default=eventstore.registry
	// +kubebuilder:validation:MaxLength=249
	// +kubebuilder:validation:Pattern=`^[-._A-Za-z0-9]+$`
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="registryTopic cannot change, because the provider would no longer know its stores: create another ProviderConfig",reason="FieldValueForbidden"
	RegistryTopic string `json:"registryTopic,omitempty"`
}

// KafkaAuthentication says how the provider authenticates to Kafka. The password, or the client's secret, is in
// spec.credentials.
// +kubebuilder:validation:XValidation:rule="!(self.mechanism in ['SCRAM-SHA-256', 'SCRAM-SHA-512', 'PLAIN']) || has(self.username)",message="SCRAM and PLAIN need a user: set username"
// +kubebuilder:validation:XValidation:rule="!has(self.username) || self.mechanism in ['SCRAM-SHA-256', 'SCRAM-SHA-512', 'PLAIN']",message="username is for SCRAM and PLAIN: remove it"
// +kubebuilder:validation:XValidation:rule="(self.mechanism == 'OAUTHBEARER') == has(self.oauth)",message="mechanism: OAUTHBEARER and oauth belong together: set both or neither"
// +kubebuilder:validation:XValidation:rule="(self.mechanism == 'AWS_MSK_IAM') == has(self.aws)",message="mechanism: AWS_MSK_IAM and aws belong together: set both or neither"
type KafkaAuthentication struct {
	// Mechanism is SCRAM-SHA-256, SCRAM-SHA-512, PLAIN, OAUTHBEARER, AWS_MSK_IAM (with the AWS credentials of the
	// provider's own environment), or MTLS (the client certificate alone).
	Mechanism KafkaMechanism `json:"mechanism"`

	// Username for SCRAM and PLAIN.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	Username string `json:"username,omitempty"`

	// OAuth says where tokens are fetched, for OAUTHBEARER.
	// +optional
	OAuth *OAuth `json:"oauth,omitempty"`

	// AWS says which region the cluster is in, and as whom to authenticate, for AWS_MSK_IAM.
	// +optional
	AWS *AWS `json:"aws,omitempty"`
}

// AWS says as whom to authenticate to Amazon MSK. The credentials are those that the provider finds in its environment, such
// as the role of its service account.
type AWS struct {
	// Region that the cluster is in, such as eu-central-1.
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[a-z0-9-]+$`
	Region string `json:"region"`

	// RoleARN is a role to assume. Default: none; the provider's own is used.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:Pattern=`^arn:[^\s]+$`
	RoleARN string `json:"roleARN,omitempty"`
}

// OAuth says where tokens are fetched with the client credentials grant. The client's secret is in spec.credentials.
type OAuth struct {
	// TokenURL is the endpoint that issues tokens.
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:Pattern=`^https?://[^\s]+$`
	TokenURL string `json:"tokenURL"`

	// ClientID that the provider is known by.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	ClientID string `json:"clientID"`

	// Scopes to ask for. Default: none.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=255
	Scopes []string `json:"scopes,omitempty"`

	// Audience that the token is for. Default: none.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	Audience string `json:"audience,omitempty"`
}

// A PulsarMethod is a way to authenticate to Pulsar.
// +kubebuilder:validation:Enum=Token;OAuth2;MTLS
type PulsarMethod string

// The ways to authenticate to Pulsar: a JSON web token, a token fetched with OAuth 2.0, a client certificate.
const (
	PulsarToken  PulsarMethod = "Token"
	PulsarOAuth2 PulsarMethod = "OAuth2"
	PulsarMTLS   PulsarMethod = "MTLS"
)

// PulsarSettings say how to reach an Apache Pulsar cluster.
type PulsarSettings struct {
	// ServiceURL is where applications connect: pulsar:// or pulsar+ssl://.
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:Pattern=`^pulsar(\+ssl)?://[^\s]+$`
	ServiceURL string `json:"serviceURL"`

	// AdminURL is where the provider administers: http:// or https://.
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:Pattern=`^https?://[^\s]+$`
	AdminURL string `json:"adminURL"`

	// Authentication says how the provider authenticates. Default: not at all.
	// +optional
	Authentication *PulsarAuthentication `json:"authentication,omitempty"`

	// Tenant that all stores are created in: one that names another is refused. It cannot change. Default: public.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="tenant cannot change, because the provider would no longer know its stores: create another ProviderConfig",reason="FieldValueForbidden"
	// +kubebuilder:default=public
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:Pattern=`^[-=:.\w]*$`
	Tenant string `json:"tenant,omitempty"`

	// CreateTenant creates a tenant that does not exist, which needs a superuser. It is never deleted.
	// Default: false.
	// +optional
	CreateTenant bool `json:"createTenant,omitempty"`
}

// PulsarAuthentication says how the provider authenticates to Pulsar. The token, or the client's secret, is in
// spec.credentials.
// +kubebuilder:validation:XValidation:rule="(self.method == 'OAuth2') == has(self.oauth)",message="method: OAuth2 and oauth belong together: set both or neither"
type PulsarAuthentication struct {
	// Method is Token, OAuth2, or MTLS (the client certificate).
	Method PulsarMethod `json:"method"`

	// OAuth says where tokens are fetched, for OAuth2.
	// +optional
	OAuth *OAuth `json:"oauth,omitempty"`
}

// A RedisMode says how the servers of a Redis belong together.
// +kubebuilder:validation:Enum=Standalone;Sentinel;Cluster
type RedisMode string

const (
	// RedisStandalone is one server.
	RedisStandalone RedisMode = "Standalone"
	// RedisSentinel is a master with replicas, which Sentinels watch and promote.
	RedisSentinel RedisMode = "Sentinel"
	// RedisCluster is a Redis Cluster.
	RedisCluster RedisMode = "Cluster"
)

// RedisSettings say how to reach Redis. The password is in spec.credentials.
// +kubebuilder:validation:XValidation:rule="(self.mode == 'Sentinel') == has(self.sentinel)",message="mode: Sentinel and sentinel belong together: set both or neither"
// +kubebuilder:validation:XValidation:rule="self.mode != 'Standalone' || size(self.addresses) == 1",message="mode: Standalone is one server: name one address, or set mode to Sentinel or Cluster"
type RedisSettings struct {
	// Mode is Standalone (one server), Sentinel (a master that Sentinels watch), or Cluster. Default: Standalone.
	// +optional
	// +kubebuilder:default=Standalone
	Mode RedisMode `json:"mode,omitempty"`

	// Addresses as host:port: of the server, of the Sentinels, or of some servers of the Cluster.
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=261
	// +kubebuilder:validation:items:Pattern=`^(\[[0-9a-fA-F:]+\]|[-._A-Za-z0-9]+):[0-9]{1,5}$`
	Addresses []string `json:"addresses"`

	// Username of the provider's ACL user. Default: default.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	Username string `json:"username,omitempty"`

	// Sentinel says which master the Sentinels watch, for mode Sentinel.
	// +optional
	Sentinel *RedisSentinelSettings `json:"sentinel,omitempty"`
}

// RedisSentinelSettings say which master the Sentinels watch. Their password is in spec.sentinelCredentials.
type RedisSentinelSettings struct {
	// MasterName is the name that the Sentinels know the master by.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	MasterName string `json:"masterName"`

	// Username of the Sentinels' ACL user. Default: default.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	Username string `json:"username,omitempty"`
}
