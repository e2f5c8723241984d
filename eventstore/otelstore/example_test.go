package otelstore_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/jackc/pgx/v5"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/otelstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/postgres"
)

func ExampleWrap() {
	ctx := context.Background()
	store, err := eventstore.Open(ctx, os.DirFS("/bindings/billing"))
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	options := []otelstore.Option{
		otelstore.WithTracerProvider(otel.GetTracerProvider()), // As it is without these two.
		otelstore.WithMeterProvider(otel.GetMeterProvider()),
		otelstore.WithAttributes(attribute.String("messaging.consumer.group.name", "billing")),
	}
	store = otelstore.Wrap(store, "orders", options...)
	err = store.Subscribe(ctx, func(context.Context, eventstore.Event) error { return nil })
	if err != nil {
		log.Fatal(err)
	}
}

// A projection reads events by itself: its span links to those that appended them.
func ExampleSpanContext() {
	project := func(ctx context.Context, events []eventstore.Event) {
		var links []trace.Link
		for _, e := range events {
			if appended := otelstore.SpanContext(e); appended.IsValid() {
				links = append(links, trace.Link{SpanContext: appended})
			}
		}
		_, span := otel.Tracer("sales").Start(ctx, "project", trace.WithLinks(links...))
		defer span.End()
		fmt.Println(len(links), "of", len(events), "events have a trace")
	}
	project(context.Background(), []eventstore.Event{
		{Type: "OrderPlaced", Metadata: map[string]string{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}},
		{Type: "OrderPaid"},
	})
	// Output: 1 of 2 events have a trace
}

// A relay appends what an outbox has, in a trace of its own: what goes into the outbox carries that of the command.
func ExampleCarry() {
	orders := postgres.Outbox{Name: "orders"}
	pay := func(ctx context.Context, tx pgx.Tx, order eventstore.StreamID) error {
		return orders.Append(ctx, tx, order, otelstore.Carry(ctx, eventstore.EventData{Type: "OrderPaid"})...)
	}
	_ = pay
}
