package providerconfig

import (
	"github.com/crossplane/crossplane-runtime/v2/pkg/errors"

	"github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect"
)

// config returns how to reach the broker. Its errors never quote a value that it has read.
func (r *credentialReader) config(spec v1alpha1.ProviderConfigSpec) (connect.Config, error) {
	secret, err := r.value(spec.Credentials)
	if err != nil {
		return connect.Config{}, err
	}
	tls, err := r.tls(spec.TLS)
	if err != nil {
		return connect.Config{}, err
	}
	switch {
	case spec.Kafka != nil:
		return connect.Config{Kafka: kafkaConfig(*spec.Kafka, spec.Principals, string(secret), tls)}, nil
	case spec.Pulsar != nil:
		key, err := r.bytes(spec.TokenSigningKey)
		if err != nil {
			return connect.Config{}, err
		}
		return connect.Config{Pulsar: pulsarConfig(*spec.Pulsar, string(secret), key, tls)}, nil
	case spec.Redis != nil:
		sentinel, err := r.value(spec.SentinelCredentials)
		if err != nil {
			return connect.Config{}, err
		}
		return connect.Config{Redis: redisConfig(*spec.Redis, string(secret), string(sentinel), tls)}, nil
	}
	return connect.Config{}, errors.New("no broker is configured: set kafka, pulsar or redis")
}

func kafkaConfig(k v1alpha1.KafkaSettings, principals v1alpha1.PrincipalPolicy, secret string, tls *connect.TLS) *connect.Kafka {
	c := &connect.Kafka{
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

func pulsarConfig(p v1alpha1.PulsarSettings, secret string, signingKey []byte, tls *connect.TLS) *connect.Pulsar {
	c := &connect.Pulsar{
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

func redisConfig(s v1alpha1.RedisSettings, password, sentinelPassword string, tls *connect.TLS) *connect.Redis {
	c := &connect.Redis{Addresses: s.Addresses, Username: s.Username, Password: password, TLS: tls}
	switch s.Mode {
	case v1alpha1.RedisSentinel:
		c.Mode = connect.RedisSentinel
	case v1alpha1.RedisCluster:
		c.Mode = connect.RedisCluster
	case v1alpha1.RedisStandalone:
	}
	if s.Sentinel != nil {
		c.Sentinel = connect.Sentinel{Master: s.Sentinel.MasterName, Username: s.Sentinel.Username, Password: sentinelPassword}
	}
	return c
}

func oauth(o *v1alpha1.OAuth, secret string) *connect.OAuth {
	if o == nil {
		return nil
	}
	return &connect.OAuth{TokenURL: o.TokenURL, ClientID: o.ClientID, ClientSecret: secret, Scopes: o.Scopes, Audience: o.Audience}
}
