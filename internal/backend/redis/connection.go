package redis

import (
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/crossplane-contrib/provider-eventstore/internal/connect/redisclient"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// Connection returns how to reach Redis: what the ProviderConfig says, so that it stays the same whoever is the master.
// The provider's own client certificate is not part of it.
func (b *Backend) Connection() map[string][]byte {
	host, port, err := net.SplitHostPort(b.config.Addresses[0])
	if err != nil {
		host, port = b.config.Addresses[0], "6379"
	}
	c := map[string][]byte{
		layout.SecretType:      []byte(layout.SecretTypeEventStore),
		layout.SecretProvider:  []byte(name),
		layout.SecretHost:      []byte(host),
		layout.SecretPort:      []byte(port),
		layout.SecretURI:       []byte(uri(b.config, net.JoinHostPort(host, port))),
		layout.SecretEndpoints: []byte(strings.Join(b.config.Addresses, ",")),
		layout.SecretTLS:       []byte(strconv.FormatBool(b.config.TLS != nil)),
	}
	if b.config.Mode != "" {
		c[layout.SecretRedisMode] = []byte(b.config.Mode)
	}
	if b.config.Mode == redisclient.ModeSentinel {
		c[layout.SecretSentinelMaster] = []byte(b.config.Sentinel.Master)
		c[layout.SecretSentinelAuth] = []byte(strconv.FormatBool(b.config.Sentinel.Password != ""))
	}
	if b.config.TLS != nil && len(b.config.TLS.CA) > 0 {
		c[layout.SecretCA] = b.config.TLS.CA
	}
	return c
}

// uri spells Sentinels as Lettuce does, since there is no standard.
func uri(c redisclient.Config, first string) string {
	scheme := "redis"
	if c.TLS != nil {
		scheme = "rediss"
	}
	if c.Mode != redisclient.ModeSentinel {
		return scheme + "://" + first
	}
	return scheme + "-sentinel://" + strings.Join(c.Addresses, ",") + "?sentinelMasterId=" + url.QueryEscape(c.Sentinel.Master)
}
