package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// client calls the API from outside.
type client struct{ url string }

// An apiError is an answer that is not 200.
type apiError struct {
	Code int
	Text string `json:"error"`
}

func (e *apiError) Error() string { return fmt.Sprintf("%d: %s", e.Code, e.Text) }

// post sends a command, again and again with the same key while nobody answers, or says that something failed there. It does not
// know then whether the command was carried out; the key sees to it that it is carried out once.
func (c client) post(ctx context.Context, id, command, key string, body any) (o orderAnswer, err error) {
	data, err := json.Marshal(body)
	if err != nil {
		return o, err
	}
	for {
		err = c.do(ctx, "POST", "/orders/"+id+"/"+command, key, data, &o)
		if known, ok := err.(*apiError); err == nil || ok && known.Code < 500 { //nolint:errorlint // do does not wrap it.
			return o, err
		}
		if wait(ctx) != nil {
			return o, fmt.Errorf("cannot %s order %s: %w, after: %w", command, id, context.Cause(ctx), err)
		}
	}
}

// order asks the read model.
func (c client) order(ctx context.Context, id string) (o orderAnswer, err error) {
	err = c.do(ctx, "GET", "/orders/"+id, "", nil, &o)
	return o, err
}

func (c client) do(ctx context.Context, method, path, key string, body []byte, into any) error {
	r, err := http.NewRequestWithContext(ctx, method, c.url+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		e := &apiError{Code: resp.StatusCode}
		_ = json.Unmarshal(text, e) // A proxy may have answered, with anything.
		return e
	}
	return json.Unmarshal(text, into)
}

// wait pauses until it is worth asking again.
func wait(ctx context.Context) error {
	select {
	case <-time.After(100 * time.Millisecond):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
