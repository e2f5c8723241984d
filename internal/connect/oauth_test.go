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

	tokens := o.Tokens(ca)
	for range 3 {
		if got, err := tokens(t.Context()); err != nil || got != "token" {
			t.Fatalf("token: %q, %v", got, err)
		}
	}
	if asked != 1 {
		t.Errorf("a token that is good for an hour was fetched %d times", asked)
	}
	lifetime = 5
	tokens = o.Tokens(ca)
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
	for what, tokens := range map[string]TokenSource{"wrong client": wrong.Tokens(ca), "unknown CA": o.Tokens(nil)} {
		_, err := tokens(t.Context())
		if !errors.Is(err, ErrNoToken) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v, want ErrNoToken, and no secret", what, err)
		}
		if refused := errors.Is(err, ErrTokenRefused); refused != (what == "wrong client") {
			t.Errorf("%s: %v, which is a refusal: %t", what, err, refused)
		}
	}
}

// TestOAuthErrors wants the same sentence each time, without the port that we called from.
func TestOAuthErrors(t *testing.T) {
	answers := func(status int, body string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	hangs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if h, ok := w.(http.Hijacker); ok {
			if c, _, err := h.Hijack(); err == nil {
				_ = c.Close()
			}
		}
	}))
	t.Cleanup(hangs.Close)
	cases := map[string]struct {
		reason, url, want string
		refused           bool
	}{
		"Nobody":    {"Nobody listens.", "http://127.0.0.1:1/token", "the connection is refused", false},
		"NoHost":    {"There is no such host.", "https://login.invalid/token", `the host name "login.invalid" cannot be resolved`, false},
		"HangsUp":   {"It ends the connection.", hangs.URL, "closed the connection", false},
		"Refused":   {"It refuses the client.", answers(http.StatusBadRequest, `{"error":"invalid_scope"}`), "answers invalid_scope (400 Bad Request)", true},
		"Forbidden": {"It refuses the client.", answers(http.StatusForbidden, "no"), "answers 403 Forbidden", true},
		"Down":      {"It is not well.", answers(http.StatusServiceUnavailable, "later"), "answers 503 Service Unavailable", false},
		"NoToken":   {"It is something else.", answers(http.StatusOK, "<html>"), "no token", false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var texts []string
			for range 2 { // Each a source of its own, so that both ask.
				_, err := OAuth{TokenURL: tc.url, ClientID: "me", ClientSecret: "s3cret"}.Tokens(nil)(t.Context())
				if !errors.Is(err, ErrNoToken) || errors.Is(err, ErrTokenRefused) != tc.refused {
					t.Fatalf("%s\nerror: %v, want a refusal: %t", tc.reason, err, tc.refused)
				}
				texts = append(texts, err.Error())
			}
			if !strings.Contains(texts[0], tc.want) || texts[0] != texts[1] {
				t.Errorf("%s\nerror: %q, then %q, want %q", tc.reason, texts[0], texts[1], tc.want)
			}
		})
	}
}

func pemOf(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
