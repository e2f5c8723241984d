package kafka

import (
	"testing"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/broker"
	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/internal/kafkatest"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/rotationtest"
)

// behindProxy starts a cluster of one node that is reached through a proxy.
func behindProxy(t *testing.T) (*kafkatest.Server, *broker.Proxy) {
	t.Helper()
	var proxy *broker.Proxy
	server := kafkatest.StartWith(t, broker.KafkaOptions{Advertise: func(_ int, addr string) (string, error) {
		var err error
		if proxy, err = broker.NewProxy(addr); err != nil {
			return "", err
		}
		return proxy.Addr, nil
	}})
	t.Cleanup(func() { _ = proxy.Close() })
	return server, proxy
}

func TestRotation(t *testing.T) {
	server, proxy := behindProxy(t)
	secret := server.Store(t, layout.Sourcing, nil)
	rotationtest.Run(t, rotationtest.Case{
		Store: secret, Subscription: server.Subscription(t, secret, "billing"), Proxies: []*broker.Proxy{proxy},
		Rotate: func(t *testing.T, s eventstore.Secret) eventstore.Secret { return server.Rotate(t, s) },
	})
}

// The servers to begin with are others, and where they were is nobody any more. Those that the cluster names stay.
func TestEndpointsMove(t *testing.T) {
	server, proxy := behindProxy(t)
	places := map[string]*broker.Proxy{}
	at := func() map[string]string {
		p := rotationtest.NewProxy(t, proxy.Addr)
		places[p.Addr] = p
		return map[string]string{layout.SecretBootstrap: p.Addr, layout.SecretEndpoints: p.Addr}
	}
	secret := server.Store(t, layout.Sourcing, at())
	rotationtest.Run(t, rotationtest.Case{
		Store: secret, Subscription: server.Subscription(t, secret, "billing"),
		Rotate: func(t *testing.T, s eventstore.Secret) eventstore.Secret {
			rotationtest.Refuse(t, places[s.Get(layout.SecretBootstrap)])
			proxy.Cut()
			return rotationtest.With(s, at())
		},
	})
}

func TestSecretNeedsRestart(t *testing.T) {
	server, proxy := behindProxy(t)
	secret := server.Store(t, layout.Sourcing, nil)
	rotationtest.RunRestart(t, rotationtest.Case{
		Store: secret, Subscription: server.Subscription(t, secret, "billing"), Proxies: []*broker.Proxy{proxy},
	})
}
