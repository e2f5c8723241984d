package broker

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/certs"
)

// TLSFiles are a broker's PEM files: a private CA, the server's pair for localhost and 127.0.0.1, and a client's pair that
// the same CA has signed. All are "" without TLS.
type TLSFiles struct {
	CAFile, ServerCertFile, ServerKeyFile, ClientCertFile, ClientKeyFile string
}

// keepTLS returns the files in dir, and makes them at the first call.
func keepTLS(dir, broker, clientName string) (TLSFiles, error) {
	f := TLSFiles{
		CAFile:         filepath.Join(dir, "ca.crt"),
		ServerCertFile: filepath.Join(dir, "server.crt"), ServerKeyFile: filepath.Join(dir, "server.key"),
		ClientCertFile: filepath.Join(dir, "client.crt"), ClientKeyFile: filepath.Join(dir, "client.key"),
	}
	if _, err := os.Stat(f.ClientKeyFile); err == nil { // The last one written below.
		return f, nil
	}
	ca, err := certs.NewCA(broker)
	if err != nil {
		return TLSFiles{}, err
	}
	server, err := ca.Issue(broker+"-server", "localhost", "127.0.0.1")
	if err != nil {
		return TLSFiles{}, err
	}
	client, err := ca.Issue(clientName)
	if err != nil {
		return TLSFiles{}, err
	}
	for _, p := range []struct {
		name string
		certs.Pair
	}{{"ca", ca.Pair}, {"server", server}, {"client", client}} {
		if _, _, err := p.Write(dir, p.name); err != nil {
			return TLSFiles{}, err
		}
	}
	return f, nil
}

// ClientCert returns a certificate of the same CA for another client: a broker that takes client certificates knows it by
// its common name.
func (f TLSFiles) ClientCert(commonName string) (certs.Pair, error) {
	var pair certs.Pair
	var err error
	if pair.Cert, err = os.ReadFile(f.CAFile); err != nil {
		return certs.Pair{}, fmt.Errorf("cannot read CA: %w", err)
	}
	if pair.Key, err = os.ReadFile(filepath.Join(filepath.Dir(f.CAFile), "ca.key")); err != nil {
		return certs.Pair{}, fmt.Errorf("cannot read CA: %w", err)
	}
	ca, err := certs.LoadCA(pair)
	if err != nil {
		return certs.Pair{}, err
	}
	return ca.Issue(commonName)
}

// TLSConfig returns what a client needs to trust the server. The client's own certificate is not in it: see ClientCert.
func (f TLSFiles) TLSConfig() (*tls.Config, error) {
	ca, err := os.ReadFile(f.CAFile)
	if err != nil {
		return nil, fmt.Errorf("cannot read CA: %w", err)
	}
	cfg := &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "localhost", MinVersion: tls.VersionTLS12}
	if !cfg.RootCAs.AppendCertsFromPEM(ca) {
		return nil, errors.New("cannot read CA: it is not PEM")
	}
	return cfg, nil
}
