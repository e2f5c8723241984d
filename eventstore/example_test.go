package eventstore_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/memory"
)

// Account is an object that is rebuilt from its events.
type Account struct{ Balance int }

var accounts = eventstore.Aggregate[Account]{
	Type: "account",
	Evolve: func(a Account, e eventstore.Event) (Account, error) {
		var amount int
		err := e.Decode(&amount)
		return Account{Balance: a.Balance + amount}, err
	},
	Snapshot: eventstore.EveryEvents(100),
}

func Example() {
	ctx := context.Background()
	store := memory.New() // On a broker: eventstore.Open(ctx, os.DirFS("/bindings/bank"))
	defer store.Close()

	withdraw := func(amount int) func(Account) ([]eventstore.EventData, error) {
		return func(a Account) ([]eventstore.EventData, error) {
			if a.Balance < amount {
				return nil, fmt.Errorf("%d is more than there is: %d", amount, a.Balance)
			}
			return []eventstore.EventData{{Type: "Withdrawn", Data: -amount}}, nil
		}
	}
	deposit := func(Account) ([]eventstore.EventData, error) {
		return []eventstore.EventData{{Type: "Deposited", Data: 50}}, nil
	}
	for _, command := range []func(Account) ([]eventstore.EventData, error){deposit, withdraw(20), withdraw(40)} {
		account, err := accounts.Execute(ctx, store, "ada", command)
		fmt.Println(account.Balance, err)
	}
	// Output:
	// 50 <nil>
	// 30 <nil>
	// 30 40 is more than there is: 30
}

func ExampleOpen() {
	ctx := context.Background()
	store, err := eventstore.Open(ctx, os.DirFS("/bindings/orders"))
	if err != nil {
		fmt.Println("no store")
		return
	}
	defer store.Close()
	// Output: no store
}

func ExampleAppender() {
	ctx := context.Background()
	store := memory.New()
	order := eventstore.StreamID{Type: "order", ID: "42"}

	version, err := store.Append(ctx, order, 0, eventstore.EventData{Type: "OrderPlaced", Data: map[string]int{"total": 7}})
	fmt.Println(version, err)
	version, err = store.Append(ctx, order, version,
		eventstore.EventData{Type: "OrderPaid"}, eventstore.EventData{Type: "OrderShipped"}) // Both or neither.
	fmt.Println(version, err)
	// Output:
	// 1 <nil>
	// 3 <nil>
}

func ExampleConcurrencyError() {
	order := eventstore.StreamID{Type: "order", ID: "42"}
	_, err := memory.New().Append(context.Background(), order, 7, eventstore.EventData{Type: "OrderPaid"})
	if c, ok := errors.AsType[*eventstore.ConcurrencyError](err); ok {
		fmt.Println("reload from version", c.Actual)
	}
	// Output: reload from version 0
}

// Events that were prepared keep their ids, so the append can be repeated until its outcome is known.
func ExamplePrepare() {
	ctx := context.Background()
	store := memory.New()
	order := eventstore.StreamID{Type: "order", ID: "42"}

	events, err := eventstore.Prepare(eventstore.EventData{Type: "OrderPlaced"})
	if err != nil {
		return
	}
	for range 3 { // As if replies were lost.
		version, err := store.Append(ctx, order, 0, events...)
		fmt.Println(version, err)
	}
	// Output:
	// 1 <nil>
	// 1 <nil>
	// 1 <nil>
}

func ExampleReader() {
	ctx := context.Background()
	store := memory.New()
	order := eventstore.StreamID{Type: "order", ID: "42"}
	_, _ = store.Append(ctx, order, 0, eventstore.EventData{Type: "OrderPlaced", Data: "tea"}, eventstore.EventData{Type: "OrderPaid"})

	for e, err := range store.Read(ctx, order, 0) {
		if err != nil {
			fmt.Println(err)
			break
		}
		fmt.Println(e.Version, e.Type, string(e.Data))
	}
	// Output:
	// 1 OrderPlaced "tea"
	// 2 OrderPaid
}

// A replay that was cut goes on from the positions that were seen.
func ExampleReader_replay() {
	ctx := context.Background()
	store := memory.New()
	for n := range 5 {
		order := eventstore.StreamID{Type: "order", ID: fmt.Sprint(n)}
		_, _ = store.Append(ctx, order, 0, eventstore.EventData{ID: fmt.Sprint("event ", n), Type: "OrderPlaced"})
	}

	checkpoint := map[int]eventstore.Position{}
	for e := range store.Replay(ctx, eventstore.Start{}) {
		checkpoint[e.Position.Partition] = e.Position
		if e.ID == "event 2" {
			break
		}
	}
	var from eventstore.Start
	for _, p := range checkpoint {
		from.After = append(from.After, p)
	}
	for e := range store.Replay(ctx, from) {
		fmt.Println(e.ID)
	}
	// Output:
	// event 3
	// event 4
}

func ExampleSubscriber() {
	ctx, stop := context.WithCancel(context.Background())
	store := memory.New() // On a broker: the Secret of a Subscription.
	order := eventstore.StreamID{Type: "order", ID: "42"}
	_, _ = store.Append(ctx, order, 0, eventstore.EventData{Type: "OrderPlaced"}, eventstore.EventData{Type: "OrderPaid"})

	var handled atomic.Int32
	err := store.Subscribe(ctx, func(_ context.Context, e eventstore.Event) error {
		fmt.Println(e.Stream, e.Version, e.Type)
		if handled.Add(1) == 2 {
			stop() // A service runs until its context ends.
		}
		return nil
	})
	fmt.Println("stopped:", err)
	// Output:
	// order/42 1 OrderPlaced
	// order/42 2 OrderPaid
	// stopped: <nil>
}

func ExamplePermanent() {
	ctx, stop := context.WithCancel(context.Background())
	store := memory.New()
	order := eventstore.StreamID{Type: "order", ID: "42"}
	_, _ = store.Append(ctx, order, 0, eventstore.EventData{Type: "OrderPlaced"}, eventstore.EventData{Type: "OrderPaid"})

	_ = store.Subscribe(ctx, func(_ context.Context, e eventstore.Event) error {
		if e.Type == "OrderPlaced" {
			return eventstore.Permanent(errors.New("no such customer")) // Not worth a retry.
		}
		stop()
		return nil
	})
	for letter, err := range store.DeadLetters(ctx) {
		fmt.Println(letter.Event.Type, letter.Reason, err)
	}
	// Output: OrderPlaced no such customer <nil>
}
