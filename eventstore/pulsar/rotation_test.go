package pulsar

import (
	"testing"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/pulsartest"
	"github.com/crossplane-contrib/provider-eventstore/internal/rotationtest"
)

// behindProxy starts a broker that is reached through a proxy.
func behindProxy(t *testing.T) (*pulsartest.Server, *broker.Proxy) {
	t.Helper()
	var proxy *broker.Proxy
	server := pulsartest.Start(t, broker.PulsarOptions{Heap: "384m", Advertise: func(addr string) (string, error) {
		var err error
		if proxy, err = broker.NewProxy(addr); err != nil {
			return "", err
		}
		return proxy.Addr, nil
	}})
	t.Cleanup(func() { _ = proxy.Close() })
	return server, proxy
}

// An open store follows its Secret. They share a broker, which takes long to start.
func TestSecretChanges(t *testing.T) {
	server, proxy := behindProxy(t)
	t.Run("Token", func(t *testing.T) { tokenExpires(t, server, proxy) })
	t.Run("Endpoints", func(t *testing.T) { endpointsMove(t, server, proxy) })
	t.Run("Restart", func(t *testing.T) {
		secret := server.Store(t, layout.Sourcing, nil)
		rotationtest.RunRestart(t, rotationtest.Case{
			Store: secret, Subscription: server.Subscription(t, secret, "billing"), Proxies: []*broker.Proxy{proxy},
		})
	})
}

// A token is refused when it has expired.
func tokenExpires(t *testing.T, server *pulsartest.Server, proxy *broker.Proxy) {
	t.Helper()
	secret := server.Store(t, layout.Sourcing, nil)
	const lasts = 15 * time.Second
	rotationtest.Run(t, rotationtest.Case{
		Store: server.Expiring(t, secret, lasts), Subscription: server.Expiring(t, server.Subscription(t, secret, "billing"), lasts),
		Proxies: []*broker.Proxy{proxy},
		Rotate: func(t *testing.T, s eventstore.Secret) eventstore.Secret {
			server.Expired(t, s)
			return server.Expiring(t, s, lasts)
		},
	})
}

// The service moves, and where it was is nobody any more.
func endpointsMove(t *testing.T, server *pulsartest.Server, proxy *broker.Proxy) {
	t.Helper()
	places := map[string]*broker.Proxy{}
	at := func() map[string]string {
		p := rotationtest.NewProxy(t, proxy.Addr)
		url := "pulsar://" + p.Addr
		places[url] = p
		return map[string]string{layout.SecretURI: url, layout.SecretEndpoints: p.Addr}
	}
	secret := server.Store(t, layout.Sourcing, at())
	rotationtest.Run(t, rotationtest.Case{
		Store: secret, Subscription: server.Subscription(t, secret, "billing"),
		Rotate: func(t *testing.T, s eventstore.Secret) eventstore.Secret {
			rotationtest.Refuse(t, places[s.Get(layout.SecretURI)])
			proxy.Cut()
			return rotationtest.With(s, at())
		},
	})
}
