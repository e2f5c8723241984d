package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/awstokens"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/endpoint"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect/kafkaclient"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// options returns what every client has in common: where the cluster is, and as whom we come, each time by the Secret of the
// moment.
func options(b eventstore.Binding, watch *logins) ([]kgo.Opt, error) {
	c := connection(b.Secret)
	switch {
	case c.Mechanism == kafkaclient.OAuthBearer && c.Password == "":
		return nil, fmt.Errorf("key %q is %q, which needs a token in key %q, or a client's secret there, its id in key %q and the endpoint in key %q",
			layout.SecretSASLMechanism, c.Mechanism, layout.SecretPassword, layout.SecretUsername, layout.SecretTokenURL)
	case c.Mechanism == kafkaclient.AWSMSKIAM && awstokens.Make == nil:
		return nil, fmt.Errorf("key %q is %q: import _ %q too, which brings the AWS SDK",
			layout.SecretSASLMechanism, c.Mechanism, "github.com/crossplane-contrib/provider-eventstore/eventstore/kafka/awsiam")
	case c.Mechanism == kafkaclient.AWSMSKIAM && c.AWS.Region == "":
		return nil, fmt.Errorf("key %q is %q, which needs the cluster's region in key %q", layout.SecretSASLMechanism, c.Mechanism, layout.SecretAWSRegion)
	}
	c.Renew = func() (kafkaclient.Config, error) {
		s, err := b.Current()
		return connection(s), err
	}
	opts, err := c.Options(awstokens.Make)
	return slices.Clip(append(opts, kgo.WithHooks(watch))), err // Every client appends its own.
}

func connection(s eventstore.Secret) kafkaclient.Config {
	c := kafkaclient.Config{
		BootstrapServers: endpoint.Addresses(s, "9092", layout.SecretBootstrap, layout.SecretEndpoints),
		Mechanism:        s.Get(layout.SecretSASLMechanism), Username: s.Get(layout.SecretUsername), Password: s.Get(layout.SecretPassword),
	}
	if c.Mechanism == kafkaclient.OAuthBearer {
		c.OAuth = endpoint.OAuth(s)
	}
	if c.Mechanism == kafkaclient.AWSMSKIAM {
		c.AWS = &connect.AWS{Region: region(s)}
	}
	if encrypted(s) {
		c.TLS = endpoint.TLS(s)
	}
	return c
}

// region is where a cluster of Amazon MSK is. Secrets of older providers do not say so, but its own names do:
// b-1.events.a1b2c3.c2.kafka.eu-central-1.amazonaws.com.
func region(s eventstore.Secret) string {
	host, _, _ := strings.Cut(s.Get(layout.SecretBootstrap), ":")
	_, from, _ := strings.Cut(host, ".kafka")
	labels := strings.Split(from, ".") // Of a serverless one, the first is "-serverless".
	if len(labels) > 1 && s.Get(layout.SecretAWSRegion) == "" && strings.Contains(from, ".amazonaws.") {
		return labels[1]
	}
	return s.Get(layout.SecretAWSRegion)
}

func encrypted(s eventstore.Secret) bool {
	return endpoint.Encrypted(s) || strings.HasSuffix(s.Get(layout.SecretSecurityProtocol), "SSL")
}

// explain says what to do about an error of the connection, or of rights. Other errors stay as they are.
func explain(s eventstore.Secret, err error) error {
	user := s.Get(layout.SecretUsername)
	var answer *kerr.Error
	switch {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, eventstore.ErrHistoryLost):
		return err
	case errors.Is(err, eventstore.ErrRestart):
		return fmt.Errorf("cannot connect: %w", err)
	case errors.Is(err, kerr.SaslAuthenticationFailed):
		return fmt.Errorf("the brokers refuse user %q with this password: is the Secret the newest one? Or was its resource deleted? %w", user, err)
	case errors.Is(err, kerr.TopicAuthorizationFailed), errors.Is(err, kerr.GroupAuthorizationFailed), errors.Is(err, kerr.ClusterAuthorizationFailed):
		return fmt.Errorf("user %q has no right to do this: the provider gives rights to the users that it makes, others need those of docs/layout.md; or was its resource deleted? %w", user, err)
	case errors.As(err, &answer):
		return err
	}
	var network net.Error
	if errors.As(err, &network) {
		return fmt.Errorf("cannot reach the brokers at %s: %s: %w",
			strings.Join(connection(s).BootstrapServers, ","), connect.Explain(err, encrypted(s)), err)
	}
	return err
}
