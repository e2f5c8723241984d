package eventstore_test

import (
	"context"
	"fmt"
	"sync"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/memory"
)

// Sales is a view: how many orders there are. In a database, Apply is one transaction:
//
//	UPDATE checkpoints SET at = $1 WHERE view = 'sales' AND at = $2 -- b.To.String(), b.From.String()
//	-- No row: return eventstore.ErrConcurrency.
//	UPDATE sales SET orders = orders + $3
type Sales struct {
	mu     sync.Mutex
	orders int
	at     eventstore.Checkpoint
}

func (s *Sales) Checkpoint(context.Context) (eventstore.Checkpoint, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at, nil
}

func (s *Sales) Apply(_ context.Context, b eventstore.Batch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at.String() != b.From.String() {
		return eventstore.ErrConcurrency
	}
	for _, e := range b.Events {
		if e.Type == "OrderPlaced" {
			s.orders++
		}
	}
	s.at = b.To
	return nil
}

func (s *Sales) Reset(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.orders, s.at = 0, nil
	return nil
}

func ExampleProjection() {
	ctx, stop := context.WithCancel(context.Background())
	store := memory.New()
	for n := range 5 {
		order := eventstore.StreamID{Type: "order", ID: fmt.Sprint(n)}
		_, _ = store.Append(ctx, order, 0, eventstore.EventData{Type: "OrderPlaced"})
	}

	sales := &Sales{}
	err := eventstore.Projection{View: sales, CaughtUp: func() {
		fmt.Println("orders:", sales.orders)
		stop() // A service tells its readiness probe, and runs until its context ends.
	}}.Run(ctx, store)
	fmt.Println("stopped:", err)
	// Output:
	// orders: 5
	// stopped: <nil>
}

func ExampleProjection_Rebuild() {
	ctx := context.Background()
	store := memory.New()
	order := eventstore.StreamID{Type: "order", ID: "42"}
	_, _ = store.Append(ctx, order, 0, eventstore.EventData{Type: "OrderPlaced"})

	wrong := &Sales{orders: 7} // What an old program left.
	err := eventstore.Projection{View: wrong}.Rebuild(ctx, store)
	fmt.Println(wrong.orders, err)
	// Output: 1 <nil>
}

// A checkpoint is kept as text.
func ExampleCheckpoint() {
	at, err := eventstore.ParseCheckpoint("0@17 3@5")
	fmt.Println(at.With(eventstore.Position{Partition: 3, Offset: "6"}), err)
	// Output: 0@17 3@6 <nil>
}
