// Package certs makes the certificates of a local installation: a private authority ([CA]) and what it signs ([Pair]).
// Nothing here is fit for production: keys are written to disk in the clear.
package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// validity of everything we issue. A local control plane seldom lives longer than a day.
const validity = 365 * 24 * time.Hour

// A Pair is a certificate and its private key, PEM encoded.
type Pair struct{ Cert, Key []byte }

// A CA signs certificates. It may be used concurrently.
type CA struct {
	Pair

	cert *x509.Certificate
	key  crypto.Signer
}

// NewCA makes an authority with a fresh key.
func NewCA(commonName string) (*CA, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("cannot generate CA key: %w", err)
	}
	tmpl, err := template(commonName)
	if err != nil {
		return nil, err
	}
	tmpl.IsCA, tmpl.BasicConstraintsValid = true, true
	tmpl.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature
	pair, err := sign(tmpl, tmpl, key, key)
	if err != nil {
		return nil, err
	}
	return LoadCA(pair)
}

// LoadCA reads an authority that somebody else made, for example Crossplane's root CA. The key may be PKCS#1, PKCS#8 or SEC 1.
func LoadCA(p Pair) (*CA, error) {
	block, _ := pem.Decode(p.Cert)
	if block == nil {
		return nil, errors.New("cannot load CA: certificate is not PEM")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("cannot load CA certificate: %w", err)
	}
	pair, err := tls.X509KeyPair(p.Cert, p.Key) // Knows every encoding of keys, and that the two belong together.
	if err != nil {
		return nil, fmt.Errorf("cannot load CA key: %w", err)
	}
	key, ok := pair.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("cannot load CA key: %T cannot sign", pair.PrivateKey)
	}
	return &CA{Pair: p, cert: cert, key: key}, nil
}

// Issue signs a certificate for a server, a client, or both: it may be used either way. Hosts are DNS names or IP addresses.
func (ca *CA) Issue(commonName string, hosts ...string) (Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, fmt.Errorf("cannot generate key: %w", err)
	}
	tmpl, err := template(commonName)
	if err != nil {
		return Pair{}, err
	}
	tmpl.KeyUsage = x509.KeyUsageDigitalSignature
	tmpl.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			tmpl.IPAddresses = append(tmpl.IPAddresses, ip)
		} else {
			tmpl.DNSNames = append(tmpl.DNSNames, h)
		}
	}
	return sign(tmpl, ca.cert, key, ca.key)
}

func template(commonName string) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("cannot choose serial number: %w", err)
	}
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: commonName, Organization: []string{"provider-eventstore local"}},
		NotBefore:    now.Add(-time.Hour), // Clocks differ.
		NotAfter:     now.Add(validity),
	}, nil
}

func sign(tmpl, parent *x509.Certificate, key *ecdsa.PrivateKey, signer crypto.Signer) (Pair, error) {
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, key.Public(), signer)
	if err != nil {
		return Pair{}, fmt.Errorf("cannot sign certificate %q: %w", tmpl.Subject.CommonName, err)
	}
	k, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Pair{}, fmt.Errorf("cannot encode key: %w", err)
	}
	return Pair{
		Cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		Key:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: k}),
	}, nil
}

// Write stores the pair as <dir>/<name>.crt and <dir>/<name>.key, and returns both paths.
func (p Pair) Write(dir, name string) (certFile, keyFile string, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", "", fmt.Errorf("cannot create certificate folder: %w", err)
	}
	certFile, keyFile = filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")
	if err := os.WriteFile(certFile, p.Cert, 0o644); err != nil {
		return "", "", fmt.Errorf("cannot write certificate: %w", err)
	}
	if err := os.WriteFile(keyFile, p.Key, 0o600); err != nil {
		return "", "", fmt.Errorf("cannot write key: %w", err)
	}
	return certFile, keyFile, nil
}
