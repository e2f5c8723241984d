package pulsar

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/pulsartest"
	"github.com/crossplane-contrib/provider-eventstore/internal/rotationtest"
)

// Who has a certificate needs no token. Which certificate it is, and whom to trust, the Secret of the moment says.
func TestMutualTLS(t *testing.T) {
	server := pulsartest.Start(t, broker.PulsarOptions{})
	plain := server.Store(t, layout.Sourcing, nil)
	secret, sub := server.MutualTLS(t, plain), server.MutualTLS(t, server.Subscription(t, plain, "billing"))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s := openSecret(t, secret)
	_, err := s.Append(ctx, order42, 0, placed("a"))
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
