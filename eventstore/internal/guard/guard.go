// Package guard stands before the calls of an open store, alike for every driver: it refuses what the binding does not allow, and
// what is called after Close; it ends calls with their context, and says of what fails which call it was.
package guard

import (
	"context"
	"fmt"
	"iter"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/lifetime"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/record"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/refuse"
)

// Append is [eventstore.Appender] for drivers. f is given the append's record, without a version; none if there are no events.
func Append(
	ctx context.Context, b eventstore.Binding, stream eventstore.StreamID, expected eventstore.Version, events []eventstore.EventData,
	f func(record.Fields) (eventstore.Version, error),
) (eventstore.Version, error) {
	if err := refuse.Writes(b); err != nil {
		return 0, err
	}
	fields, err := record.ForAppend(b, stream, expected, events)
	if err != nil {
		return 0, err
	}
	version, err := eventstore.Version(0), context.Cause(ctx)
	if err == nil {
		version, err = f(fields)
	}
	if err != nil {
		return 0, fmt.Errorf("cannot append to %s: %w", stream, err)
	}
	return version, nil
}

// Events yields events until there are no more, or yield returns false.
type Events func(ctx context.Context, yield func(eventstore.Event, error) bool) error

// Read is the Read of [eventstore.Reader] for drivers.
func Read(ctx context.Context, b eventstore.Binding, open *lifetime.Lifetime, stream eventstore.StreamID, f Events) iter.Seq2[eventstore.Event, error] {
	return func(yield func(eventstore.Event, error) bool) {
		err := refuse.Read(b)
		if err == nil {
			err = stream.Validate()
		}
		if err == nil {
			err = f.run(ctx, open, yield)
		}
		if err != nil {
			yield(eventstore.Event{}, fmt.Errorf("cannot read %s: %w", stream, err))
		}
	}
}

// Replay is the Replay of [eventstore.Reader] for drivers.
func Replay(ctx context.Context, b eventstore.Binding, open *lifetime.Lifetime, f Events) iter.Seq2[eventstore.Event, error] {
	return func(yield func(eventstore.Event, error) bool) {
		if err := f.run(ctx, open, yield); err != nil {
			yield(eventstore.Event{}, fmt.Errorf("cannot replay store %q: %w", b.Store, err))
		}
	}
}

func (f Events) run(ctx context.Context, open *lifetime.Lifetime, yield func(eventstore.Event, error) bool) error {
	return during(ctx, open, func(ctx context.Context) error { return f(ctx, yield) })
}

// SaveSnapshot is the SaveSnapshot of [eventstore.Snapshots] for drivers.
func SaveSnapshot(ctx context.Context, b eventstore.Binding, open *lifetime.Lifetime, stream eventstore.StreamID, f func(context.Context) error) error {
	if err := refuse.Writes(b); err != nil {
		return err
	}
	return snapshot(ctx, "save", b, open, stream, f)
}

// LoadSnapshot is the LoadSnapshot of [eventstore.Snapshots] for drivers.
func LoadSnapshot(
	ctx context.Context, b eventstore.Binding, open *lifetime.Lifetime, stream eventstore.StreamID,
	f func(context.Context) (eventstore.Snapshot, error),
) (s eventstore.Snapshot, err error) {
	err = snapshot(ctx, "load", b, open, stream, func(ctx context.Context) (err error) {
		s, err = f(ctx)
		return err
	})
	return s, err
}

func snapshot(ctx context.Context, what string, b eventstore.Binding, open *lifetime.Lifetime, stream eventstore.StreamID, f func(context.Context) error) error {
	if err := refuse.Snapshots(b); err != nil {
		return err
	}
	err := stream.Validate()
	if err == nil {
		err = during(ctx, open, f)
	}
	if err != nil {
		return fmt.Errorf("cannot %s snapshot of %s: %w", what, stream, err)
	}
	return nil
}

// during calls f while the store is open. If f fails when its context has ended, the reason is that of the context.
func during(ctx context.Context, open *lifetime.Lifetime, f func(context.Context) error) error {
	ctx, done, err := open.Begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	if ctx.Err() == nil {
		if err = f(ctx); err == nil {
			return nil
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
