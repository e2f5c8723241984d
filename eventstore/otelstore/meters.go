package otelstore

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/semconv/v1.41.0/messagingconv"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

// errPanic stands for the error of a handler that panicked.
var errPanic = errors.New("handler panicked")

// meters are the instruments of a store.
type meters struct {
	operation, process, lag metric.Float64Histogram
	sent, consumed          metric.Int64Counter
}

func newMeters(m metric.Meter) (*meters, error) {
	// Source: OpenTelemetry, "Semantic conventions for messaging metrics".
	buckets := metric.WithExplicitBucketBoundaries(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
	operation, err1 := messagingconv.NewClientOperationDuration(m, buckets)
	process, err2 := messagingconv.NewProcessDuration(m, buckets)
	sent, err3 := messagingconv.NewClientSentMessages(m)
	consumed, err4 := messagingconv.NewClientConsumedMessages(m)
	// The conventions have no name for it.
	lag, err5 := m.Float64Histogram("eventstore.process.lag", metric.WithUnit("s"),
		metric.WithDescription("How old an event is when a handler gets it."),
		metric.WithExplicitBucketBoundaries(0.01, 0.1, 0.5, 1, 5, 10, 60, 300, 3600, 86400))
	return &meters{operation.Inst(), process.Inst(), lag, sent.Inst(), consumed.Inst()}, errors.Join(err1, err2, err3, err4, err5)
}

// conflict is the error type of an append whose stream was at another version.
const conflict = "concurrency"

// errorTypes are what error.type is: few values, the same on all backends.
var errorTypes = []struct {
	err  error
	name string
}{
	{eventstore.ErrConcurrency, conflict},
	{eventstore.ErrUnknownOutcome, "unknown_outcome"},
	{eventstore.ErrTooLarge, "too_large"},
	{eventstore.ErrHistoryLost, "history_lost"},
	{eventstore.ErrUnsupported, "unsupported"},
	{eventstore.ErrNotFound, "not_found"},
	{context.Canceled, "canceled"},
	{context.DeadlineExceeded, "timeout"},
	{errPanic, "panic"},
}

// errorType is "" for no error.
func errorType(err error) string {
	if err == nil {
		return ""
	}
	for _, t := range errorTypes {
		if errors.Is(err, t.err) {
			return t.name
		}
	}
	return "_OTHER" // The conventions' word for what has no name.
}
