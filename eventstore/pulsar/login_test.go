package pulsar

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/pulsartest"
	"github.com/crossplane-contrib/provider-eventstore/internal/rotationtest"
)

// uses appends with one Secret, and subscribes with another.
func uses(t *testing.T, secret, sub eventstore.Secret) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err := openSecret(t, secret).Append(ctx, order42, 0, placed("a"))
	must(t, err)
	subscribed, stop := context.WithCancel(ctx)
	defer stop()
	delivered := false
	must(t, openSecret(t, sub).Subscribe(subscribed, func(context.Context, eventstore.Event) error {
		delivered = true
		stop()
		return nil
	}))
	if !delivered {
		t.Error("nothing was delivered")
	}
}

// Who has a certificate needs no token. Which certificate it is, and whom to trust, the Secret of the moment says.
func TestMutualTLS(t *testing.T) {
	server := pulsartest.Start(t, broker.PulsarOptions{})
	plain := server.Store(t, layout.Sourcing, nil)
	uses(t, server.MutualTLS(t, plain), server.MutualTLS(t, server.Subscription(t, plain, "billing")))
}

// A client whose Secret says where tokens are fetched fetches one. A Secret that has a token needs none.
func TestOAuth(t *testing.T) {
	server := pulsartest.Start(t, broker.PulsarOptions{RS256: true, Heap: "384m"})
	issuer := httptest.NewServer(server.Issuer)
	t.Cleanup(issuer.Close)
	secret := server.Store(t, layout.Sourcing, map[string]string{layout.SecretTokenURL: issuer.URL})
	client := func(s eventstore.Secret) eventstore.Secret {
		return rotationtest.With(s, map[string]string{layout.SecretPassword: server.Issuer.Secret(s.Get(layout.SecretUsername))})
	}
	uses(t, client(secret), client(server.Subscription(t, secret, "billing")))

	m := rotationtest.NewMount(t, secret) // With a token.
	s, err := eventstore.Open(t.Context(), m.FS())
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	wrong := rotationtest.With(secret, map[string]string{layout.SecretPassword: "hunter2"})
	m.Set(t, wrong)
	if _, err := eventstore.OpenSecret(t.Context(), wrong); !errors.Is(err, connect.ErrTokenRefused) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("Open as a client with a wrong secret: %v, want ErrTokenRefused", err)
	}
	m.Set(t, client(secret))
	must(t, readAll(t.Context(), s))
}

// A store that is open trusts another authority, and comes with another certificate, when its Secret says so.
func TestRotationOfCertificates(t *testing.T) {
	server := pulsartest.Start(t, broker.PulsarOptions{})
	secret := server.MutualTLS(t, server.Store(t, layout.Sourcing, nil))
	m := rotationtest.NewMount(t, secret)
	s, err := eventstore.Open(t.Context(), m.FS())
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err = s.Append(ctx, order42, 0, placed("a"))
	must(t, err)

	other := server.MutualTLS(t, rotationtest.With(secret, map[string]string{layout.SecretUsername: "es:somebody.else"}))
	other[layout.SecretCA] = append(secret[layout.SecretCA], '\n') // Another client takes the place of the first.
	m.Set(t, other)
	if err := readAll(ctx, s); err == nil || !strings.Contains(err.Error(), "has no right to do this") {
		t.Errorf("Replay with the certificate of another: %v, want it to say that there is no right", err)
	}
	m.Set(t, server.MutualTLS(t, secret))
	must(t, readAll(ctx, s))
	_, err = s.Append(ctx, order42, 1, placed("b"))
	must(t, err)
}

func readAll(ctx context.Context, s eventstore.Store) error {
	for _, err := range s.Replay(ctx, eventstore.Start{}) {
		if err != nil {
			return err
		}
	}
	return nil
}
