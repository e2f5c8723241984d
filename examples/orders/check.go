package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

// check drives a service that runs, over HTTP as its clients do, and then looks behind it: every order is in the read model as its
// events say, and every shipment in the warehouse's store once. The service may be killed and started again meanwhile.
func check(ctx context.Context, out io.Writer, b bindings, url string, orders int) error {
	stores, err := openAll(ctx, b.store, b.warehouse, b.warehouseSubscription)
	if err != nil {
		return err
	}
	defer closeAll(stores)
	c := checker{
		out: out, api: client{url}, run: rand.Text()[:8], orders: orders,
		store: stores[0], warehouse: stores[1], picking: stores[2], placed: map[string]orderAnswer{},
	}
	for _, step := range []func(context.Context) error{
		c.ready, c.sell, c.conflict, c.reject, c.settle, c.replayed, c.shipments, c.givenUp,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	c.say("everything matched")
	return nil
}

// checker is one run. Its orders are <run>-0, <run>-1 and so on; some are special.
type checker struct {
	out                       io.Writer
	api                       client
	run                       string
	orders                    int
	store, warehouse, picking eventstore.Store

	mu     sync.Mutex
	placed map[string]orderAnswer // What the API said last of each order.
}

const (
	twice     = iota // is paid twice, with the same key
	cancelled        // is cancelled before it is paid
	poison           // is for what the warehouse does not have
)

const unknownProduct = "unobtainium"

func (c *checker) id(n int) string                { return fmt.Sprintf("%s-%d", c.run, n) }
func (c *checker) say(format string, args ...any) { fmt.Fprintf(c.out, format+"\n", args...) }

// ready waits until the service says so.
func (c *checker) ready(ctx context.Context) error {
	return c.until(ctx, "the service is ready", func() error { return c.api.do(ctx, "GET", "/ready", "", nil, &struct{}{}) })
}

// until repeats ask until it returns nil, and says what it was waiting for if that never comes.
func (c *checker) until(ctx context.Context, what string, ask func() error) error {
	for {
		err := ask()
		if err == nil {
			return nil
		}
		if wait(ctx) != nil {
			return fmt.Errorf("waited until %s: %w, last seen: %w", what, context.Cause(ctx), err)
		}
	}
}

// sell lets all orders live side by side.
func (c *checker) sell(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for n := range c.orders {
		g.Go(func() error { return c.live(ctx, n) })
	}
	err := g.Wait()
	if err == nil {
		c.say("sold      %d orders: one was paid twice, one cancelled, and one is for %s", c.orders, unknownProduct)
	}
	return err
}

// live is what happens to an order.
func (c *checker) live(ctx context.Context, n int) error {
	product := []string{"apple", "pear"}[n%2]
	if n == poison {
		product = unknownProduct
	}
	if err := c.post(ctx, n, "place", OrderPlaced{Product: product, Quantity: n + 1, Cents: 100 * (n + 1)}); err != nil {
		return err
	}
	if n == cancelled {
		return c.post(ctx, n, "cancel", OrderCancelled{Reason: "changed their mind"})
	}
	if n == twice { // At the same time, as a client does that did not hear the first answer.
		g, ctx := errgroup.WithContext(ctx)
		for range 2 {
			g.Go(func() error { return c.post(ctx, n, "pay", nil) })
		}
		if err := g.Wait(); err != nil {
			return err
		}
	} else if err := c.post(ctx, n, "pay", nil); err != nil {
		return err
	}
	if n == poison {
		return nil
	}
	return c.post(ctx, n, "ship", OrderShipped{Parcel: "P-" + c.id(n)})
}

// post sends a command with a key that is the same each time.
func (c *checker) post(ctx context.Context, n int, command string, body any) error {
	o, err := c.api.post(ctx, c.id(n), command, c.run, body)
	if err != nil {
		return fmt.Errorf("cannot %s order %s: %w", command, c.id(n), err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if o.Version >= c.placed[o.ID].Version {
		c.placed[o.ID] = o
	}
	return nil
}

// conflict sends commands that the orders do not take any more.
func (c *checker) conflict(ctx context.Context) error {
	_, err := c.api.post(ctx, c.id(twice), "pay", "another key", nil)
	if err := c.refused(err, http.StatusConflict, "an order was paid again"); err != nil {
		return err
	}
	_, err = c.api.post(ctx, c.id(cancelled), "pay", "another key", nil)
	return c.refused(err, http.StatusConflict, "a cancelled order was paid")
}

// reject sends what is no order at all.
func (c *checker) reject(ctx context.Context) error {
	_, err := c.api.post(ctx, c.id(c.orders), "place", c.run, OrderPlaced{Product: "apple"})
	return c.refused(err, http.StatusUnprocessableEntity, "no apples were ordered")
}

func (c *checker) refused(err error, code int, what string) error {
	answer, ok := errors.AsType[*apiError](err)
	if !ok || answer.Code != code {
		return fmt.Errorf("%s: the API says %v, want %d", what, err, code) //nolint:errorlint // It can be nil.
	}
	c.say("refused   %s: %s", what, answer)
	return nil
}
