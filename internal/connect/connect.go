// Package connect has what connections to any broker need: TLS, tokens, and words for what went wrong. Below it is a package
// for each broker, which turns endpoints and credentials into a client. The provider's backends and the SDK's drivers both
// build their clients there, so what the provider can reach, an application can reach in the same way; and who uses one
// broker links the client library of no other.
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

// Digest tells two settings apart, credentials included, without revealing any of them. Clients and tokens are kept by it.
func Digest(settings any) string {
	b, err := json.Marshal(settings)
	if err != nil {
		panic(err) // Settings hold only what always marshals.
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
