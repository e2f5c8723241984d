package pulsar

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/golang-jwt/jwt/v5"
)

// minSecret is how long a shared secret must be: HS256 wants as many bytes as it makes. Source: RFC 7518, section 3.2.
const minSecret = 32

// A signingKey signs the tokens that the brokers check.
type signingKey struct {
	method       jwt.SigningMethod
	sign, verify any
	id           string // Tells it from others, and reveals nothing.
}

// newSigningKey reads a PEM private key (RSA or ECDSA), or the bytes of a shared secret. Without any it returns nil.
func newSigningKey(key []byte) (*signingKey, error) {
	if len(key) == 0 {
		return nil, nil //nolint:nilnil // No key is a value here.
	}
	block, _ := pem.Decode(key)
	if block == nil {
		if len(key) < minSecret {
			return nil, fmt.Errorf("cannot use tokenSigningKey: it is neither a PEM private key nor a shared secret of at least %d bytes: give the key that the brokers check tokens with, as it is in their file", minSecret)
		}
		return &signingKey{method: jwt.SigningMethodHS256, sign: key, verify: key, id: keyID(key)}, nil
	}
	private, err := parsePrivateKey(block)
	if err != nil {
		return nil, errors.New("cannot use tokenSigningKey: it is PEM, and no private key that can be read: give one in PKCS #8") // What fails to parse is not quoted.
	}
	switch k := private.(type) {
	case *rsa.PrivateKey:
		public, err := x509.MarshalPKIXPublicKey(k.Public())
		return &signingKey{method: jwt.SigningMethodRS256, sign: k, verify: k.Public(), id: keyID(public)}, err
	case *ecdsa.PrivateKey:
		method, ok := map[int]jwt.SigningMethod{256: jwt.SigningMethodES256, 384: jwt.SigningMethodES384, 521: jwt.SigningMethodES512}[k.Params().BitSize]
		if !ok {
			return nil, errors.New("cannot use tokenSigningKey: its curve is not known: use P-256")
		}
		public, err := x509.MarshalPKIXPublicKey(k.Public())
		return &signingKey{method: method, sign: k, verify: k.Public(), id: keyID(public)}, err
	default:
		return nil, errors.New("cannot use tokenSigningKey: it is neither RSA nor ECDSA: use the key that the brokers check tokens with")
	}
}

func parsePrivateKey(block *pem.Block) (any, error) {
	switch block.Type {
	case "RSA PRIVATE KEY":
		return x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		return x509.ParseECPrivateKey(block.Bytes)
	default:
		return x509.ParsePKCS8PrivateKey(block.Bytes)
	}
}

// keyID hashes a key twice, in the way of a key derivation, so that it is no hash of the key that is used elsewhere.
func keyID(key []byte) string {
	inner := sha256.Sum256(key)
	sum := sha256.Sum256(append([]byte("provider-eventstore token signing key\x00"), inner[:]...))
	return hex.EncodeToString(sum[:8])
}

// signs reports whether a token was signed with the key, for the role, and for ever: one that expires would leave an
// application without access some day.
func (k *signingKey) signs(role, token string) bool {
	var claims jwt.RegisteredClaims
	_, err := jwt.ParseWithClaims(token, &claims, func(*jwt.Token) (any, error) { return k.verify, nil }, jwt.WithValidMethods([]string{k.method.Alg()}))
	return err == nil && claims.Subject == role && claims.ExpiresAt == nil && claims.NotBefore == nil
}

// Issue returns current if it is a token of ours for principal, else a new one, which does not expire.
func (b *Backend) Issue(principal, current string) (string, error) {
	if b.key == nil {
		return "", fmt.Errorf("cannot issue a token for %q: set tokenSigningKey in the ProviderConfig to the key that the brokers check tokens with, or set principals to Provided there, and name a Secret with a token in principalSecretRef", principal)
	}
	if b.key.signs(principal, current) {
		return current, nil
	}
	token, err := jwt.NewWithClaims(b.key.method, jwt.RegisteredClaims{Subject: principal}).SignedString(b.key.sign)
	if err != nil {
		return "", fmt.Errorf("cannot issue a token for %q: the signing key does not sign: correct tokenSigningKey", principal)
	}
	return token, nil
}
