// Orders is an order service on an event store: a command API, a read model, billing, and a warehouse with a store of its own. It
// works on any backend: the connection Secrets decide. README.md has the whole picture.
//
//	orders serve --binding DIR --subscription-binding DIR --warehouse-binding DIR --warehouse-subscription-binding DIR --postgres URL
//	orders check --binding DIR --warehouse-binding DIR --warehouse-subscription-binding DIR [--url URL]
//	orders replay --binding DIR [--order ID | --since TIME]
//	orders dead-letters --warehouse-subscription-binding DIR
//	orders redrive --warehouse-subscription-binding DIR --postgres URL
//	orders rebuild --binding DIR --postgres URL
//	orders tour --binding DIR [--subscription-binding DIR]
//
// DIR is a folder with a mounted connection Secret.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	_ "github.com/crossplane-contrib/provider-eventstore/eventstore/kafka"
	_ "github.com/crossplane-contrib/provider-eventstore/eventstore/pulsar"
	_ "github.com/crossplane-contrib/provider-eventstore/eventstore/redis"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Stdout, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "orders:", err)
		os.Exit(1) //nolint:gocritic // The process ends, and its deferred calls with it.
	}
}

// options are the flags of all commands.
type options struct {
	bindings

	database, listen, url, order string
	since                        time.Time
	orders                       int
	timeout                      time.Duration
}

func (o *options) flags(command string) *flag.FlagSet {
	f := flag.NewFlagSet("orders "+command, flag.ContinueOnError)
	f.StringVar(&o.store, "binding", "", "folder with the connection Secret of the orders' store")
	f.StringVar(&o.subscription, "subscription-binding", "", "folder with that of a subscription of it, for billing")
	f.StringVar(&o.warehouse, "warehouse-binding", "", "folder with that of the warehouse's store")
	f.StringVar(&o.warehouseSubscription, "warehouse-subscription-binding", "", "folder with that of a subscription of it")
	f.StringVar(&o.database, "postgres", os.Getenv("DATABASE_URL"), "URL of the PostgreSQL database; default: the environment's DATABASE_URL")
	f.StringVar(&o.listen, "listen", "127.0.0.1:8080", "address that serve listens on")
	f.StringVar(&o.url, "url", "http://127.0.0.1:8080", "where check finds the API")
	f.StringVar(&o.order, "order", "", "replay this order only")
	f.TextVar(&o.since, "since", time.Time{}, "replay what was recorded at this time or later, such as 2026-11-20T08:00:00Z")
	f.IntVar(&o.orders, "orders", 20, "how many orders check places, at least 5")
	f.DurationVar(&o.timeout, "timeout", 3*time.Minute, "how long check and tour may take")
	return f
}

// A command says which flags it needs, and what it does.
type command struct {
	needs []string
	run   func(ctx context.Context, out io.Writer, o options) error
}

var commands = map[string]command{
	"serve": {
		needs: []string{"binding", "subscription-binding", "warehouse-binding", "warehouse-subscription-binding", "postgres"},
		run: func(ctx context.Context, _ io.Writer, o options) error {
			return serve(ctx, slog.New(slog.NewTextHandler(os.Stderr, nil)), o.bindings, o.database, o.listen)
		},
	},
	"check": {
		needs: []string{"binding", "warehouse-binding", "warehouse-subscription-binding"},
		run: func(ctx context.Context, out io.Writer, o options) error {
			ctx, stop := context.WithTimeoutCause(ctx, o.timeout, fmt.Errorf("it took longer than %s", o.timeout))
			defer stop()
			return check(ctx, out, o.bindings, o.url, max(o.orders, 5))
		},
	},
	"replay": {
		needs: []string{"binding"},
		run: func(ctx context.Context, out io.Writer, o options) error {
			return with(ctx, o.store, func(s eventstore.Store) error {
				if o.order != "" {
					return replayOrder(ctx, out, s, o.order)
				}
				return replayAll(ctx, out, s, o.since)
			})
		},
	},
	"dead-letters": {
		needs: []string{"warehouse-subscription-binding"},
		run: func(ctx context.Context, out io.Writer, o options) error {
			return with(ctx, o.warehouseSubscription, func(s eventstore.Store) error { return deadLetters(ctx, out, s) })
		},
	},
	"redrive": {
		needs: []string{"warehouse-subscription-binding", "postgres"},
		run: func(ctx context.Context, out io.Writer, o options) error {
			return with(ctx, o.warehouseSubscription, func(s eventstore.Store) error { return redrive(ctx, out, s, o.database) })
		},
	},
	"rebuild": {
		needs: []string{"binding", "postgres"},
		run: func(ctx context.Context, out io.Writer, o options) error {
			return with(ctx, o.store, func(s eventstore.Store) error { return rebuild(ctx, out, s, o.database) })
		},
	},
	"tour": {
		needs: []string{"binding"},
		run: func(ctx context.Context, out io.Writer, o options) error {
			ctx, stop := context.WithTimeoutCause(ctx, o.timeout, fmt.Errorf("it took longer than %s", o.timeout))
			defer stop()
			return tour(ctx, out, o.store, o.subscription)
		},
	},
}

func run(ctx context.Context, out io.Writer, args []string) error {
	known := strings.Join(slices.Sorted(maps.Keys(commands)), ", ")
	if len(args) == 0 {
		return fmt.Errorf("say one of %s; each shows its flags with --help", known)
	}
	c, ok := commands[args[0]]
	if !ok {
		return fmt.Errorf("there is no command %q, only %s", args[0], known)
	}
	var o options
	f := o.flags(args[0])
	if err := f.Parse(args[1:]); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	for _, name := range c.needs {
		if f.Lookup(name).Value.String() == "" {
			return fmt.Errorf("%s needs --%s", args[0], strings.Join(c.needs, ", --"))
		}
	}
	if f.NArg() > 0 {
		return fmt.Errorf("%q is one argument too many", f.Arg(0))
	}
	return c.run(ctx, out, o)
}

// with opens a store for as long as f needs it.
func with(ctx context.Context, folder string, f func(eventstore.Store) error) error {
	store, err := eventstore.Open(ctx, os.DirFS(folder))
	if err != nil {
		return err
	}
	defer store.Close()
	return f(store)
}
