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

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect"
)

// A reachError says in one sentence why the cluster cannot be used. The text is the same while the problem is the same: it
// has no ephemeral port, no time and no secret. The cause is there to be matched, and not to be printed.
type reachError struct {
	servers, text string
	cause         error
}

func (e *reachError) Error() string {
	return fmt.Sprintf("cannot reach Kafka at %s: %s", e.servers, e.text)
}

func (e *reachError) Unwrap() error { return e.cause }

// Is makes it [backend.ErrUnauthorized] where the cluster answers, and refuses the user.
func (e *reachError) Is(target error) bool {
	return target == backend.ErrUnauthorized && refusesUser(e.cause) //nolint:errorlint // Is compares.
}

// An answerError is what a broker says of one resource.
type answerError struct {
	cause error
	text  string
}

func (e *answerError) Error() string { return "Kafka answered: " + e.text }
func (e *answerError) Unwrap() error { return e.cause }

// answer makes an error of a code and a message; nil if there is none.
func answer(code int16, message *string) error {
	err := kerr.ErrorForCode(code)
	if err == nil {
		return nil
	}
	text := err.Error()
	var known *kerr.Error
	if errors.As(err, &known) {
		text = known.Message + ": " + strings.TrimSuffix(known.Description, ".")
		if message != nil && *message != "" {
			text = known.Message + ": " + strings.TrimSuffix(oneLine(*message), ".")
		}
	}
	return &answerError{cause: err, text: text}
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// A partError says which part of the cluster an error is about.
type partError struct {
	part  string
	cause error
}

func (e *partError) Error() string { return e.part + ": " + e.cause.Error() }
func (e *partError) Unwrap() error { return e.cause }

// A closedError says that we may not use the registry topic.
type closedError struct {
	topic string
	cause error
}

func (e *closedError) Error() string {
	return fmt.Sprintf("the registry topic %q: %v", e.topic, e.cause)
}
func (e *closedError) Unwrap() error { return e.cause }

// A dataError says what is wrong with what the cluster holds, in words that a user understands.
type dataError struct{ error }

func (e dataError) Unwrap() error { return e.error }

// A deletionError says that something cannot be claimed, because it is being deleted.
type deletionError struct{ text string }

func (e deletionError) Error() string { return e.text }

// Is makes it [backend.ErrConflict].
func (e deletionError) Is(target error) bool { return target == backend.ErrConflict } //nolint:errorlint // Is compares.

func refusesUser(err error) bool {
	return slices.ContainsFunc([]error{
		kerr.SaslAuthenticationFailed, kerr.ClusterAuthorizationFailed, kerr.TopicAuthorizationFailed,
		kerr.GroupAuthorizationFailed, kerr.IllegalSaslState, kerr.UnsupportedSaslMechanism, connect.ErrTokenRefused,
	}, func(k error) bool { return errors.Is(err, k) }) || refusesToken(err)
}

// refusesToken reports whether the cluster took a token for none of its own. The client's error has no type.
func refusesToken(err error) bool {
	return strings.Contains(err.Error(), "unexpected data in oauth response")
}

// speaksTLS reports whether the server answered with an alert of TLS to what was none. As refusesToken.
func speaksTLS(err error) bool { return strings.Contains(err.Error(), "tls alert record") }

// explain makes an error of the client one that a user understands. A nil error stays nil.
func (b *Backend) explain(err error) error {
	if err == nil {
		return nil
	}
	var reached *reachError
	var damaged damagedError
	if errors.As(err, &reached) || errors.As(err, &damaged) || errors.Is(err, backend.ErrConflict) {
		return err
	}
	if _, ok := errors.AsType[dataError](err); ok {
		return err
	}
	if text := b.explainRefusal(err); text != "" {
		return &reachError{servers: b.servers(), text: text, cause: err}
	}
	if _, ok := errors.AsType[*answerError](err); ok {
		return err
	}
	if known, ok := errors.AsType[*kerr.Error](err); ok {
		return answer(known.Code, nil)
	}
	text := b.explainTransport(err)
	if part, ok := errors.AsType[*partError](err); ok {
		text = part.part + ": " + text
	}
	return &reachError{servers: b.servers(), text: text, cause: err}
}

// explainRefusal says what is refused to the provider's own user, if that is it.
func (b *Backend) explainRefusal(err error) string {
	if closed, ok := errors.AsType[*closedError](err); ok {
		return fmt.Sprintf("the user of the ProviderConfig lacks a right to the registry topic %q, which is closed to all but those who have one: give it All on that topic, or make it a super user", closed.topic)
	}
	switch token, ok := errors.AsType[*connect.TokenError](err); {
	case ok && token.Refused:
		return token.Error() + ": correct spec.kafka.authentication and the credentials"
	case ok:
		return token.Error()
	case refusesToken(err):
		return "the cluster refuses the token: see that its issuer, audience and scopes are those that the brokers expect"
	case errors.Is(err, kerr.UnsupportedSaslMechanism):
		return fmt.Sprintf("the cluster does not take %s on this port: set another mechanism, or use the port that takes it", b.config.Mechanism)
	case errors.Is(err, kerr.SaslAuthenticationFailed), errors.Is(err, kerr.IllegalSaslState):
		return "the cluster refuses the credentials: correct them"
	case errors.Is(err, kerr.ClusterAuthorizationFailed):
		return "the user of the ProviderConfig lacks a right to the cluster: give it Alter, AlterConfigs, Create, Describe and DescribeConfigs on the resource Cluster, or make it a super user"
	case errors.Is(err, kerr.TopicAuthorizationFailed):
		return "the user of the ProviderConfig lacks a right to the topic: give it All on topics, or make it a super user"
	case errors.Is(err, kerr.GroupAuthorizationFailed):
		return "the user of the ProviderConfig lacks a right to the group: give it All on groups, or make it a super user"
	}
	return ""
}

func (b *Backend) explainTransport(err error) string {
	var first *kgo.ErrFirstReadEOF
	var dial *net.OpError
	switch {
	case errors.Is(err, kgo.ErrClientClosed):
		return "the connection was closed, because its settings have changed"
	case speaksTLS(err):
		return "the server speaks TLS on this port: set tls, or use another port"
	case errors.Is(err, errNoBrokers):
		return "the cluster knows of no broker that is up: look at the brokers' logs"
	case errors.As(err, &first) && b.config.Mechanism == "" && !errors.Is(err, context.DeadlineExceeded):
		return connect.Explain(err, b.config.TLS != nil) + "; if it wants a user, set authentication"
	case errors.As(err, &dial) && dial.Op == "dial" && dial.Addr != nil && b.elsewhere(dial.Addr.String()):
		return fmt.Sprintf("the cluster names %s as the address of a broker, and there %s", dial.Addr, connect.Explain(err, b.config.TLS != nil))
	}
	return connect.Explain(err, b.config.TLS != nil)
}

// elsewhere reports whether an address is none of those that were given, but one that the cluster has named.
func (b *Backend) elsewhere(addr string) bool {
	return !slices.ContainsFunc(b.config.BootstrapServers, func(s string) bool {
		host, _, err := net.SplitHostPort(s)
		return s == addr || err != nil || net.ParseIP(host) == nil // A name is resolved to who knows what.
	})
}

// servers are the addresses that were given, for people.
func (b *Backend) servers() string { return strings.Join(b.config.BootstrapServers, ", ") }

// first returns the first error that is not nil.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
