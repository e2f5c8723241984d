package pulsar

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"syscall"

	"github.com/apache/pulsar-client-go/pulsar"
	"github.com/apache/pulsar-client-go/pulsaradmin/pkg/rest"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect/pulsarclient"
)

// A reachError says in one sentence why the cluster cannot be used. The text is the same while the problem is the same: it
// has no ephemeral port, no time and no secret. The cause is there to be matched, and not to be printed.
type reachError struct {
	address, text string
	unauthorized  bool
	cause         error
}

func (e *reachError) Error() string {
	return fmt.Sprintf("cannot reach Pulsar at %s: %s", e.address, e.text)
}

func (e *reachError) Unwrap() error { return e.cause }

// Is makes it [backend.ErrUnauthorized] where the cluster answers, and refuses the role.
func (e *reachError) Is(target error) bool {
	return e.unauthorized && target == backend.ErrUnauthorized
} //nolint:errorlint // Is compares.

// A dataError says what is wrong with what the cluster holds, in words that a user understands.
type dataError struct{ error }

func (e dataError) Unwrap() error { return e.error }

// A deletionError says that a marker cannot be claimed, because what it marks is being deleted.
type deletionError struct{}

func (deletionError) Error() string {
	return "the deletion of it has begun, and only the resource that it belongs to can finish that: create it anew afterwards"
}

// Is makes it [backend.ErrConflict].
func (deletionError) Is(target error) bool { return target == backend.ErrConflict } //nolint:errorlint // Is compares.

// An answerError is an answer of the cluster that concerns one resource.
type answerError struct {
	text  string
	cause error
}

func (e *answerError) Error() string { return "Pulsar answered: " + e.text }
func (e *answerError) Unwrap() error { return e.cause }

// explain makes an error of the admin API or of the client one that a user understands. A nil error stays nil.
func (b *Backend) explain(err error) error {
	if err == nil {
		return nil
	}
	var known *reachError
	var answered *answerError
	if errors.As(err, &known) || errors.As(err, &answered) || errors.Is(err, backend.ErrConflict) {
		return err
	}
	if _, ok := errors.AsType[dataError](err); ok {
		return err
	}
	if answer, ok := errors.AsType[rest.Error](err); ok {
		return b.explainAnswer(answer)
	}
	if client, ok := errors.AsType[*pulsar.Error](err); ok {
		return b.explainClient(client)
	}
	return &reachError{address: b.adminHost(), text: explainTransport(err, strings.HasPrefix(b.config.AdminURL, "https:")), cause: err}
}

// join returns errors as one that explains each of them, in one line.
func (b *Backend) join(errs ...error) (all error) {
	for _, err := range errs {
		switch {
		case err == nil:
		case all == nil:
			all = b.explain(err)
		default:
			all = fmt.Errorf("%w; %w", all, b.explain(err))
		}
	}
	return all
}

// explainAnswer explains what the admin API answered.
func (b *Backend) explainAnswer(answer rest.Error) error {
	text := reason(answer.Reason)
	refused := func(what string) error {
		return &reachError{address: b.adminHost(), text: what, unauthorized: true, cause: answer}
	}
	lacks := func() error {
		return refused(fmt.Sprintf("the role of the ProviderConfig lacks a right: make it an administrator of tenant %q (%s)", b.config.Tenant, text))
	}
	switch answer.Code {
	case http.StatusUnauthorized:
		if strings.HasPrefix(text, "Unauthorized to ") || strings.HasPrefix(text, "This operation requires") {
			return lacks() // Pulsar knows the role.
		}
		return refused("the cluster refuses the credentials, or wants some: correct authentication and credentials (" + text + ")")
	case http.StatusForbidden:
		return lacks()
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return &reachError{address: b.adminHost(), text: "no broker serves the request now: it is tried again (" + text + ")", cause: answer}
	case http.StatusNotFound:
		if strings.HasPrefix(strings.ToLower(text), "tenant") {
			return &reachError{address: b.adminHost(), text: fmt.Sprintf("tenant %q does not exist: create it, or set pulsar.createTenant", b.config.Tenant), cause: answer}
		}
	}
	return &answerError{text: text, cause: answer}
}

// reason takes out of an answer what a person can use: Pulsar puts stack traces into some.
func reason(s string) string {
	if _, after, ok := strings.Cut(s, "Message: "); ok {
		s, _, _ = strings.Cut(after, "Stacktrace:")
	}
	if strings.HasPrefix(strings.TrimSpace(s), "<") {
		s = "a page of HTML, as if something else than Pulsar were there"
	}
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > 300 {
		s = s[:300] + "…"
	}
	return s
}

// explainClient explains why the client of the binary protocol failed.
func (b *Backend) explainClient(err *pulsar.Error) error {
	address := strings.Join(b.brokers(), ",")
	reach := func(text string, unauthorized bool) error {
		return &reachError{address: address, text: text, unauthorized: unauthorized, cause: err}
	}
	switch err.Result() { //nolint:exhaustive // The others say something of the topic.
	case pulsar.AuthenticationError:
		return reach("the broker refuses the credentials: correct authentication and credentials", true)
	case pulsar.AuthorizationError:
		return reach("the role of the ProviderConfig may not write to the store's topic: make it an administrator of the tenant", true)
	case pulsar.TimeoutError, pulsar.ConnectError, pulsar.LookupError, pulsar.NotConnectedError, pulsar.ServiceUnitNotReady:
		return reach("the broker does not answer: are serviceURL, and the addresses that the brokers advertise, reachable from here?", false)
	default:
		return &answerError{text: reason(err.Error()), cause: err}
	}
}

func (b *Backend) adminHost() string {
	u, err := url.Parse(b.config.AdminURL)
	if err != nil {
		return "the admin URL"
	}
	return u.Host
}

// explainTransport explains what has gone wrong on the way to the admin API, where there is more to say of Pulsar than of others.
func explainTransport(err error, secure bool) string {
	switch {
	case errors.Is(err, connect.ErrNoToken):
		return "there is no token: the token endpoint does not give one: correct authentication.oauth and credentials"
	case errors.Is(err, pulsarclient.ErrInsecureRedirect):
		return "a broker redirects to another without TLS, which must not see the token: have the brokers advertise https"
	case strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"), errors.As(err, new(tls.RecordHeaderError)):
		return "the broker does not speak TLS on this port: use its TLS port, or http:// in adminURL"
	case !secure && closed(err):
		return "the broker closed the connection: if it expects TLS, use https:// in adminURL"
	default:
		return connect.Explain(err, secure)
	}
}

// closed reports whether a connection broke off, or was answered with what is no HTTP.
func closed(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		strings.Contains(err.Error(), "malformed HTTP")
}
