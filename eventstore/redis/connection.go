package redis

import (
	"fmt"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/endpoint"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect/redisclient"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// connection says how to reach the servers, each time by the Secret of the moment.
func connection(b eventstore.Binding) redisclient.Config {
	c := settings(b.Secret)
	c.Renew = func() (redisclient.Config, error) {
		s, err := b.Current()
		return settings(s), err
	}
	return c
}

func settings(s eventstore.Secret) redisclient.Config {
	c := redisclient.Config{
		Mode: redisclient.Mode(s.Get(layout.SecretRedisMode)), Addresses: endpoint.Addresses(s, "6379", layout.SecretEndpoints),
		Username: s.Get(layout.SecretUsername), Password: s.Get(layout.SecretPassword),
		Sentinel: redisclient.Sentinel{Master: s.Get(layout.SecretSentinelMaster)},
	}
	if s.Get(layout.SecretSentinelAuth) == "true" { // The Sentinels know the same user.
		c.Sentinel.Username, c.Sentinel.Password = c.Username, c.Password
	}
	if endpoint.Encrypted(s) {
		c.TLS = endpoint.TLS(s)
	}
	return c
}

// explain says what to do where the server does not know us. Other errors stay as they are.
func (s *store) explain(err error) error {
	if !isUnauthenticated(err) {
		return err
	}
	return fmt.Errorf("the server refuses user %q with this password: is the Secret the newest one? Or was its resource deleted? %w", s.Secret.Get(layout.SecretUsername), err)
}
