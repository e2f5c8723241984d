package pulsar

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

func TestIssue(t *testing.T) {
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	e, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8 := func(key any) []byte {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	}
	sec1, err := x509.MarshalECPrivateKey(e)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string][]byte{
		"Secret": []byte(strings.Repeat("\x00\xff\n", 20)),
		"RSA":    pkcs8(r),
		"PKCS1":  pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(r)}),
		"ECDSA":  pkcs8(e),
		"SEC1":   pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: sec1}),
	} {
		t.Run(name, func(t *testing.T) {
			k, err := newSigningKey(key)
			if err != nil {
				t.Fatal(err)
			}
			b := &Backend{key: k}
			token, err := b.Issue("es:shop.orders", "")
			if err != nil {
				t.Fatal(err)
			}
			if again, err := b.Issue("es:shop.orders", token); err != nil || again != token {
				t.Errorf("a good token was replaced (%v)", err)
			}
			expiring, err := jwt.NewWithClaims(k.method, jwt.RegisteredClaims{Subject: "es:shop.orders", ExpiresAt: jwt.NewNumericDate(time.Now().Add(time.Hour))}).SignedString(k.sign)
			if err != nil {
				t.Fatal(err)
			}
			unsigned, err := jwt.NewWithClaims(jwt.SigningMethodNone, jwt.RegisteredClaims{Subject: "es:shop.orders"}).SignedString(jwt.UnsafeAllowNoneSignatureType)
			if err != nil {
				t.Fatal(err)
			}
			for what, current := range map[string]string{
				"one of another role": must(t, b, "es:shop.other"), "one that expires": expiring, "one without a signature": unsigned,
				"a damaged one": token[:len(token)-4] + "AAAA", "nonsense": "nonsense",
			} {
				got, err := b.Issue("es:shop.orders", current)
				if err != nil || got == current || !k.signs("es:shop.orders", got) {
					t.Errorf("%s was kept, or replaced by a bad one (%v)", what, err)
				}
			}
		})
	}
}

func must(t *testing.T, b *Backend, role string) string {
	t.Helper()
	token, err := b.Issue(role, "")
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestSigningKeyRefused(t *testing.T) {
	for name, key := range map[string]string{
		"ShortSecret": "hunter2-hunter2",
		"PublicKey":   "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
		"Damaged":     "-----BEGIN PRIVATE KEY-----\nhunter2/\n-----END PRIVATE KEY-----\n",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := newSigningKey([]byte(key))
			if err == nil || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("newSigningKey: %v, want an error that does not quote the key", err)
			}
		})
	}
}
