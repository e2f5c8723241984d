package providerconfig

import (
	"github.com/crossplane/crossplane-runtime/v2/pkg/errors"

	"github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect/broker"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect/kafkaclient"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect/pulsarclient"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect/redisclient"
)

// config returns how to reach the broker. Its errors never quote a value that it has read.
func (r *credentialReader) config(spec v1alpha1.ProviderConfigSpec) (broker.Config, error) {
	secret, err := r.value(spec.Credentials)
	if err != nil {
		return broker.Config{}, err
	}
	tls, err := r.tls(spec.TLS)
	if err != nil {
		return broker.Config{}, err
	}
	switch {
	case spec.Kafka != nil:
		return broker.Config{Kafka: kafkaConfig(*spec.Kafka, spec.Principals, string(secret), tls)}, nil
	case spec.Pulsar != nil:
		key, err := r.bytes(spec.TokenSigningKey)
		if err != nil {
			return broker.Config{}, err
		}
		return broker.Config{Pulsar: pulsarConfig(*spec.Pulsar, string(secret), key, tls)}, nil
	case spec.Redis != nil:
		sentinel, err := r.value(spec.SentinelCredentials)
		if err != nil {
			return broker.Config{}, err
		}
		return broker.Config{Redis: redisConfig(*spec.Redis, string(secret), string(sentinel), tls)}, nil
	}
	return broker.Config{}, errors.New("no broker is configured: set kafka, pulsar or redis")
}

func kafkaConfig(k v1alpha1.KafkaSettings, principals v1alpha1.PrincipalPolicy, secret string, tls *connect.TLS) *kafkaclient.Config {
	c := &kafkaclient.Config{
		BootstrapServers: k.BootstrapServers, RegistryTopic: k.RegistryTopic, TLS: tls, Provided: principals == v1alpha1.PrincipalsProvided,
	}
	if a := k.Authentication; a != nil && a.Mechanism != v1alpha1.KafkaMTLS {
		c.Mechanism = string(a.Mechanism)
		if a.AWS != nil {
			c.AWS = &connect.AWS{Region: a.AWS.Region, RoleARN: a.AWS.RoleARN}
		}
		if c.OAuth = oauth(a.OAuth, secret); c.OAuth == nil {
			c.Username, c.Password = a.Username, secret
		}
	}
	return c
}

func pulsarConfig(p v1alpha1.PulsarSettings, secret string, signingKey []byte, tls *connect.TLS) *pulsarclient.Config {
	c := &pulsarclient.Config{
		ServiceURL: p.ServiceURL, AdminURL: p.AdminURL, TLS: tls,
		Tenant: p.Tenant, CreateTenant: p.CreateTenant, SigningKey: signingKey,
	}
	if a := p.Authentication; a != nil && a.Method != v1alpha1.PulsarMTLS {
		if c.OAuth = oauth(a.OAuth, secret); c.OAuth == nil {
			c.Token = secret
		}
	}
	return c
}

func redisConfig(s v1alpha1.RedisSettings, password, sentinelPassword string, tls *connect.TLS) *redisclient.Config {
	c := &redisclient.Config{Addresses: s.Addresses, Username: s.Username, Password: password, TLS: tls}
	switch s.Mode {
	case v1alpha1.RedisSentinel:
		c.Mode = redisclient.ModeSentinel
	case v1alpha1.RedisCluster:
		c.Mode = redisclient.ModeCluster
	case v1alpha1.RedisStandalone:
	}
	if s.Sentinel != nil {
		c.Sentinel = redisclient.Sentinel{Master: s.Sentinel.MasterName, Username: s.Sentinel.Username, Password: sentinelPassword}
	}
	return c
}

func oauth(o *v1alpha1.OAuth, secret string) *connect.OAuth {
	if o == nil {
		return nil
	}
	return &connect.OAuth{TokenURL: o.TokenURL, ClientID: o.ClientID, ClientSecret: secret, Scopes: o.Scopes, Audience: o.Audience}
}
