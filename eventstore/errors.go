package eventstore

import (
	"errors"
	"fmt"
)

// What a caller can act on. Test for them with [errors.Is].
var (
	// ErrConcurrency says that the stream is not at the expected version: load it again, decide again.
	// [errors.As] finds a [*ConcurrencyError] with both versions.
	ErrConcurrency = errors.New("stream is at another version")

	// ErrNotFound says that there is no such thing: a snapshot, or the subscription on the broker.
	ErrNotFound = errors.New("not found")

	// ErrUnknownOutcome says that the reply was lost: the append may have happened or not, or may happen yet. Repeating
	// it with the same ids and the same expected version is safe; see [Prepare].
	ErrUnknownOutcome = errors.New("outcome is unknown")

	// ErrTooLarge says that an append exceeds what the store takes. Repeating it is useless.
	ErrTooLarge = errors.New("too large")

	// ErrHistoryLost says that events which were there are gone, by a broker's failure or by hand: a person must look. A
	// replay says it too if the store's retention passed its position: see [Start].
	ErrHistoryLost = errors.New("history is lost")

	// ErrRestart says that the Secret in the folder was changed in a way that an open store cannot follow, so that it does not
	// connect any more: end the process, and let it be started again. See [Open].
	ErrRestart = errors.New("restart the application")

	// ErrUnsupported says that this store, or what this Secret allows, does not include the call.
	ErrUnsupported = errors.New("not supported")
)

// A ConcurrencyError says which version the caller of Append expected, and which it met. It matches [ErrConcurrency].
type ConcurrencyError struct{ Expected, Actual Version }

// Error implements error.
func (e *ConcurrencyError) Error() string {
	return fmt.Sprintf("stream is at version %d, expected %d", e.Actual, e.Expected)
}

// Is reports whether target is [ErrConcurrency].
func (e *ConcurrencyError) Is(target error) bool { return target == ErrConcurrency }

// Permanent marks an error of a [Handler] that no retry will mend: the event goes to the dead letters at once.
// Permanent(nil) is nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{err}
}

// IsPermanent reports whether err, or one that it wraps, was marked by [Permanent].
func IsPermanent(err error) bool {
	_, ok := errors.AsType[*permanentError](err)
	return ok
}

type permanentError struct{ err error }

func (e *permanentError) Error() string { return e.err.Error() }
func (e *permanentError) Unwrap() error { return e.err }
