package otelstore_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/memory"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/otelstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/storetest"
)

var order42 = eventstore.StreamID{Type: "order", ID: "42"}

// wrapped is a store with what was recorded of it.
type wrapped struct {
	eventstore.Store
	spans   *tracetest.InMemoryExporter
	tracers *sdktrace.TracerProvider
	metrics *sdkmetric.ManualReader
}

func wrap(t *testing.T, store eventstore.Store) wrapped {
	t.Helper()
	w := wrapped{spans: tracetest.NewInMemoryExporter(), metrics: sdkmetric.NewManualReader()}
	w.tracers = sdktrace.NewTracerProvider(sdktrace.WithSyncer(w.spans))
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(w.metrics))
	w.Store = otelstore.Wrap(store, "orders", otelstore.WithTracerProvider(w.tracers), otelstore.WithMeterProvider(meters),
		otelstore.WithAttributes(attribute.String("team", "shop")))
	return w
}

// span returns the only span of a name.
func (w wrapped) span(t *testing.T, name string) tracetest.SpanStub {
	t.Helper()
	var found tracetest.SpanStubs
	for _, s := range w.spans.GetSpans() {
		if s.Name == name {
			found = append(found, s)
		}
	}
	if len(found) != 1 {
		t.Fatalf("there are %d spans named %q, want 1", len(found), name)
	}
	return found[0]
}

func attributes(kvs []attribute.KeyValue) map[string]string {
	m := map[string]string{}
	for _, kv := range kvs {
		m[string(kv.Key)] = kv.Value.String()
	}
	return m
}

func with(extra map[string]string) map[string]string {
	m := map[string]string{"messaging.system": "eventstore", "messaging.destination.name": "orders", "team": "shop"}
	maps.Copy(m, extra)
	return m
}

// The trace goes from a request through the log to the handler, and on to what the handler appends.
func TestTraceGoesThroughTheLog(t *testing.T) {
	w := wrap(t, memory.New())
	ctx, request := w.tracers.Tracer("test").Start(t.Context(), "request")
	if _, err := w.Append(ctx, order42, 0, eventstore.EventData{ID: "e1", Type: "OrderPlaced", CorrelationID: "c1"}); err != nil {
		t.Fatal(err)
	}
	request.End()

	sub, stop := context.WithCancel(t.Context())
	var handler trace.SpanContext
	err := w.Subscribe(sub, func(ctx context.Context, e eventstore.Event) error {
		if e.Type == "OrderPlaced" {
			handler = trace.SpanContextFromContext(ctx)
			_, err := w.Append(ctx, order42, 1, eventstore.EventData{Type: "OrderPaid"}, eventstore.EventData{Type: "OrderShipped"})
			return err
		}
		stop()
		return errors.New("so that only one succeeds")
	})
	if err != nil {
		t.Fatal(err)
	}

	var produced, reaction, processed tracetest.SpanStub
	for _, s := range w.spans.GetSpans() {
		switch a := attributes(s.Attributes); {
		case s.Name == "append orders" && a["cloudevents.event_type"] == "OrderPlaced":
			produced = s
		case s.Name == "append orders":
			reaction = s
		case s.Name == "process orders" && a["cloudevents.event_type"] == "OrderPlaced":
			processed = s
		}
	}
	if produced.SpanKind != trace.SpanKindProducer || produced.Parent.SpanID() != request.SpanContext().SpanID() {
		t.Errorf("the append is a %s with parent %s, want a producer within the request", produced.SpanKind, produced.Parent.SpanID())
	}
	if processed.SpanKind != trace.SpanKindConsumer || len(processed.Links) != 1 || processed.Links[0].SpanContext.SpanID() != produced.SpanContext.SpanID() {
		t.Errorf("the handler's span is a %s with links %v, want a consumer linked to %s", processed.SpanKind, processed.Links, produced.SpanContext.SpanID())
	}
	if processed.SpanContext.TraceID() == produced.SpanContext.TraceID() || handler.SpanID() != processed.SpanContext.SpanID() {
		t.Errorf("the handler's span should have a trace of its own, and be in the handler's context")
	}
	if reaction.Parent.SpanID() != processed.SpanContext.SpanID() {
		t.Errorf("what the handler appended has parent %s, want the handler's span", reaction.Parent.SpanID())
	}
	want := with(map[string]string{
		"messaging.operation.name": "process", "messaging.operation.type": "process", "messaging.message.id": "e1",
		"messaging.message.conversation_id": "c1", "cloudevents.event_type": "OrderPlaced", "cloudevents.event_subject": "order/42",
	})
	if diff := cmp.Diff(want, attributes(processed.Attributes)); diff != "" {
		t.Errorf("the handler's attributes -want, +got:\n%s", diff)
	}
	want = with(map[string]string{
		"messaging.operation.name": "append", "messaging.operation.type": "send", "messaging.batch.message_count": "2",
		"cloudevents.event_subject": "order/42",
	})
	if diff := cmp.Diff(want, attributes(reaction.Attributes)); diff != "" {
		t.Errorf("the attributes of an append of two -want, +got:\n%s", diff)
	}
	for e, err := range w.Read(t.Context(), order42, 0) {
		if err != nil || !otelstore.SpanContext(e).IsValid() || !otelstore.SpanContext(e).IsRemote() {
			t.Errorf("event %s has no span context: %v, %v", e.ID, e.Metadata, err)
		}
	}
	if got := attributes(w.span(t, "read orders").Attributes)["messaging.batch.message_count"]; got != "3" {
		t.Errorf("the read counted %s events, want 3", got)
	}
}

// The attributes are those of CloudEvents' distributed tracing extension, and never override what the application set.
func TestMetadata(t *testing.T) {
	w := wrap(t, memory.New())
	state, err := trace.ParseTraceState("vendor=1")
	if err != nil {
		t.Fatal(err)
	}
	parent := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled, TraceState: state})
	ctx := trace.ContextWithRemoteSpanContext(t.Context(), parent)
	own := map[string]string{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tenant": "acme"}
	if _, err := w.Append(ctx, order42, 0, eventstore.EventData{Type: "A", Metadata: map[string]string{"tenant": "acme"}}, eventstore.EventData{Type: "B", Metadata: own}); err != nil {
		t.Fatal(err)
	}
	produced := w.span(t, "append orders").SpanContext
	want := []map[string]string{
		{"tenant": "acme", "tracestate": "vendor=1", "traceparent": fmt.Sprintf("00-%s-%s-01", produced.TraceID(), produced.SpanID())},
		own,
	}
	var got []map[string]string
	for e := range w.Read(t.Context(), order42, 0) {
		got = append(got, e.Metadata)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want, +got:\n%s", diff)
	}
	if len(own) != 2 {
		t.Errorf("the caller's metadata was changed: %v", own)
	}
}

// What an outbox keeps belongs to the trace of who put it there, and not to that of the relay.
func TestCarry(t *testing.T) {
	w := wrap(t, memory.New())
	writer := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled})
	kept := otelstore.Carry(trace.ContextWithSpanContext(t.Context(), writer), eventstore.EventData{Type: "A"})
	if _, err := w.Append(t.Context(), order42, 0, kept...); err != nil {
		t.Fatal(err)
	}
	for e := range w.Read(t.Context(), order42, 0) {
		if c := otelstore.SpanContext(e); c.TraceID() != writer.TraceID() || c.SpanID() != writer.SpanID() {
			t.Errorf("the event has span %s of trace %s, want the writer's", c.SpanID(), c.TraceID())
		}
	}
}

func TestErrors(t *testing.T) {
	boom := errors.New("boom")
	cases := map[string]struct {
		reason  string
		handle  func() error // nil: an append at a version that is not there.
		span    string
		wantTyp string
		want    codes.Code
	}{
		"Conflict": {reason: "Who lost a race tries again: that is no failure.", span: "append orders", wantTyp: "concurrency", want: codes.Unset},
		"Handler":  {reason: "An error that has no name here is _OTHER.", handle: func() error { return boom }, span: "process orders", wantTyp: "_OTHER", want: codes.Error},
		"Panic":    {reason: "A panic ends the span too.", handle: func() error { panic("boom") }, span: "process orders", wantTyp: "panic", want: codes.Error},
		"Timeout":  {reason: "A deadline is named.", handle: func() error { return context.DeadlineExceeded }, span: "process orders", wantTyp: "timeout", want: codes.Error},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			store := memory.New()
			w := wrap(t, store)
			if tc.handle == nil {
				if _, err := w.Append(t.Context(), order42, 7, eventstore.EventData{Type: "A"}); !errors.Is(err, eventstore.ErrConcurrency) {
					t.Fatalf("Append: %v, want a conflict", err)
				}
			} else {
				if _, err := store.Append(t.Context(), order42, 0, eventstore.EventData{Type: "A"}); err != nil {
					t.Fatal(err)
				}
				ctx, stop := context.WithCancel(t.Context())
				_ = w.Subscribe(ctx, func(context.Context, eventstore.Event) error {
					defer stop()
					return tc.handle()
				})
			}
			s := w.span(t, tc.span)
			if got := attributes(s.Attributes)["error.type"]; got != tc.wantTyp || s.Status.Code != tc.want {
				t.Errorf("%s\nerror.type %q, status %s; want %q, %s", tc.reason, got, s.Status.Code, tc.wantTyp, tc.want)
			}
		})
	}
}

func TestMetrics(t *testing.T) {
	w := wrap(t, memory.New())
	for range 3 {
		_, _ = w.Append(t.Context(), order42, 0, eventstore.EventData{ID: "a", Type: "A"}, eventstore.EventData{ID: "b", Type: "B"})
	}
	_, _ = w.Append(t.Context(), order42, 7, eventstore.EventData{Type: "C"})
	ctx, stop := context.WithCancel(t.Context())
	_ = w.Subscribe(ctx, func(_ context.Context, e eventstore.Event) error {
		if e.Type == "B" {
			stop()
		}
		return nil
	})

	var data metricdata.ResourceMetrics
	if err := w.metrics.Collect(t.Context(), &data); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range data.ScopeMetrics[0].Metrics {
		switch d := m.Data.(type) {
		case metricdata.Sum[int64]:
			for _, p := range d.DataPoints {
				got = append(got, point(m, p.Attributes, p.Value))
			}
		case metricdata.Histogram[float64]:
			for _, p := range d.DataPoints {
				got = append(got, point(m, p.Attributes, int64(p.Count)))
			}
		}
	}
	slices.Sort(got)
	want := []string{
		"eventstore.process.lag s process  2",
		"messaging.client.consumed.messages {message} process  2",
		"messaging.client.operation.duration s append  3",
		"messaging.client.operation.duration s append concurrency 1",
		"messaging.client.sent.messages {message} append  6",
		"messaging.client.sent.messages {message} append concurrency 1",
		"messaging.process.duration s process  2",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want, +got:\n%s", diff)
	}
}

func point(m metricdata.Metrics, set attribute.Set, n int64) string {
	a := attributes(set.ToSlice())
	return fmt.Sprintf("%s %s %s %s %d", m.Name, m.Unit, a["messaging.operation.name"], a["error.type"], n)
}

// Without OpenTelemetry's SDK nothing is added, and what comes in from outside goes on.
func TestNoProvider(t *testing.T) {
	store := otelstore.Wrap(memory.New(), "orders")
	if _, err := store.Append(t.Context(), order42, 0, eventstore.EventData{Type: "A"}); err != nil {
		t.Fatal(err)
	}
	for e := range store.Read(t.Context(), order42, 0) {
		if len(e.Metadata) > 0 || otelstore.SpanContext(e).IsValid() {
			t.Errorf("metadata %v, want none", e.Metadata)
		}
	}
	if _, ok := eventstore.As[eventstore.DeadLetterReader](store); !ok {
		t.Error("the wrapped store's optional interfaces are hidden")
	}
}

// What is traced is a store like any other.
func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) eventstore.Store { return otelstore.Wrap(memory.New(), "orders") })
}

func Example() {
	ctx := context.Background()
	spans := tracetest.NewInMemoryExporter() // Yours, with its exporter, is set with otel.SetTracerProvider.
	tracers := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
	store := otelstore.Wrap(memory.New(), "orders", otelstore.WithTracerProvider(tracers))

	_, _ = store.Append(ctx, order42, 0, eventstore.EventData{Type: "OrderPlaced"})
	for e := range store.Read(ctx, order42, 0) {
		fmt.Println(e.Type, otelstore.SpanContext(e).IsValid())
	}
	for _, s := range spans.GetSpans() {
		fmt.Println(s.SpanKind, s.Name)
	}
	// Output:
	// OrderPlaced true
	// producer append orders
	// client read orders
}
