package pulsar

import (
	"errors"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect/pulsarclient"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

func file(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// tls returns how to reach the ports with TLS: with the administrator's certificate instead of a token, if it is to be mutual.
func (f *fixture) tls(t *testing.T, mutual bool) pulsarclient.Config {
	t.Helper()
	c := f.config()
	c.ServiceURL, c.AdminURL, c.TLS = f.TLSServiceURL, f.TLSAdminURL, &connect.TLS{CA: file(t, f.CAFile)}
	if mutual {
		c.Token = ""
		c.TLS.Certificate, c.TLS.PrivateKey = file(t, f.ClientCertFile), file(t, f.ClientKeyFile)
	}
	return c
}

// works creates a store with a subscription, uses both with the tokens that the backend issues, and deletes them.
func works(t *testing.T, f *fixture, b *Backend) {
	t.Helper()
	was := f.backend
	f.backend = b
	defer func() { f.backend = was }()
	if _, err := b.Health(t.Context()); err != nil {
		t.Fatal(err)
	}
	name := "auth." + strings.ToLower(strings.ReplaceAll(t.Name(), "/", "."))
	d, c := f.store(t, name)
	f.applyStore(t, d, c)
	s, sc := f.subscription(t, name, "reader")
	f.applySubscription(t, s, sc)
	if err := f.login(t.Context(), t, d.Principal.Name, f.password(t, d.Principal.Name)); err != nil {
		t.Errorf("login with an issued token: %v", err)
	}
	a := f.application(t, f.password(t, s.Principal.Name))
	if err := a.subscribeTo(name, layout.PulsarEvents, s.Name)(t.Context()); err != nil {
		t.Errorf("subscribe with an issued token: %v", err)
	}
	if err := b.DeleteStores(t.Context(), []backend.StoreDeletion{{Name: name, Owner: d.Owner}})[0]; err != nil {
		t.Error(err)
	}
}

// TestSharedSecret has the brokers check tokens with a shared secret.
func TestSharedSecret(t *testing.T) {
	f := start(t, broker.PulsarOptions{})
	t.Run("Token", func(t *testing.T) { works(t, f, f.backend) })
	t.Run("TokenOverTLS", func(t *testing.T) { works(t, f, f.connect(t, f.tls(t, false))) })
	t.Run("Certificate", func(t *testing.T) { works(t, f, f.connect(t, f.tls(t, true))) })
	t.Run("TenantAdministrator", func(t *testing.T) {
		const role = "shop-operator"
		f.must(t, f.backend.ensureTenant(t.Context()))
		f.must(t, f.backend.post(t.Context(), "test", "tenants/"+f.tenant, map[string]any{"adminRoles": []string{role}, "allowedClusters": []string{"standalone"}}))
		c := f.config()
		c.Token, c.CreateTenant = f.password(t, role), false
		works(t, f, f.connect(t, c))
	})
	t.Run("Refused", func(t *testing.T) { testRefused(t, f) })
}

// testRefused proves that whoever is refused is told why, in one sentence that names no secret.
func testRefused(t *testing.T, f *fixture) {
	f.must(t, f.backend.ensureTenant(t.Context()))
	for name, tc := range map[string]struct {
		reason       string
		edit         func(c *pulsarclient.Config)
		want         string
		unauthorized bool
	}{
		"NoToken":     {reason: "There are no credentials.", edit: func(c *pulsarclient.Config) { c.Token = "" }, want: "refuses the credentials, or wants some", unauthorized: true},
		"WrongToken":  {reason: "Another key has signed the token.", edit: func(c *pulsarclient.Config) { c.Token += "x" }, want: "refuses the credentials, or wants some", unauthorized: true},
		"NoRights":    {reason: "The role may not administer the tenant.", edit: func(c *pulsarclient.Config) { c.Token = f.password(t, "nobody") }, want: "lacks a right", unauthorized: true},
		"NoTenant":    {reason: "The tenant is not there.", edit: func(c *pulsarclient.Config) { c.Tenant, c.CreateTenant = "absent", false }, want: "does not exist: create it, or set pulsar.createTenant"},
		"PlainToTLS":  {reason: "The port speaks TLS.", edit: func(c *pulsarclient.Config) { c.AdminURL = "http" + strings.TrimPrefix(f.TLSAdminURL, "https") }, want: "https"},
		"TLSToPlain":  {reason: "The port does not speak TLS.", edit: func(c *pulsarclient.Config) { c.AdminURL = "https" + strings.TrimPrefix(f.AdminURL, "http") }, want: "does not speak TLS on this port"},
		"UnknownCA":   {reason: "Nobody vouches for the broker.", edit: func(c *pulsarclient.Config) { c.AdminURL = f.TLSAdminURL }, want: "unknown authority"},
		"NobodyThere": {reason: "Nothing listens.", edit: func(c *pulsarclient.Config) { c.AdminURL = "http://127.0.0.1:1" }, want: "connection is refused"},
		"UnknownHost": {reason: "The name is wrong.", edit: func(c *pulsarclient.Config) { c.AdminURL = "http://no-such-host.invalid" }, want: "cannot be resolved"},
		"NoTokenThere": {reason: "The token endpoint does not answer.", edit: func(c *pulsarclient.Config) {
			c.Token, c.OAuth = "", &connect.OAuth{TokenURL: "http://127.0.0.1:1/token", ClientID: "a", ClientSecret: "b"}
		}, want: "there is no token"},
	} {
		t.Run(name, func(t *testing.T) {
			c := f.config()
			tc.edit(&c)
			_, err := f.connect(t, c).Health(t.Context())
			if err == nil || !strings.Contains(err.Error(), tc.want) || errors.Is(err, backend.ErrUnauthorized) != tc.unauthorized {
				t.Errorf("%s\nHealth: %v, want %q, unauthorized: %t", tc.reason, err, tc.want, tc.unauthorized)
			}
			if err != nil && (c.Token != "" && strings.Contains(err.Error(), c.Token) || strings.Contains(err.Error(), "\n")) {
				t.Errorf("%s\nthe error has a secret, or several lines: %q", tc.reason, err)
			}
		})
	}
}

// TestIdentityProvider has the brokers check tokens with the public key of an identity provider, which issues the
// administrator's token by the client credentials grant. The provider signs tokens with the private key.
func TestIdentityProvider(t *testing.T) {
	f := start(t, broker.PulsarOptions{RS256: true})
	endpoint := httptest.NewServer(f.Issuer)
	defer endpoint.Close()
	key, err := f.Issuer.PrivateKey()
	f.must(t, err)
	c := f.config()
	c.SigningKey = key
	t.Run("Token", func(t *testing.T) { works(t, f, f.connect(t, c)) })
	c.Token = ""
	c.OAuth = &connect.OAuth{TokenURL: endpoint.URL + "/token", ClientID: broker.PulsarAdminRole, ClientSecret: f.Issuer.Secret(broker.PulsarAdminRole)}
	t.Run("OAuth2", func(t *testing.T) { works(t, f, f.connect(t, c)) })
	t.Run("WrongClientSecret", func(t *testing.T) {
		c := c
		c.OAuth = &connect.OAuth{TokenURL: c.OAuth.TokenURL, ClientID: c.OAuth.ClientID, ClientSecret: "guess"}
		_, err := f.connect(t, c).Health(t.Context())
		if err == nil || !strings.Contains(err.Error(), "there is no token") {
			t.Errorf("Health: %v", err)
		}
	})
}
