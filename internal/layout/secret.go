package layout

// Keys of a connection Secret. The first group are the well-known entries of the Service Binding specification 1.1.0.
const (
	SecretType        = "type"     // "eventstore"
	SecretProvider    = "provider" // "kafka", "pulsar" or "redis"
	SecretHost        = "host"
	SecretPort        = "port"
	SecretURI         = "uri" // without user and password
	SecretUsername    = "username"
	SecretPassword    = "password"
	SecretCA          = "certificates" // PEM, the authorities that sign the broker's certificate; absent without TLS or with public ones
	SecretCertificate = "certificate"  // PEM, the client's own certificate, for mTLS
	SecretPrivateKey  = "private-key"  // PEM, of SecretCertificate

	SecretEndpoints        = "endpoints"         // host:port, comma-separated
	SecretTLS              = "tls"               // "true" or "false"
	SecretRedisMode        = "redis-mode"        // "sentinel": endpoints are the Sentinels; "cluster": some servers of it; absent: one server
	SecretSentinelMaster   = "sentinel-master"   // what the Sentinels call the master
	SecretSentinelAuth     = "sentinel-auth"     // "true": Sentinels want the user name and password too
	SecretBootstrap        = "bootstrap-servers" // Kafka, by the name that its own clients give it: as endpoints
	SecretSecurityProtocol = "security.protocol" // Kafka, likewise: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL
	SecretSASLMechanism    = "sasl.mechanism"    // Kafka, likewise; absent without SASL
	SecretTokenURL         = "token-url"         // where clients whose password is no token fetch one, by the client credentials grant
	SecretTokenScopes      = "token-scopes"      // comma-separated; absent: none
	SecretTokenAudience    = "token-audience"    // absent: none
	SecretAWSRegion        = "aws-region"        // Kafka, with AWS_MSK_IAM: where the cluster is
	SecretTenant           = "tenant"            // Pulsar: the store is the namespace <tenant>/<store>
	SecretAdminURL         = "admin-url"         // Pulsar: of the admin API, which no principal has rights to administer by
	SecretStore            = "store"
	SecretSubscription     = "subscription" // only in a subscription's Secret
	SecretPartitions       = "partitions"
	SecretLayout           = "layout" // [Version]
	SecretKind             = "kind"   // [Kind]
	SecretExpectedVersions = "expected-versions"
	SecretSnapshots        = "snapshots"       // "true" or "false"
	SecretMaxEventBytes    = "max-event-bytes" // absent: no limit but the broker's
	SecretMaxDeliveries    = "max-deliveries"  // a subscription's retry.maxDeliveries
	SecretInitialBackoff   = "initial-backoff" // Go duration
	SecretMaxBackoff       = "max-backoff"     // Go duration
	SecretDeadLetter       = "dead-letter"     // "true" or "false"
	SecretSubscriptionType = "subscription-type"
	SecretEventTypes       = "event-types" // comma-separated; absent: all
)

// SecretTypeEventStore is the value of [SecretType].
const SecretTypeEventStore = "eventstore"
