package connect

import (
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestOAuthTokens(t *testing.T) {
	asked := 0
	lifetime := int(time.Hour.Seconds())
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		id, secret, _ := r.BasicAuth()
		if id != "me" || secret != "s3cret" || r.PostFormValue("scope") != "a b" || r.PostFormValue("audience") != "kafka" {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = w.Write([]byte(`{"error":"invalid_client","error_description":"the secret is s3cret"}`))
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"access_token": "token", "token_type": "Bearer", "expires_in": lifetime})
	}))
	defer s.Close()
	ca := pemOf(s.Certificate().Raw)
	o := OAuth{TokenURL: s.URL, ClientID: "me", ClientSecret: "s3cret", Scopes: []string{"a", "b"}, Audience: "kafka"}

	tokens := o.tokens(ca)
	for range 3 {
		if got, err := tokens(t.Context()); err != nil || got != "token" {
			t.Fatalf("token: %q, %v", got, err)
		}
	}
	if asked != 1 {
		t.Errorf("a token that is good for an hour was fetched %d times", asked)
	}
	lifetime = 1
	tokens = o.tokens(ca)
	for range 2 {
		if _, err := tokens(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if asked != 3 {
		t.Errorf("a token that is about to expire was kept: %d fetches", asked)
	}

	wrong := o
	wrong.ClientID = "you"
	for what, tokens := range map[string]TokenSource{"wrong client": wrong.tokens(ca), "unknown CA": o.tokens(nil)} {
		_, err := tokens(t.Context())
		if !errors.Is(err, ErrNoToken) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v, want ErrNoToken, and no secret", what, err)
		}
	}
}

func pemOf(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
