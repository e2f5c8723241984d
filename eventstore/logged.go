package eventstore

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"time"
)

// As returns store as a T, or a store that it wraps, if one is. Optional interfaces are found with it, whether the store is
// wrapped or not:
//
//	if r, ok := eventstore.As[eventstore.DeadLetterReader](store); ok { … }
//
// A store that wraps another has a method Unwrap() [Store].
func As[T any](store Store) (T, bool) {
	for {
		if t, ok := store.(T); ok {
			return t, true
		}
		w, ok := store.(interface{ Unwrap() Store })
		if !ok {
			var none T
			return none, false
		}
		store = w.Unwrap()
	}
}

// Logged returns a store that does what store does, and logs it: appends, reads and handled events at [slog.LevelDebug], and
// so conflicts, which are part of the game; failures at [slog.LevelWarn]. It logs names, ids and numbers, never payloads.
func Logged(store Store, l *slog.Logger) Store { return &logged{Store: store, log: l} }

type logged struct {
	Store
	log *slog.Logger
}

func (s *logged) Unwrap() Store { return s.Store }

// done logs what was begun at a time.
func (s *logged) done(ctx context.Context, begun time.Time, err error, msg string, attrs ...slog.Attr) {
	level := slog.LevelDebug
	attrs = append(attrs, slog.Duration("took", time.Since(begun)))
	if err != nil {
		attrs = append(attrs, slog.Any("error", err))
		if !errors.Is(err, ErrConcurrency) && !errors.Is(err, ErrNotFound) && ctx.Err() == nil {
			level = slog.LevelWarn
		}
	}
	s.log.LogAttrs(ctx, level, msg, attrs...)
}

func (s *logged) Append(ctx context.Context, id StreamID, expected Version, events ...EventData) (Version, error) {
	begun := time.Now()
	v, err := s.Store.Append(ctx, id, expected, events...)
	s.done(ctx, begun, err, "append", slog.String("stream", id.String()), slog.Int64("expected", int64(expected)),
		slog.Int("events", len(events)), slog.Int64("version", int64(v)))
	return v, err
}

func (s *logged) Read(ctx context.Context, id StreamID, after Version) iter.Seq2[Event, error] {
	return s.counted(ctx, s.Store.Read(ctx, id, after), "read", slog.String("stream", id.String()), slog.Int64("after", int64(after)))
}

func (s *logged) Replay(ctx context.Context, from Start) iter.Seq2[Event, error] {
	return s.counted(ctx, s.Store.Replay(ctx, from), "replay", slog.String("after", Checkpoint(from.After).String()), slog.Bool("live", from.Live))
}

// counted yields what events yield, and logs at the end how many there were.
func (s *logged) counted(ctx context.Context, events iter.Seq2[Event, error], msg string, attrs ...slog.Attr) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		begun, n := time.Now(), 0
		var failed error
		defer func() { s.done(ctx, begun, failed, msg, append(attrs, slog.Int("events", n))...) }()
		for e, err := range events {
			if failed = err; err == nil {
				n++
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

func (s *logged) Subscribe(ctx context.Context, h Handler, opts ...SubscribeOption) error {
	begun := time.Now()
	s.log.LogAttrs(ctx, slog.LevelDebug, "subscribe")
	err := s.Store.Subscribe(ctx, func(ctx context.Context, e Event) error {
		begun := time.Now()
		err := h(ctx, e)
		s.done(ctx, begun, err, "handle", slog.String("stream", e.Stream.String()), slog.Int64("version", int64(e.Version)),
			slog.String("position", e.Position.String()), slog.String("id", e.ID), slog.String("type", e.Type))
		return err
	}, opts...)
	s.done(ctx, begun, err, "unsubscribed")
	return err
}

func (s *logged) SaveSnapshot(ctx context.Context, snapshot Snapshot) error {
	begun := time.Now()
	err := s.Store.SaveSnapshot(ctx, snapshot)
	s.done(ctx, begun, err, "save snapshot", slog.String("stream", snapshot.Stream.String()), slog.Int64("version", int64(snapshot.Version)),
		slog.Int("bytes", len(snapshot.Data)))
	return err
}

func (s *logged) LoadSnapshot(ctx context.Context, id StreamID) (Snapshot, error) {
	begun := time.Now()
	snapshot, err := s.Store.LoadSnapshot(ctx, id)
	s.done(ctx, begun, err, "load snapshot", slog.String("stream", id.String()), slog.Int64("version", int64(snapshot.Version)))
	return snapshot, err
}
