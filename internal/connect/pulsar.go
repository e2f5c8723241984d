package connect

// Pulsar says how to reach an Apache Pulsar cluster.
type Pulsar struct {
	ServiceURL string // pulsar:// or pulsar+ssl://
	AdminURL   string // http:// or https://; only the provider administers.

	Token string // JSON web token. Empty: none.
	OAuth *OAuth
	TLS   *TLS // nil: the machine's certificate authorities, where the URLs ask for TLS.

	Tenant       string // That stores are in.
	CreateTenant bool   // If it does not exist.

	// SigningKey is what the broker checks tokens with: a PEM private key, or the bytes of a shared secret. Empty: no
	// tokens are issued.
	SigningKey []byte
}
