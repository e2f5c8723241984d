package pulsar

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/apache/pulsar-client-go/pulsar"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/pause"
)

// waiting is how long a scan waits for a record until it asks whether it is still there.
const waiting = 2 * time.Second

// scan reads what there was in a topic when it began, and can go on with what comes then.
type scan struct {
	store   *store
	reading reading        // from here on
	reader  *reader        // nil while there is no connection
	seen    bool           // It has read a record.
	end     place          // of the last record that there was
	beyond  pulsar.Message // A record after the end that was read already.
}

// scan opens a scan, which the caller closes.
func (s *store) scan(ctx context.Context, r reading) (*scan, error) {
	one := &scan{store: s, reading: r}
	var err error
	if one.reader, one.end, err = one.open(ctx); err != nil {
		return nil, err
	}
	return one, nil
}

func (s *scan) close() {
	if s.reader != nil {
		s.reader.close()
		s.reader = nil
	}
}

// open opens a reader where the scan is, and asks where the last record is.
func (s *scan) open(ctx context.Context) (*reader, place, error) {
	for n := 0; ; n++ {
		reader, err := s.store.reader(ctx, s.from())
		if err == nil {
			var end place
			if end, err = reader.last(ctx); err == nil {
				err = s.check(ctx, reader, end)
			}
			if err == nil {
				return reader, end, nil
			}
			reader.close()
		}
		if ctx.Err() != nil {
			return nil, nowhere, context.Cause(ctx)
		}
		if !passes(err) {
			return nil, nowhere, err
		}
		if err := pause.Before(ctx, n); err != nil {
			return nil, nowhere, err
		}
	}
}

// from is where to go on: with the record that was the last one, which tells that those after it were not trimmed meanwhile.
// Compaction may take it away.
func (s *scan) from() reading {
	r := s.reading
	if s.seen && !r.compacted {
		r.after = before(r.after)
	}
	return r
}

// check looks whether the last record that was read is still there.
func (s *scan) check(ctx context.Context, reader *reader, end place) error {
	at := s.reading.after
	if !s.seen || s.reading.compacted {
		return nil
	}
	for !end.Before(at) {
		m, err := reader.next(ctx, waiting)
		if err != nil || placeOf(m.ID()) == at {
			return err
		}
		if at.Before(placeOf(m.ID())) { // The client may begin earlier than it was told.
			break
		}
	}
	return fmt.Errorf("the records after %s are gone: they were deleted while they were read: %w", cursor{place: at}, eventstore.ErrHistoryLost)
}

// reopen goes on over another connection. What there was may have become less.
func (s *scan) reopen(ctx context.Context) error {
	reader, end, err := s.open(ctx)
	if err == nil && end.Before(s.end) {
		s.end = end
	}
	s.reader = reader
	return err
}

// next returns the next record, or nil if there was no other when the scan began.
func (s *scan) next(ctx context.Context) (pulsar.Message, error) {
	for s.beyond == nil && s.reading.after.Before(s.end) {
		m, err := s.receive(ctx, waiting)
		switch {
		case errors.Is(err, errLate): // A store that forgets may have forgotten it meanwhile.
			s.close()
			if err := s.reopen(ctx); err != nil {
				return nil, err
			}
		case err != nil:
			return nil, err
		case s.end.Before(s.reading.after):
			s.beyond = m
		default:
			return m, nil
		}
	}
	return nil, nil
}

// follow returns the record after those that next returned, once it comes.
func (s *scan) follow(ctx context.Context) (pulsar.Message, error) {
	if m := s.beyond; m != nil {
		s.beyond = nil
		return m, nil
	}
	return s.receive(ctx, 0)
}

// receive returns the next record, and bears with connections that are lost.
func (s *scan) receive(ctx context.Context, patience time.Duration) (pulsar.Message, error) {
	for {
		if s.reader == nil {
			if err := s.reopen(ctx); err != nil {
				return nil, err
			}
		}
		m, err := s.reader.next(ctx, patience)
		switch {
		case err == nil && s.reading.after.Before(placeOf(m.ID())):
			s.reading.after, s.seen = placeOf(m.ID()), true
			return m, nil
		case err == nil: // It was in flight twice.
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case errors.Is(err, errLate), !passes(err):
			return nil, err
		default:
			s.close()
		}
	}
}
