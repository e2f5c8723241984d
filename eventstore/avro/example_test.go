package avro_test

import (
	"context"
	"fmt"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/avro"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/memory"
)

type OrderPlaced struct {
	Total    int64  `avro:"total"`
	Currency string `avro:"currency"`
}

// The second schema has a field more than the first, with a default. What the first wrote is read with it.
func Example() {
	const schema1 = `{"type": "record", "name": "OrderPlaced", "fields": [{"name": "total", "type": "long"}]}`
	const schema2 = `{"type": "record", "name": "OrderPlaced", "fields": [
		{"name": "total", "type": "long"}, {"name": "currency", "type": "string", "default": "EUR"}]}`
	before := eventstore.NewTypes(eventstore.TypeOf[OrderPlaced]("OrderPlaced", eventstore.WithCodec(avro.MustNew(schema1))))
	now := eventstore.NewTypes(eventstore.TypeOf[OrderPlaced]("OrderPlaced", eventstore.WithCodec(avro.MustNew(schema2, schema1))))

	ctx := context.Background()
	store := memory.New()
	order := eventstore.StreamID{Type: "order", ID: "42"}
	events, _ := before.Encode(OrderPlaced{Total: 7})
	_, _ = store.Append(ctx, order, 0, events...)
	for e := range store.Read(ctx, order, 0) {
		placed, err := now.Decode(e)
		fmt.Printf("%+v %v\n", placed, err)
	}
	// Output: {Total:7 Currency:EUR} <nil>
}
