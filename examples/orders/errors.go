package main

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

// invalid says what is wrong with a request.
type invalid string

func (i invalid) Error() string { return string(i) }

var (
	errAbsent   = errors.New("not found")
	errNotReady = errors.New("the read model is catching up: ask again soon")
)

// status says what an error means to a client. What is not the client's doing can be repeated, with the same key.
func status(err error) int {
	_, bad := errors.AsType[invalid](err)
	_, refused := errors.AsType[refusal](err)
	switch {
	case bad:
		return http.StatusUnprocessableEntity
	case refused, errors.Is(err, eventstore.ErrConcurrency):
		return http.StatusConflict
	case errors.Is(err, errAbsent):
		return http.StatusNotFound
	case errors.Is(err, eventstore.ErrTooLarge):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, errNotReady), errors.Is(err, eventstore.ErrUnknownOutcome):
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// answer writes what f returns as JSON; an error as {"error": "…"}.
func (a *api) answer(f func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := f(r)
		code := http.StatusOK
		if err != nil {
			code = status(err)
			body = map[string]string{"error": err.Error()}
		}
		if code >= http.StatusInternalServerError {
			w.Header().Set("Retry-After", "1")
		}
		if code == http.StatusInternalServerError { // Its text is ours alone.
			a.log.ErrorContext(r.Context(), "request failed", "method", r.Method, "path", r.URL.Path, "error", err)
			body = map[string]string{"error": "something failed here: repeat the request, a command with the same Idempotency-Key"}
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(body) // Who has gone needs no answer.
	}
}
