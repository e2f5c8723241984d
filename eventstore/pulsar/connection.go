package pulsar

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/apache/pulsar-client-go/pulsar"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/arbiter"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/endpoint"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect/pulsarclient"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

func connection(s eventstore.Secret) pulsarclient.Config {
	c := pulsarclient.Config{ServiceURL: s.Get(layout.SecretURI), OAuth: endpoint.OAuth(s)}
	if c.OAuth == nil {
		c.Token = s.Get(layout.SecretPassword)
	}
	if hosts := endpoint.Addresses(s, "6650", layout.SecretEndpoints); c.ServiceURL == "" && len(hosts) > 0 {
		scheme := "pulsar://"
		if endpoint.Encrypted(s) {
			scheme = "pulsar+ssl://"
		}
		c.ServiceURL = scheme + strings.Join(hosts, ",")
	}
	if strings.HasPrefix(c.ServiceURL, "pulsar+ssl:") {
		c.TLS = endpoint.TLS(s)
	}
	return c
}

// What a broker answers. The client tells most of it by text alone.
func answers(err error, result pulsar.Result, text string) bool {
	var p *pulsar.Error
	return errors.As(err, &p) && p.Result() == result || strings.Contains(err.Error(), text)
}

func unauthorized(err error) bool {
	return answers(err, pulsar.AuthorizationError, "AuthorizationError")
}

func unauthenticated(err error) bool {
	return answers(err, pulsar.AuthenticationError, "AuthenticationError")
}

func noTopic(err error) bool {
	return answers(err, pulsar.TopicNotFound, "TopicNotFound") || strings.Contains(err.Error(), "Topic Not Found")
}

func noSubscription(err error) bool {
	return answers(err, pulsar.SubscriptionNotFound, "SubscriptionNotFound")
}

func noConsumer(err error) bool { return strings.Contains(err.Error(), "Consumer not found") }

func busy(err error) bool { return answers(err, pulsar.ConsumerBusy, "ConsumerBusy") }

// passes reports whether asking again may help: a broker is gone, or a topic moves to another.
func passes(err error) bool {
	return !unauthorized(err) && !unauthenticated(err) && !noTopic(err) && !noSubscription(err) && !busy(err) &&
		!errors.Is(err, eventstore.ErrHistoryLost) && !errors.Is(err, eventstore.ErrRestart) && !errors.Is(err, arbiter.ErrAnother) && !errors.Is(err, connect.ErrTokenRefused)
}

// explain says what to do about an error of rights. Other errors stay as they are.
func explain(s eventstore.Secret, err error) error {
	user := s.Get(layout.SecretUsername)
	switch {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, eventstore.ErrHistoryLost):
		return err
	case unauthenticated(err):
		return fmt.Errorf("the brokers refuse user %q with this token: is the Secret the newest one? Or was its resource deleted? %w", user, err)
	case unauthorized(err):
		return fmt.Errorf("user %q has no right to do this: the provider gives rights to the users that it makes, others need those of docs/layout.md; or was its resource deleted? %w", user, err)
	}
	return err
}

// explainUnreached is explain where nothing is known of the connection yet. The client keeps to itself why it does not come
// about, so that is found out by another.
func (s *store) explainUnreached(ctx context.Context, err error) error {
	if explained := explain(s.Secret, err); explained != err || !passes(err) { //nolint:errorlint // Is it the very same?
		return explained
	}
	c := connection(s.Secret)
	_, hosts, _ := strings.Cut(c.ServiceURL, "://")
	hosts, _, _ = strings.Cut(hosts, "/")
	first, _, _ := strings.Cut(hosts, ",")
	if cause := dial(context.WithoutCancel(ctx), c, first); cause != nil {
		return fmt.Errorf("cannot reach the brokers at %s: %s: %w", hosts, connect.Explain(cause, c.TLS != nil), err)
	}
	return fmt.Errorf("the brokers at %s answer, but refuse or end the connection of user %q: is the Secret the newest one, "+
		"and are the addresses that the brokers advertise reachable from here? %w", hosts, s.Secret.Get(layout.SecretUsername), err)
}

// dialTimeout is for one attempt to connect.
const dialTimeout = 5 * time.Second

// dial connects to a broker and closes the connection again.
func dial(ctx context.Context, c pulsarclient.Config, address string) error {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	dialContext := (&net.Dialer{}).DialContext
	if c.TLS != nil {
		config, err := c.TLS.Config()
		if err != nil {
			return err
		}
		dialContext = (&tls.Dialer{Config: config}).DialContext
	}
	conn, err := dialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return conn.Close()
}
