package redis

import (
	"os"
	"strings"
	"testing"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/redistest"
	"github.com/crossplane-contrib/provider-eventstore/internal/rotationtest"
)

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	must(t, err)
	return string(b)
}

// Whom to trust, and which certificate to show, the Secret of the moment says.
func TestMutualTLS(t *testing.T) {
	server := redistest.StartWith(t, broker.RedisOptions{AppendOnly: true, ACLFile: true, TLS: true, RequireClientCert: true})
	secret := server.Store(t, layout.Sourcing, map[string]string{
		layout.SecretEndpoints: server.TLSAddr, layout.SecretTLS: "true", layout.SecretCA: read(t, server.CAFile),
		layout.SecretCertificate: read(t, server.ClientCertFile), layout.SecretPrivateKey: read(t, server.ClientKeyFile),
	})
	m := rotationtest.NewMount(t, secret)
	s, err := eventstore.Open(t.Context(), m.FS())
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	_, err = s.Append(t.Context(), order42, 0, placed("a"))
	must(t, err)

	foreign := redistest.StartWith(t, broker.RedisOptions{TLS: true})
	for name, tc := range map[string]struct {
		change  map[string]string
		wantErr string
	}{
		"Authority":   {map[string]string{layout.SecretCA: read(t, foreign.CAFile)}, "unknown authority"},
		"Certificate": {map[string]string{layout.SecretCertificate: "", layout.SecretPrivateKey: ""}, "certificate required"},
		"Key":         {map[string]string{layout.SecretPrivateKey: read(t, foreign.ClientKeyFile)}, "private key does not match"},
	} {
		m.Set(t, rotationtest.With(secret, tc.change))
		must(t, server.Admin.Do(t.Context(), "CLIENT", "KILL", "USER", secret.Get(layout.SecretUsername)).Err())
		for err = nil; err == nil; { // The pool finds out that its connections are gone.
			_, err = s.Append(t.Context(), order42, 1, placed("b"))
		}
		if !strings.Contains(err.Error(), tc.wantErr) {
			t.Errorf("%s: Append: %v, want %q", name, err, tc.wantErr)
		}
	}
	m.Set(t, secret)
	for range 100 {
		if _, err = s.Append(t.Context(), order42, 1, placed("b")); err == nil {
			return
		}
	}
	t.Errorf("Append with the right certificate again: %v", err)
}
