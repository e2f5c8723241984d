// Package broker says which broker, and how to reach it.
package broker

import (
	"github.com/crossplane-contrib/provider-eventstore/internal/connect"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect/kafkaclient"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect/pulsarclient"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect/redisclient"
)

// Config says how to reach one broker. Exactly one of its fields is set.
type Config struct {
	Kafka  *kafkaclient.Config
	Pulsar *pulsarclient.Config
	Redis  *redisclient.Config
}

// Backend names the broker's kind: "kafka", "pulsar" or "redis"; it is empty if nothing is configured.
func (c Config) Backend() string {
	switch {
	case c.Kafka != nil:
		return "kafka"
	case c.Pulsar != nil:
		return "pulsar"
	case c.Redis != nil:
		return "redis"
	}
	return ""
}

// Digest is [connect.Digest].
func (c Config) Digest() string { return connect.Digest(c) }
