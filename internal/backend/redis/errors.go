package redis

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"syscall"

	"github.com/redis/go-redis/v9"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect"
)

// A reachError says in one sentence why the server cannot be used. The text is the same while the problem is the same:
// it has no ephemeral port, no time and no secret. The cause is there to be matched, and not to be printed.
type reachError struct {
	address, text string
	cause         error
}

func (e *reachError) Error() string {
	return fmt.Sprintf("cannot reach Redis at %s: %s", e.address, e.text)
}

func (e *reachError) Unwrap() error { return e.cause }

// Is makes it [backend.ErrUnauthorized] where the server answers, and refuses the user.
func (e *reachError) Is(target error) bool {
	return target == backend.ErrUnauthorized && (redis.IsAuthError(e.cause) || redis.IsPermissionError(e.cause)) //nolint:errorlint // Is compares.
}

// A dataError says what is wrong with what the server holds, in words that a user understands.
type dataError struct{ error }

func (e dataError) Unwrap() error { return e.error }

// A deletionError says that a marker cannot be claimed, because what it marks is being deleted.
type deletionError struct{ text string }

func (e deletionError) Error() string { return e.text }

// Is makes it [backend.ErrConflict].
func (e deletionError) Is(target error) bool { return target == backend.ErrConflict } //nolint:errorlint // Is compares.

// explain makes an error of go-redis one that a user understands. A nil error stays nil.
func (b *Backend) explain(err error) error {
	if err == nil {
		return nil
	}
	var known *reachError
	var answer *replyError
	if errors.As(err, &known) || errors.As(err, &answer) || errors.Is(err, backend.ErrConflict) {
		return err
	}
	if _, ok := errors.AsType[dataError](err); ok {
		return err
	}
	address := b.config.Address()
	if at, ok := errors.AsType[nodeError](err); ok {
		address, err = at.address, at.error
	}
	if _, ok := errors.AsType[redis.Error](err); ok {
		return b.explainReply(address, err)
	}
	return &reachError{address: address, text: b.explainTransport(err), cause: err}
}

// reason says why a server cannot be reached, without naming it.
func (b *Backend) reason(err error) string {
	if known, ok := errors.AsType[*reachError](b.explain(err)); ok {
		return known.text
	}
	return b.explain(err).Error()
}

// explainReply explains what the server answered.
func (b *Backend) explainReply(address string, err error) error {
	text := err.Error()
	reach := func(format string, args ...any) error {
		return &reachError{address: address, text: fmt.Sprintf(format, args...), cause: err}
	}
	code, _, _ := strings.Cut(text, " ")
	switch code {
	case "WRONGPASS", "NOAUTH":
		return reach("the server refuses the user name or the password: correct the credentials")
	case "NOPERM":
		return reach("the user of the ProviderConfig lacks the right to %s: give it to the user with ACL SETUSER", missingRight(text))
	case "READONLY", "MASTERDOWN":
		return reach("%s", b.explainReplica(code))
	case "LOADING":
		return reach("the server is still loading its data: it is tried again")
	case "OOM":
		return reach("the server has reached maxmemory and takes no writes: give it more memory, or delete data")
	case "MISCONF":
		return reach("the server cannot persist and takes no writes: look at the server's log, and at its disk")
	case "CLUSTERDOWN":
		return reach("the cluster is down, because slots have no server: look at CLUSTER NODES")
	case "MOVED", "ASK", "TRYAGAIN", "CROSSSLOT":
		if b.config.Mode == connect.RedisCluster {
			return reach("the slots of the cluster are moving: it is tried again")
		}
		return reach("the server is part of a Redis Cluster: set redis.mode to Cluster")
	}
	if strings.Contains(text, "The user executing the script can't") {
		return reach("the user of the ProviderConfig lacks the right to a command or key that the provider's scripts use: give it +@stream +@hash +@keyspace +@read and ~es:* with ACL SETUSER")
	}
	return &replyError{text: redact(text), cause: err}
}

func (b *Backend) explainReplica(code string) string {
	switch {
	case b.config.Mode != "":
		return "the server is not the master any more: it is tried again with the new one"
	case code == "READONLY":
		return "the server is a replica and takes no writes: use the address of the primary"
	default:
		return "the server is a replica that has lost its primary: use the address of the primary"
	}
}

// A replyError is an answer of the server that concerns one resource.
type replyError struct {
	text  string
	cause error
}

func (e *replyError) Error() string { return "Redis answered: " + e.text }
func (e *replyError) Unwrap() error { return e.cause }

var quoted = regexp.MustCompile(`'([^']+)'`)

// missingRight says what NOPERM complains of. Redis 7.0: "NOPERM this user has no permissions to run the 'acl|setuser'
// command"; from 7.2 on it names the user too. For keys it names none.
func missingRight(text string) string {
	if m := quoted.FindStringSubmatch(text); m != nil && strings.Contains(text, "command") && !strings.Contains(text, "keys") {
		return "run " + strings.ToUpper(strings.ReplaceAll(m[1], "|", " "))
	}
	if strings.Contains(text, "channel") {
		return "use channels"
	}
	return "read and write the keys es:*"
}

var digest = regexp.MustCompile(`[#!<>][^\s'"]+`)

// redact takes out of an answer what may be a password, its hash, or an argument that was echoed.
func redact(text string) string {
	text, _, _ = strings.Cut(text, ", with args beginning with")
	return strings.Join(strings.Fields(digest.ReplaceAllString(text, "(redacted)")), " ")
}

func (b *Backend) explainTransport(err error) string {
	if text := explainTLS(err); text != "" {
		return text
	}
	var timeout net.Error
	var dns *net.DNSError
	switch {
	case errors.Is(err, context.Canceled):
		return "the call was cancelled"
	case errors.As(err, &dns):
		return fmt.Sprintf("the host name %q cannot be resolved", dns.Name)
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		if b.config.TLS != nil { // A server that does not speak TLS waits for the end of the line.
			return "the server does not answer in time: does it speak TLS on this port?"
		}
		return "the server does not answer in time"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the connection is refused: is the server running, and the port right?"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "there is no route to the host"
	case errors.Is(err, redis.ErrClosed):
		return "the connection was closed, because its settings have changed"
	case errors.Is(err, redis.ErrPoolTimeout):
		return "all connections are busy"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		if b.config.TLS == nil {
			return "the server closed the connection: if it expects TLS, set tls"
		}
		return "the server closed the connection: if it wants a client certificate, set one"
	}
	return "the connection failed"
}

func explainTLS(err error) string {
	var record tls.RecordHeaderError
	var alert tls.AlertError
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &record):
		return "the server does not speak TLS on this port: use its TLS port, or remove tls"
	case errors.As(err, &authority):
		return "TLS failed: the server's certificate is signed by an unknown authority: set the CA that signed it"
	case errors.As(err, &host):
		return "TLS failed: the server's certificate is not for this host: correct the address, or set the server name"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "TLS failed: the server's certificate has expired or is not valid yet"
	case errors.As(err, &invalid):
		return "TLS failed: the server's certificate is not valid"
	case errors.As(err, &alert):
		return "TLS failed: the server refuses the connection (" + strings.TrimPrefix(alert.Error(), "tls: ") + "): if it wants a client certificate, set one"
	}
	// crypto/tls has no type for an alert that the peer sent.
	if _, alert, ok := strings.Cut(err.Error(), "remote error: tls: "); ok {
		return "TLS failed: the server refuses the connection (" + alert + "): if it wants a client certificate, set one"
	}
	return ""
}
