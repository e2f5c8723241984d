// Tutorial is the bank of docs/tutorial.md.
//
//	tutorial --binding DIR open ann alice | deposit ann 500 | withdraw ann 200 | wealth | notices
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strconv"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	_ "github.com/crossplane-contrib/provider-eventstore/eventstore/kafka"
	_ "github.com/crossplane-contrib/provider-eventstore/eventstore/pulsar"
	_ "github.com/crossplane-contrib/provider-eventstore/eventstore/redis"
)

func main() {
	binding := flag.String("binding", "", "folder with the connection Secret")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *binding, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "tutorial:", err)
		os.Exit(1) //nolint:gocritic // The process ends, and its deferred calls with it.
	}
}

var errUsage = errors.New("say one of: open ACCOUNT OWNER, deposit ACCOUNT CENTS, withdraw ACCOUNT CENTS, wealth, notices")

func run(ctx context.Context, binding string, args []string) error {
	store, err := eventstore.Open(ctx, os.DirFS(binding))
	if err != nil {
		return err
	}
	defer store.Close()
	switch {
	case len(args) == 1 && args[0] == "wealth":
		return wealth(ctx, store)
	case len(args) == 1 && args[0] == "notices":
		return store.Subscribe(ctx, notify)
	case len(args) == 3 && args[0] == "open":
		return execute(ctx, store, args[1], open(args[2]))
	case len(args) == 3:
		cents, err := strconv.Atoi(args[2])
		switch {
		case err != nil || cents <= 0:
			return fmt.Errorf("%q are no cents: a whole number above zero", args[2])
		case args[0] == "deposit":
			return execute(ctx, store, args[1], deposit(cents))
		case args[0] == "withdraw":
			return execute(ctx, store, args[1], withdraw(cents))
		}
	}
	return errUsage
}

// execute loads the account, decides, and appends; if somebody else was faster, from the start.
func execute(ctx context.Context, store eventstore.Store, id string, decide func(Account) ([]eventstore.EventData, error)) error {
	a, err := accounts.Execute(ctx, store, id, decide)
	if err != nil {
		return err
	}
	fmt.Printf("%s of %s has %d cents\n", id, a.Owner, a.Balance)
	return nil
}

// wealth builds the view once, and prints it.
func wealth(ctx context.Context, store eventstore.Store) error {
	w := &Wealth{}
	if err := (eventstore.Projection{View: w}).Rebuild(ctx, store); err != nil {
		return err
	}
	for _, owner := range slices.Sorted(maps.Keys(w.cents)) {
		fmt.Printf("%s has %d cents\n", owner, w.cents[owner])
	}
	return nil
}

// notify handles one event of the subscription. An error has it called again, after a pause.
func notify(_ context.Context, e eventstore.Event) error {
	fmt.Printf("dear owner of %s: %s %s\n", e.Stream.ID, e.Type, e.Data)
	return nil
}
