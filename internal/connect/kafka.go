package connect

// Kafka says how to reach an Apache Kafka cluster.
type Kafka struct {
	BootstrapServers []string // host:port

	// Mechanism is that of SASL: SCRAM-SHA-256, SCRAM-SHA-512, PLAIN, OAUTHBEARER or AWS_MSK_IAM. Empty: no SASL, as with
	// a client certificate alone.
	Mechanism string
	Username  string
	Password  string
	OAuth     *OAuth // For OAUTHBEARER.
	AWS       *AWS   // For AWS_MSK_IAM.
	TLS       *TLS   // nil: plain text

	// RegistryTopic holds the markers of stores and subscriptions. Only the provider reads and writes it.
	RegistryTopic string
}

// AWS says as whom to authenticate to Amazon MSK. The credentials are those of the environment.
type AWS struct {
	Region  string
	RoleARN string // To assume. Empty: none.
}
