package redis

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect/redisclient"
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
		if b.config.Mode == redisclient.ModeCluster {
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
	switch {
	case errors.Is(err, redis.ErrClosed):
		return "the connection was closed, because its settings have changed"
	case errors.Is(err, redis.ErrPoolTimeout):
		return "all connections are busy"
	}
	return connect.Explain(err, b.config.TLS != nil)
}
