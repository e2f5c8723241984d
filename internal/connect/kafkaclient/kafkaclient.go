package kafkaclient

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kversion"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/crossplane-contrib/provider-eventstore/internal/connect"
)

// Config says how to reach an Apache Kafka cluster.
type Config struct {
	BootstrapServers []string // host:port

	// Mechanism is that of SASL: SCRAM-SHA-256, SCRAM-SHA-512, PLAIN, OAUTHBEARER or AWS_MSK_IAM. Empty: no SASL, as with
	// a client certificate alone.
	Mechanism string
	Username  string
	Password  string         // For OAUTHBEARER without OAuth: the token.
	OAuth     *connect.OAuth // For OAUTHBEARER.
	AWS       *connect.AWS   // For AWS_MSK_IAM.
	TLS       *connect.TLS   // nil: plain text

	// RegistryTopic holds the markers of stores and subscriptions. Only the provider reads and writes it.
	RegistryTopic string

	// Renew returns the settings as they are now, and is asked for each connection: servers, user, password, token and TLS may
	// change, and the mechanism stays. nil: all stay. It may be called concurrently.
	Renew func() (Config, error) `json:"-"`

	// Provided means that somebody else makes the users of applications. They authenticate as the provider does.
	Provided bool
}

// Mechanisms of SASL.
const (
	ScramSHA256 = "SCRAM-SHA-256"
	ScramSHA512 = "SCRAM-SHA-512"
	Plain       = "PLAIN"
	OAuthBearer = "OAUTHBEARER"
	AWSMSKIAM   = "AWS_MSK_IAM"
)

const (
	// dialTimeout is for one connection, and answerTimeout for one answer: a broker that hangs is found out, and
	// its connection given up, well before the caller's patience ends.
	dialTimeout   = 5 * time.Second
	answerTimeout = 8 * time.Second
)

// Options returns the options of a client that connects when it is first used, and reconnects by itself. aws may be nil
// where the mechanism is another.
func (k Config) Options(aws connect.AWSTokens) ([]kgo.Opt, error) {
	if len(k.BootstrapServers) == 0 {
		return nil, errors.New("cannot connect to Kafka: no bootstrap server is given")
	}
	opts := []kgo.Opt{
		kgo.SeedBrokers(k.BootstrapServers...),
		kgo.ClientID("eventstore"),
		kgo.MaxVersions(versions()),
		kgo.DialTimeout(dialTimeout),
		kgo.RequestTimeoutOverhead(answerTimeout),
		kgo.DisableClientMetrics(),
	}
	m, err := k.mechanism(aws)
	if err != nil {
		return nil, err
	}
	var c *tls.Config
	if k.TLS != nil {
		if c, err = k.TLS.Config(); err != nil {
			return nil, err
		}
	}
	switch {
	case k.Renew != nil:
		r := k.renewal(aws)
		if m != nil {
			r.name, m = m.Name(), r
		}
		opts = append(opts, kgo.Dialer(r.dial), kgo.WithHooks(r))
	case c != nil:
		opts = append(opts, kgo.DialTLSConfig(c))
	}
	if m != nil {
		opts = append(opts, kgo.SASL(m))
	}
	return opts, nil
}

// versions are the versions of requests that are used at most. Later ones name topics by ids, which the layout does
// not know.
func versions() *kversion.Versions {
	v := kversion.V4_0_0()
	for key, version := range map[int16]int16{0: 12, 1: 12, 8: 9, 9: 9} { // Produce, Fetch, OffsetCommit, OffsetFetch.
		v.SetMaxKeyVersion(key, version)
	}
	return v
}

func (k Config) mechanism(aws connect.AWSTokens) (sasl.Mechanism, error) {
	switch k.Mechanism {
	case "":
		return nil, nil
	case ScramSHA256:
		return scram.Auth{User: k.Username, Pass: k.Password}.AsSha256Mechanism(), nil
	case ScramSHA512:
		return scram.Auth{User: k.Username, Pass: k.Password}.AsSha512Mechanism(), nil
	case Plain:
		return plain.Auth{User: k.Username, Pass: k.Password}.AsMechanism(), nil
	case OAuthBearer:
		if k.OAuth == nil && k.Password == "" {
			return nil, errors.New("cannot connect to Kafka: OAUTHBEARER needs a token, or to know where tokens are fetched")
		}
		if k.OAuth == nil {
			return oauth.Auth{Token: k.Password}.AsMechanism(), nil
		}
		var ca []byte
		if k.TLS != nil {
			ca = k.TLS.CA
		}
		return bearer(k.OAuth.Tokens(ca)), nil
	case AWSMSKIAM:
		if aws == nil || k.AWS == nil {
			return nil, errors.New("cannot connect to Kafka: nothing here makes tokens for AWS_MSK_IAM")
		}
		return bearer(aws(*k.AWS)), nil
	}
	return nil, fmt.Errorf("cannot connect to Kafka: the mechanism %q is not known", k.Mechanism)
}

func bearer(tokens connect.TokenSource) sasl.Mechanism {
	return oauth.Oauth(func(ctx context.Context) (oauth.Auth, error) {
		token, err := tokens(ctx)
		return oauth.Auth{Token: token}, err
	})
}
