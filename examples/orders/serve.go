package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/postgres"
)

// bindings are the folders with the connection Secrets.
type bindings struct {
	store, subscription              string // Of the orders.
	warehouse, warehouseSubscription string
}

//go:embed schema.sql
var schema string

// serve runs the whole service until ctx ends, or a part of it fails for good. All parts can be in one process, as here, or in
// several: they share nothing but the stores and the database.
func serve(ctx context.Context, log *slog.Logger, b bindings, database, addr string) error {
	db, err := connect(ctx, database)
	if err != nil {
		return err
	}
	defer db.Close()
	stores, err := openAll(ctx, b.store, b.subscription, b.warehouse, b.warehouseSubscription)
	if err != nil {
		return err
	}
	defer closeAll(stores)
	store, subscription, warehouse, warehouseSubscription := stores[0], stores[1], stores[2], stores[3]

	g, ctx := errgroup.WithContext(ctx)
	caughtUp := make(chan struct{})
	g.Go(func() error {
		return eventstore.Projection{View: readModel(db), CaughtUp: func() { close(caughtUp) }, Logger: log}.Run(ctx, store)
	})
	g.Go(func() error { return eventstore.Projection{View: shipping(db), Logger: log}.Run(ctx, store) })
	g.Go(func() error {
		return postgres.Relay{DB: db, Outbox: toWarehouse, Store: warehouse, Logger: log}.Run(ctx)
	})
	g.Go(func() error { return eventstore.Logged(subscription, log).Subscribe(ctx, bill(db)) })
	g.Go(func() error { return eventstore.Logged(warehouseSubscription, log).Subscribe(ctx, pick(db)) })
	g.Go(func() error { return listen(ctx, log, addr, &api{store: store, db: db, ready: caughtUp, log: log}) })
	return g.Wait()
}

// connect makes the tables where they are not there yet.
func connect(ctx context.Context, database string) (*pgxpool.Pool, error) {
	db, err := pgxpool.New(ctx, database)
	if err != nil {
		return nil, fmt.Errorf("cannot connect to PostgreSQL: %w", err)
	}
	if err = postgres.Create(ctx, db); err == nil {
		_, err = db.Exec(ctx, schema)
	}
	if err != nil {
		db.Close()
		return nil, fmt.Errorf("cannot make the tables: %w", err)
	}
	return db, nil
}

func openAll(ctx context.Context, folders ...string) (stores []eventstore.Store, err error) {
	for _, folder := range folders {
		s, err := eventstore.Open(ctx, os.DirFS(folder))
		if err != nil {
			closeAll(stores)
			return nil, fmt.Errorf("%s: %w", folder, err)
		}
		stores = append(stores, s)
	}
	return stores, nil
}

func closeAll(stores []eventstore.Store) {
	for _, s := range stores {
		_ = s.Close()
	}
}

// listen serves HTTP until ctx ends, and lets requests that have begun finish.
func listen(ctx context.Context, log *slog.Logger, addr string, a *api) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("cannot listen: %w", err)
	}
	log.InfoContext(ctx, "listening", "url", "http://"+l.Addr().String())
	server := &http.Server{Handler: a.handler(), ReadHeaderTimeout: 10 * time.Second}
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		grace, end := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer end()
		stopped <- server.Shutdown(grace)
	}()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}
