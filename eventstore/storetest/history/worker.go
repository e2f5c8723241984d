package history

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

// workerVariable is the environment variable that makes a process a worker.
const workerVariable = "EVENTSTORE_HISTORY_WORKER"

// callTimeout bounds each call. One that takes longer has an unknown outcome.
const callTimeout = 20 * time.Second

// Work makes calls for the process that started this one, if [Run] did, and then never returns. Call it first, in main or
// TestMain: workers are the same program.
func Work() {
	if os.Getenv(workerVariable) == "" {
		return
	}
	if err := work(context.Background(), os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "worker:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// work makes calls until in ends.
func work(ctx context.Context, in io.Reader, out io.Writer) error {
	requests, responses := json.NewDecoder(in), json.NewEncoder(out)
	var secret eventstore.Secret
	if err := requests.Decode(&secret); err != nil {
		return fmt.Errorf("cannot read the Secret: %w", err)
	}
	store, err := openPatiently(ctx, secret)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	respond := func(r response) {
		mu.Lock()
		defer mu.Unlock()
		_ = responses.Encode(r) // If nobody listens, in ends too.
	}
	respond(response{})
	ctx, cancel := context.WithCancel(ctx)
	c := &consumer{respond: respond, waiting: map[int]chan error{}}
	var calls, consumers sync.WaitGroup
	for {
		var r request
		if err := requests.Decode(&r); err != nil {
			break
		}
		switch {
		case r.Subscribe:
			consumers.Go(func() { c.subscribe(ctx, store) })
		case r.Answers != 0:
			c.answer(r)
		default:
			calls.Go(func() { respond(call(ctx, store, r)) })
		}
	}
	calls.Wait()
	cancel()
	consumers.Wait()
	return store.Close()
}

// openPatiently opens a store while its broker comes and goes.
func openPatiently(ctx context.Context, secret eventstore.Secret) (eventstore.Store, error) {
	for deadline := time.Now().Add(patience); ; {
		store, err := eventstore.OpenSecret(ctx, secret)
		if err == nil || time.Now().After(deadline) {
			return store, err
		}
		pause(ctx, 20*time.Millisecond)
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

func call(ctx context.Context, store eventstore.Store, r request) response {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if len(r.IDs) == 0 {
		return read(ctx, store, r)
	}
	events := make([]eventstore.EventData, len(r.IDs))
	for i, id := range r.IDs {
		events[i] = eventstore.EventData{ID: id, Type: "Drawn", Data: id}
	}
	v, err := store.Append(ctx, r.Stream, r.Expected, events...)
	c, isConflict := errors.AsType[*eventstore.ConcurrencyError](err)
	switch {
	case err == nil:
		return response{ID: r.ID, Outcome: Succeeded, Version: v}
	case isConflict:
		return response{ID: r.ID, Outcome: Conflict, Version: c.Actual}
	case errors.Is(err, eventstore.ErrUnknownOutcome):
		return response{ID: r.ID, Outcome: Unknown, Error: err.Error()}
	default:
		return response{ID: r.ID, Outcome: Failed, Error: err.Error()}
	}
}

func read(ctx context.Context, store eventstore.Store, r request) response {
	out := response{ID: r.ID, Outcome: Succeeded, Version: r.After}
	for e, err := range store.Read(ctx, r.Stream, r.After) {
		if err == nil && e.Version != out.Version+1 {
			err = fmt.Errorf("event %s has version %d after version %d", e.ID, e.Version, out.Version)
		}
		if err != nil {
			return response{ID: r.ID, Outcome: Failed, Error: err.Error()}
		}
		out.Version, out.Read = e.Version, append(out.Read, e.ID)
	}
	return out
}
