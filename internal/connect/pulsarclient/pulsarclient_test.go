package pulsarclient

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestPulsarRedirects follows a broker to another, with the token, and not to one without TLS.
func TestPulsarRedirects(t *testing.T) {
	var tokens []string
	owner := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { tokens = append(tokens, r.Header.Get("Authorization")) })
	secure, plain := httptest.NewTLSServer(owner), httptest.NewServer(owner)
	defer secure.Close()
	defer plain.Close()
	for name, tc := range map[string]struct {
		reason string
		to     string
		want   error
	}{
		"TLS":   {reason: "The broker that owns a topic answers for it.", to: secure.URL},
		"Plain": {reason: "Whoever listens in must not learn the token.", to: plain.URL, want: ErrInsecureRedirect},
	} {
		t.Run(name, func(t *testing.T) {
			tokens = nil
			first := httptest.NewTLSServer(http.RedirectHandler(tc.to, http.StatusTemporaryRedirect))
			defer first.Close()
			transport, err := Config{AdminURL: first.URL, Token: "secret"}.Transport()
			if err != nil {
				t.Fatal(err)
			}
			transport.(*bearer).next = secure.Client().Transport             // Both servers have the same certificate.
			resp, err := (&http.Client{Transport: transport}).Get(first.URL) //nolint:noctx // It ends with the server.
			if err == nil {
				_ = resp.Body.Close()
			}
			if !errors.Is(err, tc.want) || (tc.want == nil) != (len(tokens) == 1 && tokens[0] == "Bearer secret") {
				t.Errorf("%s\nGet: %v, tokens seen: %q, want error %v", tc.reason, err, tokens, tc.want)
			}
		})
	}
}
