package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

// api answers over HTTP: commands go to the store, questions to the read model.
type api struct {
	store eventstore.Store
	db    *pgxpool.Pool
	ready <-chan struct{} // Closed when the read model has what was there when the service began.
	log   *slog.Logger
}

func (a *api) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /orders/{id}/{command}", a.answer(a.command))
	mux.HandleFunc("GET /orders/{id}", a.answer(a.order))
	mux.HandleFunc("GET /orders/{id}/events", a.answer(a.history))
	mux.HandleFunc("GET /ready", a.answer(a.readiness))
	return mux
}

// An orderAnswer is how the API shows an order.
type orderAnswer struct {
	ID       string `json:"id"`
	Version  int64  `json:"version"`
	Status   string `json:"status"`
	Product  string `json:"product"`
	Quantity int    `json:"quantity"`
	Cents    int    `json:"cents"`
	Parcel   string `json:"parcel,omitempty"`
	Invoice  string `json:"invoice,omitempty"` // due or void: what billing has made of it
	Picked   int    `json:"picked,omitempty"`  // pieces: what the warehouse has made of it
}

func answerOf(id string, o Order) orderAnswer {
	return orderAnswer{
		ID: id, Version: int64(o.Version), Status: o.Status, Product: o.Product, Quantity: o.Quantity, Cents: o.Cents, Parcel: o.Parcel,
	}
}

// command carries out a command, and answers with the order as it is then. The read model has it a moment later.
func (a *api) command(r *http.Request) (any, error) {
	id, name, key := r.PathValue("id"), r.PathValue("command"), r.Header.Get("Idempotency-Key")
	if key == "" {
		return nil, invalid("the header Idempotency-Key is missing: choose a value for each command, and send the same one when you repeat it")
	}
	if err := (eventstore.StreamID{Type: orders.Type, ID: id}).Validate(); err != nil {
		return nil, invalid(err.Error())
	}
	c, err := readCommand(name, r)
	if err != nil {
		return nil, err
	}
	o, err := execute(r.Context(), a.store, id, name+"/"+key, c)
	return answerOf(id, o), err
}

// readCommand reads a command from the body of a request.
func readCommand(name string, r *http.Request) (Command, error) {
	switch name {
	case "place":
		var p OrderPlaced
		if err := read(r, &p); err != nil {
			return nil, err
		}
		if p.Product == "" || p.Quantity < 1 || p.Cents < 1 {
			return nil, invalid("an order has a product, and a quantity and cents above zero")
		}
		return place(p), nil
	case "pay":
		return pay, nil
	case "ship":
		var s OrderShipped
		if err := read(r, &s); err != nil {
			return nil, err
		}
		if s.Parcel == "" {
			return nil, invalid("an order is shipped in a parcel: name it")
		}
		return ship(s), nil
	case "cancel":
		var c OrderCancelled
		if err := read(r, &c); err != nil {
			return nil, err
		}
		return cancel(c), nil
	}
	return nil, fmt.Errorf("%w: there is no command %q, only place, pay, ship and cancel", errAbsent, name)
}

func read(r *http.Request, into any) error {
	d := json.NewDecoder(http.MaxBytesReader(nil, r.Body, 64<<10))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return invalid("the body is not the JSON of this command: " + err.Error())
	}
	return nil
}

// order answers from the read model, and with what billing and the warehouse have made of the order.
func (a *api) order(r *http.Request) (any, error) {
	o := orderAnswer{ID: r.PathValue("id")}
	err := a.db.QueryRow(r.Context(), `
		SELECT o.version, o.status, o.product, o.quantity, o.cents, o.parcel,
		       CASE WHEN i.void THEN 'void' WHEN NOT i.void THEN 'due' ELSE '' END, COALESCE(p.pieces, 0)
		FROM orders o LEFT JOIN invoices i ON i.order_id = o.id LEFT JOIN picks p ON p.order_id = o.id WHERE o.id = $1`, o.ID).
		Scan(&o.Version, &o.Status, &o.Product, &o.Quantity, &o.Cents, &o.Parcel, &o.Invoice, &o.Picked)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, fmt.Errorf("%w: the read model has no order %q", errAbsent, o.ID)
	}
	return o, err
}

// An eventAnswer is how the API shows an event.
type eventAnswer struct {
	Version  int64           `json:"version"`
	Type     string          `json:"type"`
	ID       string          `json:"id"`
	Recorded time.Time       `json:"recorded"`
	Data     json.RawMessage `json:"data"`
}

// history answers from the store: what happened to an order, until now.
func (a *api) history(r *http.Request) (any, error) {
	id := r.PathValue("id")
	events := []eventAnswer{}
	for e, err := range a.store.Read(r.Context(), eventstore.StreamID{Type: orders.Type, ID: id}, 0) {
		if err != nil {
			return nil, err
		}
		events = append(events, eventAnswer{int64(e.Version), e.Type, e.ID, e.Recorded, e.Data})
	}
	if len(events) == 0 {
		return nil, fmt.Errorf("%w: there is no order %q", errAbsent, id)
	}
	return events, nil
}

// readiness says whether questions get answers of today: the database answers, and the read model is not far behind.
func (a *api) readiness(r *http.Request) (any, error) {
	select {
	case <-a.ready:
		return map[string]string{"status": "ready"}, a.db.Ping(r.Context())
	default:
		return nil, errNotReady
	}
}
