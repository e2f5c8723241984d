// Package otelstore traces and measures an event store with OpenTelemetry:
//
//	store, err := eventstore.Open(ctx, os.DirFS("/bindings/orders"))
//	store = otelstore.Wrap(store, "orders")
//
// Each append is a span, whose context goes with the events as the CloudEvents extension attributes traceparent and
// tracestate. Each call of a handler is a span that links to the one that appended the event, in whatever process that was:
// it is not its child, as an event can be handled years later, and by many. What the handler appends is part of its trace.
//
// Names follow OpenTelemetry's semantic conventions for messaging, version 1.41. Metrics: messaging.client.operation.duration,
// messaging.client.sent.messages, messaging.client.consumed.messages, messaging.process.duration, and one of our own:
// eventstore.process.lag, how many seconds ago an event was recorded when a handler gets it.
package otelstore

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

const scope = "github.com/crossplane-contrib/provider-eventstore/eventstore/otelstore"

// An Option changes what [Wrap] makes.
type Option func(*config)

type config struct {
	tracers    trace.TracerProvider
	meters     metric.MeterProvider
	attributes []attribute.KeyValue
}

// WithTracerProvider says who makes spans. Default: the global one.
func WithTracerProvider(p trace.TracerProvider) Option { return func(c *config) { c.tracers = p } }

// WithMeterProvider says who makes metrics. Default: the global one.
func WithMeterProvider(p metric.MeterProvider) Option { return func(c *config) { c.meters = p } }

// WithAttributes adds attributes to all spans and metrics, such as the subscription's name. They should have few values.
func WithAttributes(kv ...attribute.KeyValue) Option {
	return func(c *config) { c.attributes = append(c.attributes, kv...) }
}

// Wrap returns a store that does what store does, and traces and measures it. name is what spans and metrics call it.
func Wrap(store eventstore.Store, name string, opts ...Option) eventstore.Store {
	c := config{tracers: otel.GetTracerProvider(), meters: otel.GetMeterProvider()}
	for _, o := range opts {
		o(&c)
	}
	m, err := newMeters(c.meters.Meter(scope))
	if err != nil {
		otel.Handle(fmt.Errorf("cannot measure store %q: %w", name, err)) // What it refuses is not measured.
	}
	attributes := append([]attribute.KeyValue{
		semconv.MessagingSystemKey.String("eventstore"), semconv.MessagingDestinationName(name),
	}, c.attributes...)
	return &traced{Store: store, name: name, tracer: c.tracers.Tracer(scope), meters: m, attributes: attributes}
}

// SpanContext returns the context of the span that appended an event, so that a projection can link to it too. It is not
// valid if the event came without one.
func SpanContext(e eventstore.Event) trace.SpanContext {
	ctx := propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier(e.Metadata))
	return trace.SpanContextFromContext(ctx)
}

type traced struct {
	eventstore.Store
	name       string
	tracer     trace.Tracer
	meters     *meters
	attributes []attribute.KeyValue // of all spans and metrics
}

// Unwrap returns the store that is traced: see [eventstore.As].
func (s *traced) Unwrap() eventstore.Store { return s.Store }

// Append implements [eventstore.Appender].
func (s *traced) Append(ctx context.Context, id eventstore.StreamID, expected eventstore.Version, events ...eventstore.EventData) (eventstore.Version, error) {
	ctx, o := s.begin(ctx, "append", semconv.MessagingOperationTypeSend, trace.SpanKindProducer,
		semconv.CloudEventsEventSubject(id.String()))
	if len(events) == 1 {
		o.span.SetAttributes(semconv.CloudEventsEventType(events[0].Type))
	} else {
		o.span.SetAttributes(semconv.MessagingBatchMessageCount(len(events)))
	}
	v, err := s.Store.Append(ctx, id, expected, Carry(ctx, events...)...)
	o.end(ctx, err)
	s.meters.sent.Add(ctx, int64(len(events)), metric.WithAttributes(o.measured...))
	return v, err
}

// Carry returns events with the trace context of ctx in their metadata, save those that have one. A store that was wrapped does
// so by itself when it appends; an outbox, whose relay appends later, is given events that have it already.
func Carry(ctx context.Context, events ...eventstore.EventData) []eventstore.EventData {
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	if len(carrier) == 0 {
		return events
	}
	out := make([]eventstore.EventData, len(events))
	for i, e := range events {
		if _, ok := e.Metadata["traceparent"]; !ok {
			metadata := maps.Clone(map[string]string(carrier))
			maps.Copy(metadata, e.Metadata)
			e.Metadata = metadata
		}
		out[i] = e
	}
	return out
}

// Read implements [eventstore.Reader]. The span ends with the iteration.
func (s *traced) Read(ctx context.Context, id eventstore.StreamID, after eventstore.Version) iter.Seq2[eventstore.Event, error] {
	return func(yield func(eventstore.Event, error) bool) {
		ctx, o := s.begin(ctx, "read", semconv.MessagingOperationTypeReceive, trace.SpanKindClient, semconv.CloudEventsEventSubject(id.String()))
		n := 0
		var failed error
		defer func() {
			o.span.SetAttributes(semconv.MessagingBatchMessageCount(n))
			o.end(ctx, failed)
		}()
		for e, err := range s.Store.Read(ctx, id, after) {
			if failed = err; err == nil {
				n++
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// Subscribe implements [eventstore.Subscriber].
func (s *traced) Subscribe(ctx context.Context, h eventstore.Handler, opts ...eventstore.SubscribeOption) error {
	return s.Store.Subscribe(ctx, func(ctx context.Context, e eventstore.Event) (err error) {
		ctx, o := s.begin(ctx, "process", semconv.MessagingOperationTypeProcess, trace.SpanKindConsumer,
			semconv.CloudEventsEventSubject(e.Stream.String()), semconv.CloudEventsEventType(e.Type), semconv.MessagingMessageID(e.ID))
		if c := SpanContext(e); c.IsValid() {
			o.span.AddLink(trace.Link{SpanContext: c})
		}
		s.meters.lag.Record(ctx, max(0, o.begun.Sub(e.Recorded).Seconds()), metric.WithAttributes(o.measured...)) // Clocks may differ.
		if e.CorrelationID != "" {
			o.span.SetAttributes(semconv.MessagingMessageConversationID(e.CorrelationID))
		}
		err = errPanic // If h does not return.
		defer func() {
			o.end(ctx, err)
			s.meters.consumed.Add(ctx, 1, metric.WithAttributes(o.measured...))
		}()
		return h(ctx, e)
	}, opts...)
}

// operation is one span and one measurement.
type operation struct {
	span     trace.Span
	begun    time.Time
	duration metric.Float64Histogram
	measured []attribute.KeyValue
}

func (s *traced) begin(ctx context.Context, name string, typ attribute.KeyValue, kind trace.SpanKind, attributes ...attribute.KeyValue) (context.Context, *operation) {
	o := &operation{begun: time.Now(), duration: s.meters.operation}
	o.measured = append(o.measured, s.attributes...)
	o.measured = append(o.measured, semconv.MessagingOperationName(name), typ)
	if kind == trace.SpanKindConsumer {
		o.duration = s.meters.process
	}
	ctx, o.span = s.tracer.Start(ctx, name+" "+s.name, trace.WithSpanKind(kind), //nolint:spancheck // end ends it.
		trace.WithAttributes(o.measured...), trace.WithAttributes(attributes...))
	return ctx, o
}

// end records how it went. A conflict is not the store's failure: it has a type, but no status.
func (o *operation) end(ctx context.Context, err error) {
	if typ := errorType(err); typ != "" {
		o.measured = append(o.measured, semconv.ErrorTypeKey.String(typ))
		o.span.SetAttributes(semconv.ErrorTypeKey.String(typ))
		if typ != conflict {
			o.span.RecordError(err)
			o.span.SetStatus(codes.Error, err.Error())
		}
	}
	o.duration.Record(ctx, time.Since(o.begun).Seconds(), metric.WithAttributes(o.measured...))
	o.span.End()
}
