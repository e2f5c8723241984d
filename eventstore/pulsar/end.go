package pulsar

import (
	"context"

	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/pause"
)

// end is where a topic ends. It keeps a reader that is asked for it, and reads nothing.
type end struct {
	topic  string
	lock   chan struct{} // Has something while somebody uses it. A mutex would not mind a context.
	reader *reader       // nil until it is needed
}

func newEnd(topic string) *end { return &end{topic: topic, lock: make(chan struct{}, 1)} }

// ask asks where the last record is; it is nowhere if there is none.
func (s *store) ask(ctx context.Context, e *end) (place, error) {
	select {
	case e.lock <- struct{}{}:
	case <-ctx.Done():
		return nowhere, context.Cause(ctx)
	}
	defer func() { <-e.lock }()
	for n := 0; ; n++ {
		at, err := s.askOnce(ctx, e)
		switch {
		case err == nil:
			return at, nil
		case ctx.Err() != nil:
			return nowhere, context.Cause(ctx)
		case !passes(err):
			return nowhere, err
		}
		if err := pause.Before(ctx, n); err != nil {
			return nowhere, err
		}
	}
}

func (s *store) askOnce(ctx context.Context, e *end) (at place, err error) {
	if e.reader == nil {
		if e.reader, err = s.reader(ctx, reading{topic: e.topic, after: nowhere, ahead: 1}); err != nil {
			return nowhere, err
		}
	}
	if at, err = e.reader.last(ctx); err != nil {
		e.reader.close()
		e.reader = nil
	}
	return at, err
}
