package eventstore_test

import (
	"context"
	"log/slog"
	"os"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/memory"
)

func ExampleLogged() {
	l := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: withoutTime}))
	store := eventstore.Logged(memory.New(), l)
	order := eventstore.StreamID{Type: "order", ID: "42"}
	_, _ = store.Append(context.Background(), order, 0, eventstore.EventData{Type: "OrderPlaced"})
	// Output: level=DEBUG msg=append stream=order/42 expected=0 events=1 version=1
}

// Whatever wraps a store, what it can do beside is found.
func ExampleAs() {
	store := eventstore.Logged(memory.New(), slog.Default())
	letters, ok := eventstore.As[eventstore.DeadLetterReader](store)
	if !ok {
		return // The driver keeps no dead letters.
	}
	for range letters.DeadLetters(context.Background()) {
	}
	// Output:
}
