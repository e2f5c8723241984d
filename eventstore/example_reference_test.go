package eventstore_test

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/memory"
)

// What a caller can act on has a name; everything else is for a log.
func ExampleAppender_errors() {
	place := func(store eventstore.Appender, order eventstore.StreamID) string {
		_, err := store.Append(context.Background(), order, 0, eventstore.EventData{Type: "OrderPlaced", Data: make([]byte, 1000)})
		switch {
		case err == nil:
			return "placed"
		case errors.Is(err, eventstore.ErrConcurrency):
			return "somebody else was faster: load again, decide again"
		case errors.Is(err, eventstore.ErrUnknownOutcome):
			return "the reply was lost: repeat it with the same ids"
		case errors.Is(err, eventstore.ErrTooLarge):
			return "never: the event is too large"
		case errors.Is(err, eventstore.ErrUnsupported):
			return "never: this store forgets, or this Secret only reads"
		case errors.Is(err, eventstore.ErrHistoryLost):
			return "a person must look"
		case errors.Is(err, eventstore.ErrRestart):
			return "the Secret is about another store now: end the process"
		}
		return "the broker is not there, perhaps: " + err.Error()
	}
	order := eventstore.StreamID{Type: "order", ID: "42"}
	store := memory.New()
	fmt.Println(place(store, order))
	fmt.Println(place(store, order))
	fmt.Println(place(memory.New(memory.WithMaxEventBytes(500)), order))
	fmt.Println(place(memory.New(memory.WithStreaming()), order))
	// Output:
	// placed
	// somebody else was faster: load again, decide again
	// never: the event is too large
	// never: this store forgets, or this Secret only reads
}

// Measurements need no expected version, and a streaming store takes no other.
func ExampleAny() {
	store := memory.New(memory.WithStreaming())
	sensor := eventstore.StreamID{Type: "sensor", ID: "7"}
	_, err := store.Append(context.Background(), sensor, eventstore.Any, eventstore.EventData{Type: "Measured", Data: 21.5})
	fmt.Println(err)
	// Output: <nil>
}

// A service that does not mount its Secret, but reads it from somewhere else.
func ExampleOpenSecret() {
	secret := eventstore.Secret{
		"type": []byte("eventstore"), "provider": []byte("memory"), "store": []byte("shop.orders"), "partitions": []byte("6"),
	}
	fmt.Println(secret, secret.Get("store")) // It never prints itself: there are passwords in others.

	var store eventstore.Store
	store, err := eventstore.OpenSecret(context.Background(), secret)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer store.Close()
	err = store.Subscribe(context.Background(), nil)
	fmt.Println(errors.Is(err, eventstore.ErrUnsupported)) // That takes the Secret of a Subscription.
	// Output:
	// Secret(4 keys) shop.orders
	// true
}

// A service that restarts often, on a log that is long.
func ExampleWithIndex() {
	secret := eventstore.Secret{
		"type": []byte("eventstore"), "provider": []byte("memory"), "store": []byte("shop.orders"), "partitions": []byte("6"),
	}
	opts := []eventstore.OpenOption{eventstore.WithIndex("/var/lib/orders")} // On a volume that outlives the pod.
	store, err := eventstore.OpenSecret(context.Background(), secret, opts...)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(store.Close())
	// Output: <nil>
}

// [Aggregate] does this by itself.
func ExampleSnapshots() {
	ctx := context.Background()
	store := memory.New()
	order := eventstore.StreamID{Type: "order", ID: "42"}

	_, err := store.LoadSnapshot(ctx, order)
	fmt.Println(errors.Is(err, eventstore.ErrNotFound))

	err = store.SaveSnapshot(ctx, eventstore.Snapshot{Stream: order, Version: 100, Data: []byte(`{"total":7}`), Schema: "2"})
	snapshot, _ := store.LoadSnapshot(ctx, order)
	fmt.Println(snapshot.Version, string(snapshot.Data), err)
	// Output:
	// true
	// 100 {"total":7} <nil>
}

func ExampleAggregate_Load() {
	ctx := context.Background()
	store := memory.New()
	ada := eventstore.StreamID{Type: "account", ID: "ada"}
	_, _ = store.Append(ctx, ada, 0, eventstore.EventData{Type: "Deposited", Data: 50}, eventstore.EventData{Type: "Withdrawn", Data: -20})

	account, version, err := accounts.Load(ctx, store, "ada")
	fmt.Println(account.Balance, version, err)
	// Output: 30 2 <nil>
}

// Options change for one consumer what the Subscription resource says.
func ExampleSubscribeOption() {
	ctx, stop := context.WithCancel(context.Background())
	store := memory.New()
	order := eventstore.StreamID{Type: "order", ID: "42"}
	_, _ = store.Append(ctx, order, 0, eventstore.EventData{Type: "OrderPlaced"})

	patient := []eventstore.SubscribeOption{
		eventstore.WithMaxDeliveries(20),
		eventstore.WithBackoff(time.Millisecond, time.Minute), // 1ms, 2ms, 4ms, … 1m
		eventstore.WithConcurrency(100),
		eventstore.WithGrace(30 * time.Second),
	}
	deliveries := 0
	_ = store.Subscribe(ctx, func(context.Context, eventstore.Event) error {
		if deliveries++; deliveries < 3 {
			return errors.New("the warehouse does not answer")
		}
		stop()
		return nil
	}, patient...)
	fmt.Println("deliveries:", deliveries)
	// Output: deliveries: 3
}

// What holds where neither the Subscription nor an option says something else.
func ExampleDelivery() {
	d := eventstore.DefaultDelivery()
	fmt.Println(d.MaxDeliveries, d.Backoff(1), d.Backoff(4), d.Backoff(100))
	_, err := d.With(eventstore.WithConcurrency(0))
	fmt.Println(err)
	// Output:
	// 5 1s 8s 30s
	// cannot subscribe: concurrency must be at least 1
}

// Handlers are wrapped like those of net/http.
func ExampleHandler() {
	within := func(d time.Duration, h eventstore.Handler) eventstore.Handler {
		return func(ctx context.Context, e eventstore.Event) error {
			ctx, cancel := context.WithTimeout(ctx, d)
			defer cancel()
			return h(ctx, e)
		}
	}
	h := within(time.Minute, func(ctx context.Context, e eventstore.Event) error {
		_, limited := ctx.Deadline()
		fmt.Println(e.Type, limited)
		return nil
	})
	_ = h(context.Background(), eventstore.Event{Type: "OrderPlaced"})
	// Output: OrderPlaced true
}

// Dead letters are listed with the Secret of the subscription that gave them up.
func ExampleDeadLetterReader() {
	list := func(ctx context.Context, sub eventstore.Subscriber) {
		r, ok := sub.(eventstore.DeadLetterReader)
		if !ok {
			return
		}
		for letter, err := range r.DeadLetters(ctx) {
			if err != nil {
				fmt.Println(err)
				return
			}
			report(letter)
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	store := memory.New()
	order := eventstore.StreamID{Type: "order", ID: "42"}
	_, _ = store.Append(ctx, order, 0, eventstore.EventData{Type: "OrderPlaced"}, eventstore.EventData{Type: "OrderPaid"})
	_ = store.Subscribe(ctx, func(_ context.Context, e eventstore.Event) error {
		if e.Type == "OrderPaid" {
			stop()
			return nil
		}
		return eventstore.Permanent(errors.New("no such customer"))
	})
	list(context.Background(), store)
	// Output: order/42 version 1: no such customer (1 attempts)
}

// What was given up is handed out once more when its cause is mended.
func ExampleRedriver() {
	ctx, stop := context.WithCancel(context.Background())
	store := memory.New()
	order := eventstore.StreamID{Type: "order", ID: "42"}
	_, _ = store.Append(ctx, order, 0, eventstore.EventData{Type: "OrderPlaced"}, eventstore.EventData{Type: "OrderPaid"})
	customers := map[string]bool{}
	handle := func(_ context.Context, e eventstore.Event) error {
		if e.Type == "OrderPlaced" && !customers["alice"] {
			return eventstore.Permanent(errors.New("no such customer"))
		}
		fmt.Println("handled", e.Type)
		if e.Type == "OrderPaid" {
			stop()
		}
		return nil
	}
	_ = store.Subscribe(ctx, handle)

	customers["alice"] = true
	if r, ok := eventstore.As[eventstore.Redriver](store); ok {
		fmt.Println(r.Redrive(context.Background(), handle))
	}
	// Output:
	// handled OrderPaid
	// handled OrderPlaced
	// 1 <nil>
}

func report(l eventstore.DeadLetter) {
	fmt.Printf("%s version %d: %s (%d attempts)\n", l.Event.Stream, l.Event.Version, l.Reason, l.Attempts)
}

func ExampleIsPermanent() {
	err := fmt.Errorf("cannot ship: %w", eventstore.Permanent(errors.New("no such customer")))
	fmt.Println(eventstore.IsPermanent(err), err)
	// Output: true cannot ship: no such customer
}

func ExampleParseStreamID() {
	order, err := eventstore.ParseStreamID("order/2026/42")
	fmt.Println(order.Type, order.ID, err)
	fmt.Println(eventstore.StreamID{Type: "order"}.Validate())
	// Output:
	// order 2026/42 <nil>
	// cannot use stream "order/": it needs a type and an id, as in order/42
}

func ExampleParsePosition() {
	at, err := eventstore.ParsePosition("3@1700000000000-0")
	fmt.Println(at.Partition, at, err)
	// Output: 3 3@1700000000000-0 <nil>
}

// Gob is a codec of your own.
type Gob struct{}

func (Gob) ContentType() string { return "application/x-gob" }

func (Gob) Marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	err := gob.NewEncoder(&b).Encode(v)
	return b.Bytes(), err
}

func (Gob) Unmarshal(data []byte, v any) error {
	return gob.NewDecoder(bytes.NewReader(data)).Decode(v)
}

// A type that changes its codec goes on reading what was written with the old one.
func ExampleCodec() {
	var compact eventstore.Codec = Gob{}
	options := []eventstore.TypeOption{eventstore.WithCodec(compact, eventstore.JSON)}
	list := []eventstore.EventType{
		eventstore.TypeOf[OrderPlaced]("OrderPlaced", options...),
		eventstore.TypeOf[OrderPaid]("OrderPaid"),
	}
	events := eventstore.NewTypes(list...)

	now, _ := events.Encode(OrderPlaced{Total: 7})
	data, _ := now[0].Data.([]byte)
	for _, e := range []eventstore.Event{
		{Type: "OrderPlaced", ContentType: "application/json", Data: []byte(`{"Total":5}`)},
		{Type: "OrderPlaced", ContentType: now[0].ContentType, Data: data},
	} {
		v, err := events.Decode(e)
		fmt.Println(v, err)
	}
	// Output:
	// {5} <nil>
	// {7} <nil>
}

// local opens every store in memory, whatever the Secret says beside its name and partitions.
type local struct{}

func (local) Open(_ context.Context, b eventstore.Binding) (eventstore.Store, error) {
	return memory.New(memory.WithPartitions(b.Partitions)), nil
}

// A driver registers itself when it is imported, as in database/sql.
func ExampleDriver() {
	var d eventstore.Driver = local{}
	eventstore.Register("local", d)
	fmt.Println(eventstore.Drivers())
	// Output: [captured local memory]
}

// following is a driver that connects with the Secret of the moment.
type following struct{ connect func(eventstore.Secret) }

func (f following) Open(_ context.Context, b eventstore.Binding) (eventstore.Store, error) {
	s, err := b.Current() // For each connection: a password may have changed since.
	if err != nil {
		return nil, err
	}
	f.connect(s)
	return memory.New(), nil
}

// A driver asks for the Secret whenever it connects.
func ExampleBinding_Current() {
	d := following{func(s eventstore.Secret) { fmt.Println("log in as", s.Get("username")) }}
	_, _ = d.Open(context.Background(), eventstore.Binding{Secret: eventstore.Secret{"username": []byte("es:shop.orders")}})
	// Output: log in as es:shop.orders
}

// A batch job brings a view up to date, and ends.
func ExampleProjection_CatchUp() {
	ctx := context.Background()
	store := memory.New()
	sales := &Sales{}
	for n := range 3 {
		order := eventstore.StreamID{Type: "order", ID: fmt.Sprint(n)}
		_, _ = store.Append(ctx, order, 0, eventstore.EventData{Type: "OrderPlaced"})
		err := eventstore.Projection{View: sales}.CatchUp(ctx, store)
		fmt.Println(sales.orders, err)
	}
	// Output:
	// 1 <nil>
	// 2 <nil>
	// 3 <nil>
}
