// Package connect turns an endpoint, credentials and TLS settings into a client: one file for each broker. The
// provider's backends and the SDK's drivers both build their clients here, so what the provider can reach, an
// application can reach in the same way.
package connect

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
)

// Config says how to reach one broker. Exactly one of its fields is set.
type Config struct {
	Kafka  *Kafka
	Pulsar *Pulsar
	Redis  *Redis
}

// Backend names the broker's kind: "kafka", "pulsar" or "redis"; it is empty if nothing is configured.
func (c Config) Backend() string {
	switch {
	case c.Kafka != nil:
		return "kafka"
	case c.Pulsar != nil:
		return "pulsar"
	case c.Redis != nil:
		return "redis"
	}
	return ""
}

// Digest tells two configurations apart, credentials included, without revealing any of them. Clients are pooled by it.
func (c Config) Digest() string {
	b, err := json.Marshal(c)
	if err != nil {
		panic(err) // Config holds only what always marshals.
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
}

// TLS says how a connection is encrypted. The zero value uses the machine's certificate authorities and shows no
// certificate of its own.
type TLS struct {
	CA          []byte // PEM, the authorities that sign the broker's certificate. Default: the machine's.
	Certificate []byte // PEM, our own certificate, for mTLS; together with PrivateKey.
	PrivateKey  []byte // PEM
	ServerName  string // The name that the broker's certificate must have. Default: the host that is dialled.
}

// Config returns the settings for crypto/tls. Its errors never quote key material.
func (t TLS) Config() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if len(t.CA) > 0 {
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(t.CA) {
			return nil, errors.New("cannot read the CA certificates: no PEM block of type CERTIFICATE found")
		}
	}
	if (len(t.Certificate) > 0) != (len(t.PrivateKey) > 0) {
		return nil, errors.New("cannot use the client certificate: certificate and private key must be given together")
	}
	if len(t.Certificate) > 0 {
		pair, err := tls.X509KeyPair(t.Certificate, t.PrivateKey)
		if err != nil {
			return nil, fmt.Errorf("cannot read the client certificate: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}
