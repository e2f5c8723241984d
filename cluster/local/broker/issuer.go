package broker

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"os"
	"time"
)

// An Issuer is an identity provider: it signs JSON web tokens with RS256. As an [http.Handler] it hands them out by the
// client credentials grant, to every client that knows its [Issuer.Secret]. It may be used concurrently.
//
//	s := httptest.NewServer(k.Issuer) // A token endpoint, at any path.
type Issuer struct {
	key *rsa.PrivateKey
}

// tokenLifetime of what the endpoint hands out.
const tokenLifetime = time.Hour

// keepIssuer returns the issuer with the key in the file, and makes one at the first call.
func keepIssuer(file string) (*Issuer, error) {
	if _, err := os.Stat(file); errors.Is(err, os.ErrNotExist) {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return nil, fmt.Errorf("cannot generate key of issuer: %w", err)
		}
		b, err := (&Issuer{key: key}).PrivateKey()
		if err != nil {
			return nil, err
		}
		if err := writeFile(file, b); err != nil {
			return nil, err
		}
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("cannot read key of issuer: %w", err)
	}
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, errors.New("cannot read key of issuer: it is not PEM")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("cannot read key of issuer: %w", err)
	}
	rsaKey, ok := key.(*rsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("cannot read key of issuer: %T is not RSA", key)
	}
	return &Issuer{key: rsaKey}, nil
}

// Claims of a token, in addition to its subject and its times. They win over those.
type Claims map[string]any

// Token signs a token for the subject, valid from now for so long.
func (i *Issuer) Token(subject string, lifetime time.Duration, more Claims) (string, error) {
	now := time.Now()
	claims := Claims{"sub": subject, "iat": now.Add(-time.Second).Unix(), "exp": now.Add(lifetime).Unix()}
	for k, v := range more {
		claims[k] = v
	}
	return signJWT("RS256", claims, func(signed []byte) ([]byte, error) {
		digest := sha256.Sum256(signed)
		return rsa.SignPKCS1v15(rand.Reader, i.key, crypto.SHA256, digest[:])
	})
}

// signJWT encodes claims as a compact JSON web signature. Source: RFC 7515, section 7.1.
func signJWT(alg string, claims Claims, sign func([]byte) ([]byte, error)) (string, error) {
	header, err := json.Marshal(map[string]string{"alg": alg, "typ": "JWT", "kid": "1"})
	if err != nil {
		return "", fmt.Errorf("cannot encode token: %w", err)
	}
	body, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("cannot encode token: %w", err)
	}
	signed := b64(header) + "." + b64(body)
	signature, err := sign([]byte(signed))
	if err != nil {
		return "", fmt.Errorf("cannot sign token: %w", err)
	}
	return signed + "." + b64(signature), nil
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// JWKS returns the public key as a JSON web key set.
func (i *Issuer) JWKS() []byte {
	e := big.NewInt(int64(i.key.E)).Bytes()
	return fmt.Appendf(nil, `{"keys":[{"kty":"RSA","use":"sig","alg":"RS256","kid":"1","n":%q,"e":%q}]}`+"\n", b64(i.key.N.Bytes()), b64(e))
}

// publicKey returns the public key in DER.
func (i *Issuer) publicKey() ([]byte, error) { return x509.MarshalPKIXPublicKey(&i.key.PublicKey) }

// PrivateKey returns the signing key in PEM, as PKCS #8.
func (i *Issuer) PrivateKey() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(i.key)
	if err != nil {
		return nil, fmt.Errorf("cannot encode key of issuer: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// Secret returns the secret of a client. There is one for every id.
func (i *Issuer) Secret(clientID string) string {
	mac := hmac.New(sha256.New, i.key.D.Bytes())
	mac.Write([]byte(clientID))
	return b64(mac.Sum(nil))
}

// ServeHTTP answers the client credentials grant with a token whose subject is the client, and discovery and keys at their
// usual paths. Source: RFC 6749, section 4.4; RFC 8414, section 3.
func (i *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	base := "http://" + r.Host
	if r.TLS != nil {
		base = "https://" + r.Host
	}
	switch r.URL.Path {
	case "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server":
		answer(w, http.StatusOK, Claims{"issuer": base, "token_endpoint": base + "/token", "jwks_uri": base + "/jwks"})
	case "/jwks":
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(i.JWKS())
	default:
		i.grant(w, r)
	}
}

func (i *Issuer) grant(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost || r.PostFormValue("grant_type") != "client_credentials" {
		answer(w, http.StatusBadRequest, Claims{"error": "unsupported_grant_type"})
		return
	}
	id, secret, ok := r.BasicAuth()
	if !ok {
		id, secret = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
	}
	if !hmac.Equal([]byte(secret), []byte(i.Secret(id))) {
		answer(w, http.StatusUnauthorized, Claims{"error": "invalid_client"})
		return
	}
	more := Claims{}
	for form, claim := range map[string]string{"scope": "scope", "audience": "aud"} {
		if v := r.PostFormValue(form); v != "" {
			more[claim] = v
		}
	}
	token, err := i.Token(id, tokenLifetime, more)
	if err != nil {
		answer(w, http.StatusInternalServerError, Claims{"error": "server_error"})
		return
	}
	answer(w, http.StatusOK, Claims{"access_token": token, "token_type": "Bearer", "expires_in": int(tokenLifetime.Seconds())})
}

func answer(w http.ResponseWriter, status int, body Claims) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // The client is gone, if not nil.
}
