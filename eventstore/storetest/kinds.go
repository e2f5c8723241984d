package storetest

import (
	"context"
	"errors"
	"testing"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

// A store that forgets has no versions and no streams to read, and is replayed as any other.
func (s *suite) testStreaming(ctx context.Context, t testing.TB, _ eventstore.Store) {
	store := s.openStreaming(s.t)
	s.t.Cleanup(func() { _ = store.Close() })
	_, err := store.Append(ctx, order42, 0, numbered(1, 1)...)
	wantIs(t, "Append with an expected version", err, eventstore.ErrUnsupported)
	for _, events := range [][]eventstore.EventData{numbered(1, 2), nil, numbered(3, 1)} {
		if v := appendTo(ctx, t, store, order42, eventstore.Any, events...); v != 0 {
			t.Errorf("Append of %d events: version %d, want 0", len(events), v)
		}
	}
	for _, err := range store.Read(ctx, order42, 0) {
		wantIs(t, "Read", err, eventstore.ErrUnsupported)
	}
	all := collect(t, store.Replay(ctx, eventstore.Start{}))
	wantIDs(t, "Replay", all, "e1", "e2", "e3")
	for _, e := range all {
		if e.Version != 0 || e.Stream != order42 {
			t.Errorf("Replay: %s is version %d of %s, want 0 of %s", e.ID, e.Version, e.Stream, order42)
		}
	}
	if len(all) > 0 {
		from := eventstore.Start{After: []eventstore.Position{all[0].Position}}
		wantIDs(t, "Replay after the first event", collect(t, store.Replay(ctx, from)), "e2", "e3")
	}
}

// A subscription reads the store, and writes nothing.
func (s *suite) testSubscriptionReads(ctx context.Context, t testing.TB, store eventstore.Store) {
	appendTo(ctx, t, store, order42, 0, numbered(1, 2)...)
	sub := s.subscription(store, "billing")
	_, err := sub.Append(ctx, order42, 2, numbered(3, 1)...)
	wantIs(t, "Append as a subscription", err, eventstore.ErrUnsupported)
	wantIDs(t, "Read as a subscription", collect(t, sub.Read(ctx, order42, 0)), "e1", "e2")
	wantIDs(t, "Replay as a subscription", collect(t, sub.Replay(ctx, eventstore.Start{})), "e1", "e2")
	if _, lacks := s.lacks[Snapshots]; !lacks {
		wantIs(t, "SaveSnapshot as a subscription", sub.SaveSnapshot(ctx, eventstore.Snapshot{Stream: order42, Version: 2}), eventstore.ErrUnsupported)
		if _, err := sub.LoadSnapshot(ctx, order42); !errors.Is(err, eventstore.ErrNotFound) {
			t.Errorf("LoadSnapshot as a subscription: %v, want ErrNotFound", err)
		}
	}
	wantIDs(t, "Read", collect(t, store.Read(ctx, order42, 0)), "e1", "e2")
}
