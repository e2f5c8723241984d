package certs

import (
	"crypto/x509"
	"encoding/pem"
	"testing"
)

func TestIssue(t *testing.T) {
	made, err := NewCA("test")
	if err != nil {
		t.Fatal(err)
	}
	ca, err := LoadCA(made.Pair)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := ca.Issue("server", "localhost", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(pair.Cert)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca.Cert)
	for _, host := range []string{"localhost", "127.0.0.1"} {
		if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, DNSName: host}); err != nil {
			t.Errorf("Verify(%q): %v", host, err)
		}
	}
	if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, DNSName: "example.org"}); err == nil {
		t.Error("Verify: the certificate is good for a host that it was not issued for")
	}
}

func TestLoadCARefusesAForeignKey(t *testing.T) {
	a, err := NewCA("a")
	if err != nil {
		t.Fatal(err)
	}
	b, err := NewCA("b")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := LoadCA(Pair{Cert: a.Cert, Key: b.Key}); err == nil {
		t.Error("LoadCA: a certificate and another's key were taken")
	}
}
