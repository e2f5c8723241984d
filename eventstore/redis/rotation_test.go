package redis

import (
	"testing"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/redistest"
	"github.com/crossplane-contrib/provider-eventstore/internal/rotationtest"
)

func at(p *broker.Proxy) map[string]string { return map[string]string{layout.SecretEndpoints: p.Addr} }

func TestRotation(t *testing.T) {
	server := redistest.Start(t)
	proxy := rotationtest.NewProxy(t, server.Addr)
	secret := server.Store(t, layout.Sourcing, at(proxy))
	rotationtest.Run(t, rotationtest.Case{
		Store: secret, Subscription: server.Subscription(t, secret, "billing"),
		Proxies: []*broker.Proxy{proxy}, Rotate: server.Rotate,
	})
}

// The server moves, and where it was is nobody any more.
func TestEndpointsMove(t *testing.T) {
	server := redistest.Start(t)
	places := map[string]*broker.Proxy{}
	place := func() *broker.Proxy {
		p := rotationtest.NewProxy(t, server.Addr)
		places[p.Addr] = p
		return p
	}
	secret := server.Store(t, layout.Sourcing, at(place()))
	rotationtest.Run(t, rotationtest.Case{
		Store: secret, Subscription: server.Subscription(t, secret, "billing"),
		Rotate: func(t *testing.T, s eventstore.Secret) eventstore.Secret {
			rotationtest.Refuse(t, places[s.Get(layout.SecretEndpoints)])
			return rotationtest.With(s, at(place()))
		},
	})
}

func TestSecretNeedsRestart(t *testing.T) {
	server := redistest.Start(t)
	proxy := rotationtest.NewProxy(t, server.Addr)
	secret := server.Store(t, layout.Sourcing, at(proxy))
	rotationtest.RunRestart(t, rotationtest.Case{
		Store: secret, Subscription: server.Subscription(t, secret, "billing"), Proxies: []*broker.Proxy{proxy},
	})
}

// A user of Sentinels has the same password there. Clients ask them once for the master, and are told by them of another.
func TestRotationWithSentinel(t *testing.T) {
	server, _ := redistest.StartSentinel(t)
	secret := server.Store(t, layout.Sourcing, nil)
	rotationtest.Run(t, rotationtest.Case{Store: secret, Subscription: server.Subscription(t, secret, "billing"), Rotate: server.Rotate})
}

func TestRotationInCluster(t *testing.T) {
	server, _ := redistest.StartCluster(t)
	secret := server.Store(t, layout.Sourcing, nil)
	rotationtest.Run(t, rotationtest.Case{Store: secret, Subscription: server.Subscription(t, secret, "billing"), Rotate: server.Rotate})
}
