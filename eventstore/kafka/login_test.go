package kafka

import (
	"context"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/awstokens"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect/kafkaclient"
	"github.com/crossplane-contrib/provider-eventstore/internal/kafkatest"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/rotationtest"
)

// token is one of the identity provider's that the brokers trust.
func token(t *testing.T, server *kafkatest.Server, user string, lifetime time.Duration) string {
	t.Helper()
	token, err := server.Issuer.Token(user, lifetime, nil)
	must(t, err)
	return token
}

// Whatever the provider writes into a Secret, the driver logs in with.
func TestLogins(t *testing.T) {
	server := kafkatest.Start(t)
	t.Cleanup(func() { awstokens.Make = nil })
	awstokens.Make = func(a connect.AWS) connect.TokenSource { // As if the brokers' identity provider were AWS.
		return func(context.Context) (string, error) { return server.Issuer.Token(a.Region, time.Hour, nil) }
	}
	issuer := httptest.NewServer(server.Issuer)
	t.Cleanup(issuer.Close)
	ca, err := os.ReadFile(server.CAFile)
	must(t, err)
	cases := map[string]struct {
		reason string
		of     func(t *testing.T, s eventstore.Secret) eventstore.Secret
	}{
		"SCRAM":     {"As users are made.", func(_ *testing.T, s eventstore.Secret) eventstore.Secret { return s }},
		"TLS":       {"By an authority that only the Secret knows.", func(t *testing.T, s eventstore.Secret) eventstore.Secret { return server.TLS(t, s) }},
		"MutualTLS": {"By a certificate alone.", func(t *testing.T, s eventstore.Secret) eventstore.Secret { return server.MutualTLS(t, s) }},
		"Token": {"By a token that whoever wrote the Secret has.", func(t *testing.T, s eventstore.Secret) eventstore.Secret {
			return rotationtest.With(server.TLS(t, s), map[string]string{
				layout.SecretSASLMechanism: kafkaclient.OAuthBearer, layout.SecretPassword: token(t, server, s.Get(layout.SecretUsername), time.Hour),
			})
		}},
		"ClientCredentials": {"By a token that is fetched for the client in the Secret.", func(t *testing.T, s eventstore.Secret) eventstore.Secret {
			return rotationtest.With(server.TLS(t, s), map[string]string{
				layout.SecretSASLMechanism: kafkaclient.OAuthBearer, layout.SecretTokenURL: issuer.URL,
				layout.SecretPassword: server.Issuer.Secret(s.Get(layout.SecretUsername)),
			})
		}},
		"IAM": {"As whom the environment says; AWS is not here, so the region stands for it.", func(_ *testing.T, s eventstore.Secret) eventstore.Secret {
			s = rotationtest.With(s, map[string]string{
				layout.SecretSASLMechanism: kafkaclient.AWSMSKIAM, layout.SecretAWSRegion: s.Get(layout.SecretUsername), layout.SecretTLS: "true",
				layout.SecretSecurityProtocol: "SASL_SSL", layout.SecretBootstrap: server.TLSAddr, layout.SecretCA: string(ca),
			})
			delete(s, layout.SecretPassword)
			delete(s, layout.SecretUsername)
			return s
		}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			secret := server.Store(t, layout.Sourcing, nil)
			sub := server.Subscription(t, secret, "billing")
			s, consumer := openSecret(t, tc.of(t, secret)), openSecret(t, tc.of(t, sub))
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			_, err := s.Append(ctx, order42, 0, placed("a"))
			must(t, err)
			delivered := false
			subscribed, stop := context.WithCancel(ctx)
			defer stop()
			must(t, consumer.Subscribe(subscribed, func(context.Context, eventstore.Event) error {
				delivered = true
				stop()
				return nil
			}))
			if !delivered {
				t.Errorf("%s\nnothing was delivered", tc.reason)
			}
		})
	}
}

// Tokens and certificates change as passwords do. A certificate that is another's is refused.
func TestRotationOfCertificate(t *testing.T) {
	server := kafkatest.Start(t)
	secret := server.MutualTLS(t, server.Store(t, layout.Sourcing, nil))
	other := server.MutualTLS(t, rotationtest.With(secret, map[string]string{layout.SecretUsername: "es:somebody.else"}))
	m := rotationtest.NewMount(t, rotationtest.With(other, map[string]string{layout.SecretUsername: secret.Get(layout.SecretUsername)}))
	if _, err := eventstore.Open(t.Context(), m.FS()); err == nil || !strings.Contains(err.Error(), "has no right to do this") {
		t.Fatalf("Open with the certificate of another: %v, want it to say that there is no right", err)
	}
	m.Set(t, secret)
	s, err := eventstore.Open(t.Context(), m.FS())
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	m.Set(t, other) // For connections to come: the tail's is the first of them.
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := s.Append(ctx, order42, 0, placed("a")); err == nil || !strings.Contains(err.Error(), "has no right to do this") {
		t.Errorf("Append with the certificate of another: %v, want it to say that there is no right", err)
	}
}

func TestRegion(t *testing.T) {
	cases := map[string]struct{ reason, servers, key, want string }{
		"Key":        {"The Secret says it.", "kafka.internal:9098", "eu-west-1", "eu-west-1"},
		"Broker":     {"The name of a broker says it.", "b-1.events.a1b2c3.c2.kafka.eu-central-1.amazonaws.com:9098,b-2:9098", "", "eu-central-1"},
		"Serverless": {"So does that of a serverless cluster.", "boot-a1b2c3.c2.kafka-serverless.us-east-2.amazonaws.com:9098", "", "us-east-2"},
		"China":      {"The partition does not matter.", "b-1.events.a1.c2.kafka.cn-north-1.amazonaws.com.cn:9098", "", "cn-north-1"},
		"Neither":    {"Others have to.", "kafka.internal:9098", "", ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := rotationtest.With(eventstore.Secret{}, map[string]string{layout.SecretBootstrap: tc.servers, layout.SecretAWSRegion: tc.key})
			if got := region(s); got != tc.want {
				t.Errorf("%s\nregion: %q, want %q", tc.reason, got, tc.want)
			}
		})
	}
}
