package main

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/memory"
)

// TestCommands sends one command after another, all of them to one store.
func TestCommands(t *testing.T) {
	a := &api{store: memory.New(memory.WithMaxEventBytes(1000)), log: slog.New(slog.DiscardHandler)}
	const apples = `{"Product": "apple", "Quantity": 2, "Cents": 300}`
	for _, tc := range []struct {
		name              string
		reason            string
		method, path, key string
		body              string
		code              int
		want              string // What the answer has.
	}{
		{"Place", "An order begins.", "POST", "/orders/1/place", "a", apples, 200, `"version":1,"status":"placed"`},
		{"PlaceAgain", "The same command, sent again, has the same answer.", "POST", "/orders/1/place", "a", apples, 200, `"version":1,"status":"placed"`},
		{"PlaceTwice", "Another command with the same id is refused.", "POST", "/orders/1/place", "b", apples, 409, "an order that is placed cannot be placed"},
		{"ShipTooEarly", "The order decides.", "POST", "/orders/1/ship", "c", `{"Parcel": "P-1"}`, 409, "an order that is placed cannot be shipped"},
		{"Pay", "A key is one command's: another may have the same.", "POST", "/orders/1/pay", "a", "", 200, `"version":2,"status":"paid"`},
		{"CancelTooLate", "What is paid is on its way.", "POST", "/orders/1/cancel", "d", `{}`, 409, "an order that is paid cannot be cancelled"},
		{"PlaceLate", "A copy that comes late changes nothing.", "POST", "/orders/1/place", "a", apples, 200, `"version":2,"status":"paid"`},
		{"PayNothing", "It was not placed.", "POST", "/orders/2/pay", "e", "", 404, "place it first"},
		{"NoKey", "Without a key nobody could repeat it.", "POST", "/orders/3/place", "", apples, 422, "Idempotency-Key"},
		{"NoQuantity", "It is no order.", "POST", "/orders/3/place", "f", `{"Product": "apple"}`, 422, "above zero"},
		{"Typo", "A field that is not known is not ignored.", "POST", "/orders/3/place", "f", `{"Prodct": "apple"}`, 422, "Prodct"},
		{"BadID", "It could not name a stream.", "POST", "/orders/%7B/place", "f", apples, 422, "order"},
		{"NoCommand", "The answer names those that there are.", "POST", "/orders/3/eat", "f", "", 404, "only place, pay, ship and cancel"},
		{"TooLarge", "Repeating it is useless.", "POST", "/orders/4/place", "f", `{"Product": "` + strings.Repeat("a", 1000) + `", "Quantity": 1, "Cents": 1}`, 413, "large"},
		{"History", "The store has what happened.", "GET", "/orders/1/events", "", "", 200, `"id":"place/a"`},
		{"NoHistory", "Nothing happened.", "GET", "/orders/3/events", "", "", 404, "there is no order"},
		{"NotReady", "The read model is not there yet.", "GET", "/ready", "", "", 503, "catching up"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(t.Context(), tc.method, tc.path, strings.NewReader(tc.body))
			r.Header.Set("Idempotency-Key", tc.key)
			w := httptest.NewRecorder()
			a.handler().ServeHTTP(w, r)
			if w.Code != tc.code || !strings.Contains(w.Body.String(), tc.want) {
				t.Errorf("%s\n%s %s: %d %s, want %d and %s", tc.reason, tc.method, tc.path, w.Code, w.Body, tc.code, tc.want)
			}
		})
	}
}

// lossy loses answers.
type lossy struct{ eventstore.Store }

func (l lossy) Append(ctx context.Context, s eventstore.StreamID, expected eventstore.Version, events ...eventstore.EventData) (eventstore.Version, error) {
	_, _ = l.Store.Append(ctx, s, expected, events...)
	return 0, eventstore.ErrUnknownOutcome
}

// TestFailures has what clients are told to repeat.
func TestFailures(t *testing.T) {
	closed := memory.New()
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		reason string
		store  eventstore.Store
		code   int
		want   string
	}{
		"UnknownOutcome": {reason: "It may have happened: the key makes a repetition safe.", store: lossy{memory.New()}, code: http.StatusServiceUnavailable, want: "unknown"},
		"Failed":         {reason: "What failed is for our log, and not for the client.", store: closed, code: http.StatusInternalServerError, want: "same Idempotency-Key"},
	} {
		t.Run(name, func(t *testing.T) {
			a := &api{store: tc.store, log: slog.New(slog.DiscardHandler)}
			r := httptest.NewRequestWithContext(t.Context(), "POST", "/orders/1/place", strings.NewReader(`{"Product": "apple", "Quantity": 1, "Cents": 1}`))
			r.Header.Set("Idempotency-Key", "a")
			w := httptest.NewRecorder()
			a.handler().ServeHTTP(w, r)
			if w.Code != tc.code || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), tc.want) {
				t.Errorf("%s\n%d %v %s, want %d with Retry-After and %q", tc.reason, w.Code, w.Header(), w.Body, tc.code, tc.want)
			}
		})
	}
}
