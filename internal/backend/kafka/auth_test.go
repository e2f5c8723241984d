package kafka

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect/kafkaclient"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// ways are all ways into the cluster, by every mechanism and on every port.
func (f *fixture) ways(t *testing.T) map[string]kafkaclient.Config {
	t.Helper()
	tokens := httptest.NewServer(f.Issuer)
	t.Cleanup(tokens.Close)
	oauth := &connect.OAuth{TokenURL: tokens.URL + "/token", ClientID: f.AdminUser, ClientSecret: f.Issuer.Secret(f.AdminUser), Scopes: []string{"a", "b"}}
	ways := map[string]kafkaclient.Config{}
	for port, addr := range map[string]string{"": f.Addr, "OverTLS": f.TLSAddr} {
		for name, edit := range map[string]func(*kafkaclient.Config){
			"ScramSHA256": func(c *kafkaclient.Config) { c.Mechanism = kafkaclient.ScramSHA256 },
			"ScramSHA512": func(c *kafkaclient.Config) { c.Mechanism = kafkaclient.ScramSHA512 },
			"Plain": func(c *kafkaclient.Config) {
				c.Mechanism, c.Username, c.Password = kafkaclient.Plain, f.PlainUser, f.PlainPassword
			},
			"OAuthBearer": func(c *kafkaclient.Config) {
				c.Mechanism, c.Username, c.Password, c.OAuth = kafkaclient.OAuthBearer, "", "", oauth
			},
		} {
			c := f.config(t)
			c.BootstrapServers = strings.Split(addr, ",")
			edit(&c)
			if port != "" {
				c.TLS = &connect.TLS{CA: file(t, f.CAFile)}
			}
			ways[name+port] = c
		}
	}
	ways["MutualTLS"] = f.overTLS(t, f.MTLSAddr, true)
	return ways
}

func TestWaysIn(t *testing.T) {
	f := start(t)
	for name, c := range f.ways(t) {
		t.Run(name, func(t *testing.T) {
			b := f.open(t, c)
			h, err := b.Health(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if h.Version == "" || h.Endpoint == "" || h.RoundTrip <= 0 || len(h.Warnings) > 0 {
				t.Errorf("health: %+v", h)
			}
			if r := b.ReadStores(t.Context(), []string{"nobody"})[0]; r.Err != nil || r.Value.Exists() {
				t.Errorf("a store that is not there: %+v, %v", r.Value, r.Err)
			}
			protocol, mechanism := map[bool]string{false: "SASL_PLAINTEXT", true: "SASL_SSL"}[c.TLS != nil], kafkaclient.ScramSHA512
			if c.Mechanism == "" {
				protocol, mechanism = "SSL", ""
			}
			got := b.Connection()
			if string(got["security.protocol"]) != protocol || string(got["sasl.mechanism"]) != mechanism || string(got["bootstrap-servers"]) != strings.Join(c.BootstrapServers, ",") {
				t.Errorf("connection: %s %s %s", got["security.protocol"], got["sasl.mechanism"], got["bootstrap-servers"])
			}
			for k, v := range got {
				if c.Password != "" && strings.Contains(string(v), c.Password) || c.OAuth != nil && strings.Contains(string(v), c.OAuth.ClientSecret) {
					t.Errorf("the connection's %s has the administrator's secret", k)
				}
			}
		})
	}
}

// TestConnection says to applications how they log in: users that the provider makes always by SCRAM-SHA-512, which is what
// they are made for; others as the provider does, whose way is all that is known.
func TestConnection(t *testing.T) {
	cases := map[string]struct {
		config                      kafkaclient.Config
		protocol, mechanism, region string
	}{
		"Scram":             {kafkaclient.Config{Mechanism: kafkaclient.ScramSHA512}, "SASL_PLAINTEXT", "SCRAM-SHA-512", ""},
		"Scram256":          {kafkaclient.Config{Mechanism: kafkaclient.ScramSHA256, TLS: &connect.TLS{}}, "SASL_SSL", "SCRAM-SHA-512", ""},
		"Plain":             {kafkaclient.Config{Mechanism: kafkaclient.Plain, TLS: &connect.TLS{}}, "SASL_SSL", "SCRAM-SHA-512", ""},
		"OAuth":             {kafkaclient.Config{Mechanism: kafkaclient.OAuthBearer}, "SASL_PLAINTEXT", "SCRAM-SHA-512", ""},
		"ProvidedScram256":  {kafkaclient.Config{Mechanism: kafkaclient.ScramSHA256, Provided: true}, "SASL_PLAINTEXT", "SCRAM-SHA-256", ""},
		"ProvidedPlain":     {kafkaclient.Config{Mechanism: kafkaclient.Plain, TLS: &connect.TLS{}, Provided: true}, "SASL_SSL", "PLAIN", ""},
		"ProvidedMTLS":      {kafkaclient.Config{TLS: &connect.TLS{}, Provided: true}, "SSL", "", ""},
		"ProvidedIAM":       {kafkaclient.Config{Mechanism: kafkaclient.AWSMSKIAM, AWS: &connect.AWS{Region: "eu-central-1"}, TLS: &connect.TLS{}, Provided: true}, "SASL_SSL", "AWS_MSK_IAM", "eu-central-1"},
		"ProvidedOAuth":     {kafkaclient.Config{Mechanism: kafkaclient.OAuthBearer, OAuth: &connect.OAuth{TokenURL: "https://id.example.org", ClientID: "us", ClientSecret: "hunter2"}, Provided: true}, "SASL_PLAINTEXT", "OAUTHBEARER", ""},
		"ProvidedPlaintext": {kafkaclient.Config{Provided: true}, "PLAINTEXT", "", ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tc.config.BootstrapServers = []string{"kafka.example.org:9092"}
			b := &Backend{config: tc.config, cluster: &cluster{}}
			got := b.Connection()
			if string(got["security.protocol"]) != tc.protocol || string(got["sasl.mechanism"]) != tc.mechanism || string(got["aws-region"]) != tc.region {
				t.Errorf("%s %s %s, want %s %s %s", got["security.protocol"], got["sasl.mechanism"], got["aws-region"], tc.protocol, tc.mechanism, tc.region)
			}
			if o := tc.config.OAuth; o != nil && (string(got["token-url"]) != o.TokenURL || strings.Contains(fmt.Sprintf("%s", got), o.ClientSecret)) {
				t.Errorf("tokens are fetched at %q, want %q; or our own secret is shown", got["token-url"], o.TokenURL)
			}
		})
	}
}

// TestManagedWithoutSASL refuses users that could not log in, before anything is created.
func TestManagedWithoutSASL(t *testing.T) {
	f := start(t)
	config := f.overTLS(t, f.MTLSAddr, true)
	config.Provided = false
	f.backend = f.open(t, config)
	d, c := f.store("nosasl.orders")
	change, p := f.change(t, d, c)
	if len(p.Refusals) != 1 || p.Refusals[0].Field != plan.FieldPrincipal || !strings.Contains(p.Refusals[0].Message, "principals: Provided") || len(change.Changes) > 0 {
		t.Errorf("plan: %+v", p)
	}
	change.Changes = []plan.Change{{Field: plan.FieldOwner}, {Field: plan.FieldPrincipal}}
	if err := f.backend.ApplyStores(t.Context(), []backend.StoreChange{change})[0]; err == nil || !strings.Contains(err.Error(), "principals: Provided") {
		t.Errorf("what was planned before: %v, want what to do", err)
	}
	for _, err := range f.backend.DeleteStores(t.Context(), stores(d.Name)) { // It can be deleted all the same.
		if err != nil {
			t.Error(err)
		}
	}
}

// TestNoWayIn wants a sentence that says what to do, the same each time, and no secret in it.
func TestNoWayIn(t *testing.T) {
	f := start(t)
	ways := f.ways(t)
	with := func(way string, edit func(c *kafkaclient.Config)) kafkaclient.Config {
		c := ways[way]
		if c.OAuth != nil {
			o := *c.OAuth
			c.OAuth = &o
		}
		if c.TLS != nil {
			s := *c.TLS
			c.TLS = &s
		}
		edit(&c)
		return c
	}
	const secret = "not the right one"
	cases := map[string]struct {
		config       kafkaclient.Config
		want         string
		unauthorized bool
	}{
		"WrongPassword": {with("ScramSHA512", func(c *kafkaclient.Config) { c.Password = secret }), "the cluster refuses the credentials", true},
		"WrongUser":     {with("ScramSHA256", func(c *kafkaclient.Config) { c.Username = "nobody" }), "the cluster refuses the credentials", true},
		"WrongPlain":    {with("PlainOverTLS", func(c *kafkaclient.Config) { c.Password = secret }), "the cluster refuses the credentials", true},
		"WrongSecret":   {with("OAuthBearer", func(c *kafkaclient.Config) { c.OAuth.ClientSecret = secret }), "the token endpoint answers invalid_client", true},
		"WrongAudience": {with("OAuthBearer", func(c *kafkaclient.Config) { c.OAuth.Audience = "another" }), "the cluster refuses the token", true}, // The brokers expect none.
		"NoEndpoint":    {with("OAuthBearer", func(c *kafkaclient.Config) { c.OAuth.TokenURL = "http://127.0.0.1:1/token" }), "no token: the token endpoint cannot be asked: the connection is refused", false},
		"UnknownCA":     {with("PlainOverTLS", func(c *kafkaclient.Config) { c.TLS.CA = nil }), "signed by an unknown authority", false},
		"WrongName":     {with("PlainOverTLS", func(c *kafkaclient.Config) { c.TLS.ServerName = "kafka.example.org" }), "not for this host", false},
		"NoCertificate": {with("MutualTLS", func(c *kafkaclient.Config) { c.TLS.Certificate, c.TLS.PrivateKey = nil, nil }), "if it wants a client certificate, set one", false},
		"TLSToPlain":    {with("PlainOverTLS", func(c *kafkaclient.Config) { c.BootstrapServers = strings.Split(f.Addr, ",") }), "does not speak TLS|does it speak TLS|closed the connection", false},
		"PlainToTLS":    {with("Plain", func(c *kafkaclient.Config) { c.BootstrapServers = strings.Split(f.TLSAddr, ",") }), "the server speaks TLS on this port: set tls", false},
		"NoUser":        {with("Plain", func(c *kafkaclient.Config) { c.Mechanism, c.Username, c.Password = "", "", "" }), "if it wants a user, set authentication", false},
		"NobodyThere":   {with("Plain", func(c *kafkaclient.Config) { c.BootstrapServers = []string{"127.0.0.1:1"} }), "the connection is refused", false},
		"NoSuchHost":    {with("Plain", func(c *kafkaclient.Config) { c.BootstrapServers = []string{"kafka.invalid:9092"} }), `the host name "kafka.invalid" cannot be resolved`, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := f.open(t, tc.config)
			var texts []string
			for range 2 {
				ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
				_, err := b.Health(ctx)
				read := b.ReadStores(ctx, []string{"orders"})[0].Err
				cancel()
				if err == nil || read == nil {
					t.Fatalf("Health: %v, ReadStores: %v", err, read)
				}
				if !strings.HasSuffix(read.Error(), err.Error()) {
					t.Errorf("reading says something else than health: %v, and %v", read, err)
				}
				if got := errors.Is(err, backend.ErrUnauthorized); got != tc.unauthorized {
					t.Errorf("unauthorized: %t, want %t: %v", got, tc.unauthorized, err)
				}
				texts = append(texts, err.Error())
			}
			ok := false
			for _, want := range strings.Split(tc.want, "|") {
				ok = ok || strings.Contains(texts[0], want)
			}
			if !ok || texts[0] != texts[1] {
				t.Errorf("error: %q, then %q, want %q", texts[0], texts[1], tc.want)
			}
			if strings.Contains(texts[0], secret) || strings.ContainsAny(texts[0], "\n\r") {
				t.Errorf("error: %q", texts[0])
			}
		})
	}
}
