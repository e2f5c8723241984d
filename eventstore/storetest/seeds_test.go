package storetest

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

// Violations of what package eventstore promises, each seeded into a store that is right.

func ignoreExpectedVersion(f *faulty) {
	f.append = func(ctx context.Context, s eventstore.StreamID, _ eventstore.Version, events ...eventstore.EventData) (eventstore.Version, error) {
		return f.Store.Append(ctx, s, eventstore.Any, events...)
	}
}

// acknowledgeEarly stores an append when the client makes its next call: other clients miss it until then.
func acknowledgeEarly(f *faulty) {
	var mu sync.Mutex
	pending := func() {}
	flush := func() {
		mu.Lock()
		defer mu.Unlock()
		pending()
		pending = func() {}
	}
	f.append = func(ctx context.Context, s eventstore.StreamID, expected eventstore.Version, events ...eventstore.EventData) (eventstore.Version, error) {
		flush()
		v, err := f.Store.Append(ctx, s, expected) // Nothing: it only compares versions.
		if err != nil {
			return v, err
		}
		mu.Lock()
		defer mu.Unlock()
		pending = func() { _, _ = f.Store.Append(context.WithoutCancel(ctx), s, expected, events...) }
		return v + eventstore.Version(len(events)), nil
	}
	f.read = func(ctx context.Context, s eventstore.StreamID, after eventstore.Version) iter.Seq2[eventstore.Event, error] {
		flush()
		return f.Store.Read(ctx, s, after)
	}
}

// everySeventh reports true at every seventh call.
func everySeventh() func() bool {
	var mu sync.Mutex
	n := 0
	return func() bool {
		mu.Lock()
		defer mu.Unlock()
		n++
		return n%7 == 0
	}
}

func loseAcknowledged(f *faulty) {
	unlucky := everySeventh()
	f.append = func(ctx context.Context, s eventstore.StreamID, expected eventstore.Version, events ...eventstore.EventData) (eventstore.Version, error) {
		if !unlucky() {
			return f.Store.Append(ctx, s, expected, events...)
		}
		v, err := f.Store.Append(ctx, s, expected)
		return v + eventstore.Version(len(events)), err
	}
}

func lieAboutConflicts(f *faulty) {
	unlucky := everySeventh()
	f.append = func(ctx context.Context, s eventstore.StreamID, expected eventstore.Version, events ...eventstore.EventData) (eventstore.Version, error) {
		v, err := f.Store.Append(ctx, s, expected, events...)
		if err == nil && unlucky() {
			err = &eventstore.ConcurrencyError{Expected: expected, Actual: v}
		}
		return v, err
	}
}

func tearBatches(f *faulty) {
	f.append = func(ctx context.Context, s eventstore.StreamID, expected eventstore.Version, events ...eventstore.EventData) (v eventstore.Version, err error) {
		for _, e := range events {
			if v, err = f.Store.Append(ctx, s, expected, e); err != nil {
				return v, err
			}
			expected = v
			<-time.After(100 * time.Microsecond) // A round trip.
		}
		return v, nil
	}
}

// landTwice takes what was appended before for something new, as a log would that knows no ids.
func landTwice(f *faulty) {
	f.append = func(ctx context.Context, s eventstore.StreamID, expected eventstore.Version, events ...eventstore.EventData) (eventstore.Version, error) {
		v, err := f.Store.Append(ctx, s, expected)
		if err != nil || len(events) == 0 {
			return v, err
		}
		marked := slices.Clone(events)
		for i := range marked {
			marked[i].CausationID, marked[i].ID = marked[i].ID, ""
		}
		return f.Store.Append(ctx, s, expected, marked...)
	}
	f.read = func(ctx context.Context, s eventstore.StreamID, after eventstore.Version) iter.Seq2[eventstore.Event, error] {
		return func(yield func(eventstore.Event, error) bool) {
			for e, err := range f.Store.Read(ctx, s, after) {
				e.ID, e.CausationID = e.CausationID, ""
				if !yield(e, err) {
					return
				}
			}
		}
	}
}

// reorderAppends holds every seventh append of a client back until its next one is stored, as a retry may that overtakes.
func reorderAppends(f *faulty) {
	unlucky := everySeventh()
	var mu sync.Mutex
	held := map[eventstore.StreamID][]eventstore.EventData{}
	f.append = func(ctx context.Context, s eventstore.StreamID, expected eventstore.Version, events ...eventstore.EventData) (eventstore.Version, error) {
		mu.Lock()
		defer mu.Unlock()
		late := held[s]
		delete(held, s)
		actual := expected - eventstore.Version(len(late))
		if late == nil && unlucky() {
			v, err := f.Store.Append(ctx, s, expected)
			if err == nil {
				held[s] = events
			}
			return v + eventstore.Version(len(events)), err
		}
		v, err := f.Store.Append(ctx, s, actual, events...)
		if err == nil && late != nil {
			return f.Store.Append(ctx, s, v, late...)
		}
		return v, err
	}
}

// readStale yields what there was at the client's read before.
func readStale(f *faulty) {
	var mu sync.Mutex
	before := map[eventstore.StreamID]eventstore.Version{}
	f.read = func(ctx context.Context, s eventstore.StreamID, after eventstore.Version) iter.Seq2[eventstore.Event, error] {
		mu.Lock()
		defer mu.Unlock()
		known := before[s]
		before[s], _ = f.Store.Append(ctx, s, eventstore.Any)
		return func(yield func(eventstore.Event, error) bool) {
			for e, err := range f.Store.Read(ctx, s, after) {
				if e.Version > known || !yield(e, err) {
					return
				}
			}
		}
	}
}

// replayAgain takes a position for the first event that is wanted.
func replayAgain(f *faulty) {
	f.replay = func(ctx context.Context, from eventstore.Start) iter.Seq2[eventstore.Event, error] {
		return func(yield func(eventstore.Event, error) bool) {
			for e, err := range f.Store.Replay(ctx, eventstore.Start{}) {
				if slices.Contains(from.After, e.Position) && !yield(e, err) {
					return
				}
			}
			f.Store.Replay(ctx, from)(yield)
		}
	}
}

// passOver follows a store from where it ends a moment after the replay has read to the end.
func passOver(f *faulty) {
	f.replay = func(ctx context.Context, from eventstore.Start) iter.Seq2[eventstore.Event, error] {
		if !from.Live {
			return f.Store.Replay(ctx, from)
		}
		return func(yield func(eventstore.Event, error) bool) {
			for e, err := range f.Store.Replay(ctx, eventstore.Start{After: from.After, Time: from.Time}) {
				if !yield(e, err) {
					return
				}
			}
			<-time.After(10 * time.Millisecond) // A round trip, on a slow day.
			at := eventstore.Checkpoint(from.After)
			for e := range f.Store.Replay(ctx, eventstore.Start{}) {
				at = at.With(e.Position)
			}
			f.Store.Replay(ctx, eventstore.Start{After: at, Live: true})(yield)
		}
	}
}

// keepAnySnapshot lets an older snapshot pass for as new as the one that is there.
func keepAnySnapshot(f *faulty) {
	f.save = func(ctx context.Context, s eventstore.Snapshot) error {
		newest, err := f.LoadSnapshot(ctx, s.Stream)
		if err == nil && newest.Version > s.Version {
			s.Version = newest.Version
		}
		return f.Store.SaveSnapshot(ctx, s)
	}
}

// handling makes subscribe hand events to what of(h) returns.
func handling(f *faulty, of func(h eventstore.Handler) eventstore.Handler) {
	f.subscribe = func(ctx context.Context, h eventstore.Handler, opts ...eventstore.SubscribeOption) error {
		return f.Store.Subscribe(ctx, of(h), opts...)
	}
}

// reorderRetries lets a stream go on while its event waits to be tried again.
func reorderRetries(f *faulty) {
	var mu sync.Mutex
	failed := map[eventstore.StreamID][]eventstore.Event{}
	handling(f, func(h eventstore.Handler) eventstore.Handler {
		return func(ctx context.Context, e eventstore.Event) error {
			err := h(ctx, e)
			mu.Lock()
			again := failed[e.Stream]
			delete(failed, e.Stream)
			if err != nil && len(again) == 0 {
				failed[e.Stream] = []eventstore.Event{e}
				err = nil
			}
			mu.Unlock()
			for _, e := range again {
				for h(ctx, e) != nil && ctx.Err() == nil {
				}
			}
			return err
		}
	})
}

func skipFailed(f *faulty) {
	handling(f, func(h eventstore.Handler) eventstore.Handler {
		return func(ctx context.Context, e eventstore.Event) error {
			_ = h(ctx, e)
			return nil
		}
	})
}

func deliverSideBySide(f *faulty) {
	f.subscribe = func(ctx context.Context, h eventstore.Handler, opts ...eventstore.SubscribeOption) error {
		var wg sync.WaitGroup
		defer wg.Wait()
		return f.Store.Subscribe(ctx, func(ctx context.Context, e eventstore.Event) error {
			wg.Go(func() { _ = h(context.WithoutCancel(ctx), e) })
			return nil
		}, opts...)
	}
}

// acknowledgeBeforeHandling never delivers again what a handler was cut off from.
func acknowledgeBeforeHandling(f *faulty) {
	handling(f, func(h eventstore.Handler) eventstore.Handler {
		return func(ctx context.Context, e eventstore.Event) error {
			if err := h(ctx, e); ctx.Err() == nil {
				return err
			}
			return nil
		}
	})
}

// forgetPosition lets every consumer begin with the first event.
func forgetPosition(f *faulty) {
	f.subscribe = func(ctx context.Context, h eventstore.Handler, opts ...eventstore.SubscribeOption) error {
		for e, err := range f.Store.Replay(ctx, eventstore.Start{Live: true}) {
			if errors.Is(err, context.Canceled) {
				return nil
			}
			if err != nil {
				return err
			}
			for h(ctx, e) != nil && ctx.Err() == nil {
			}
		}
		return nil
	}
}

func sharePosition(f *faulty) {
	f.subscribe = func(ctx context.Context, h eventstore.Handler, opts ...eventstore.SubscribeOption) error {
		shared, err := f.Subscription("shared")
		if err != nil {
			return err
		}
		return shared.Subscribe(ctx, h, opts...)
	}
}

// deliverDeadLetters hands what was given up to the next consumer, once more.
func deliverDeadLetters(f *faulty) {
	f.subscribe = func(ctx context.Context, h eventstore.Handler, opts ...eventstore.SubscribeOption) error {
		dead := map[string]eventstore.Event{}
		for d, err := range f.DeadLetters(ctx) {
			if err != nil {
				return err
			}
			dead[d.Event.ID] = d.Event
		}
		for _, id := range slices.Sorted(maps.Keys(dead)) {
			_ = h(ctx, dead[id])
		}
		return f.Store.Subscribe(ctx, h, opts...)
	}
}

// holdBackOthers delivers nothing while an event is retried.
func holdBackOthers(f *faulty) {
	f.subscribe = func(ctx context.Context, h eventstore.Handler, opts ...eventstore.SubscribeOption) error {
		var mu sync.Mutex
		return f.Store.Subscribe(ctx, func(work context.Context, e eventstore.Event) error {
			mu.Lock()
			defer mu.Unlock()
			err := h(work, e)
			for err != nil && ctx.Err() == nil {
				err = h(work, e)
			}
			return err
		}, opts...)
	}
}

// forgetAttempts counts deliveries in each consumer anew.
func forgetAttempts(f *faulty) {
	f.subscribe = func(ctx context.Context, h eventstore.Handler, opts ...eventstore.SubscribeOption) error {
		d, err := eventstore.DefaultDelivery().With(opts...)
		if err != nil {
			return err
		}
		var mu sync.Mutex
		failed := map[string]int{}
		return f.Store.Subscribe(ctx, func(work context.Context, e eventstore.Event) error {
			err := h(work, e)
			if err == nil {
				return nil
			}
			mu.Lock()
			defer mu.Unlock()
			if failed[e.ID]++; failed[e.ID] == d.MaxDeliveries {
				return eventstore.Permanent(err)
			}
			return err
		}, append(opts, eventstore.WithMaxDeliveries(math.MaxInt))...)
	}
}

// appendAnywhere takes an expected version for a wish.
func appendAnywhere(f *faulty) {
	f.append = func(ctx context.Context, s eventstore.StreamID, expected eventstore.Version, events ...eventstore.EventData) (eventstore.Version, error) {
		v, err := f.Store.Append(ctx, s, expected, events...)
		if errors.Is(err, eventstore.ErrUnsupported) {
			return f.Store.Append(ctx, s, eventstore.Any, events...)
		}
		return v, err
	}
}

// writeForSubscriptions says that a subscription has written.
func writeForSubscriptions(f *faulty) {
	f.append = func(ctx context.Context, s eventstore.StreamID, expected eventstore.Version, events ...eventstore.EventData) (eventstore.Version, error) {
		v, err := f.Store.Append(ctx, s, expected, events...)
		if errors.Is(err, eventstore.ErrUnsupported) {
			return expected + eventstore.Version(len(events)), nil
		}
		return v, err
	}
}

// removeFailed settles dead letters before they are handled.
func removeFailed(f *faulty) {
	f.redrive = func(ctx context.Context, h eventstore.Handler) (int, error) {
		var failed error
		handled, err := f.Store.Redrive(ctx, func(ctx context.Context, e eventstore.Event) error {
			defer func() { _ = recover() }()
			failed = cmp.Or(h(ctx, e), failed)
			return nil
		})
		return handled, cmp.Or(err, failed)
	}
}

// keepHandled settles nothing for good.
func keepHandled(f *faulty) {
	f.redrive = func(ctx context.Context, h eventstore.Handler) (handled int, failed error) {
		_, _ = f.Store.Redrive(ctx, func(ctx context.Context, e eventstore.Event) error {
			err := h(ctx, e)
			if failed = cmp.Or(failed, err); err == nil {
				handled++
			}
			return errors.New("not handled")
		})
		return handled, failed
	}
}
