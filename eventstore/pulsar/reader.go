package pulsar

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apache/pulsar-client-go/pulsar"
	"github.com/apache/pulsar-client-go/pulsar/backoff"
)

// reading says how a topic is read.
type reading struct {
	topic     string
	after     place // [nowhere] is the beginning.
	ahead     int   // How many records the broker may send before they are asked for.
	compacted bool
}

// reader reads a topic for as long as its connection lasts. The client's own would go on over another one, but passes then
// over a record that it had received and not handed out yet (pulsar-client-go 0.19.0), and over those that were trimmed
// meanwhile. Whoever reads opens another, and sees to it that nothing is missing.
type reader struct {
	client  pulsar.Reader
	records chan pulsar.Message // Closed after the last one.
	err     error               // why there are no more
	begin   sync.Once
	wg      sync.WaitGroup

	connected context.Context
	lose      context.CancelFunc

	questions, policies atomic.Int32
}

// buffered is how many records may wait between the client and who reads.
const buffered = 64

var (
	errDisconnected = errors.New("the connection was lost")
	errLate         = errors.New("no record came")
)

// reader opens a reader, which the caller closes. The client knows no context; it gives up by itself.
func (s *store) reader(ctx context.Context, r reading) (*reader, error) {
	one := &reader{records: make(chan pulsar.Message, min(r.ahead-1, buffered))}
	one.connected, one.lose = context.WithCancel(context.Background())
	o := pulsar.ReaderOptions{
		Topic: r.topic, StartMessageID: pulsar.EarliestMessageID(), ReceiverQueueSize: r.ahead, ReadCompacted: r.compacted,
		BackoffPolicyFunc: one.policy,
	}
	if r.after != nowhere {
		o.StartMessageID = pulsar.NewMessageID(r.after.Segment, r.after.Offset, -1, -1)
	}
	var err error
	if one.client, err = within(ctx, func() (pulsar.Reader, error) { return s.client.CreateReader(o) }, pulsar.Reader.Close); err != nil {
		one.lose()
		return nil, err
	}
	return one, nil
}

// policy is called by the client before it reconnects, and once for each question where the last record is.
func (r *reader) policy() backoff.Policy {
	if r.policies.Add(1) > r.questions.Load() {
		r.lose()
	}
	return backoff.NewDefaultBackoff()
}

func (r *reader) close() {
	r.lose()
	r.wg.Wait()
	r.client.Close()
}

// last asks where the last record of the topic is; it is nowhere if there is none. It is not called after next.
func (r *reader) last(ctx context.Context) (place, error) {
	r.questions.Add(1)
	id, err := within(ctx, r.client.GetLastMessageID, nil)
	switch {
	case err != nil:
		return nowhere, err
	case r.connected.Err() != nil:
		return nowhere, errDisconnected
	}
	if at := placeOf(id); at.Segment >= 0 && at.Offset >= 0 {
		return at, nil
	}
	return nowhere, nil
}

// next returns the next record once it comes. With some patience, it waits so long and not longer.
func (r *reader) next(ctx context.Context, patience time.Duration) (pulsar.Message, error) {
	r.begin.Do(func() { r.wg.Go(r.receive) })
	var late <-chan time.Time
	if patience > 0 && len(r.records) == 0 {
		timer := time.NewTimer(patience)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case m, ok := <-r.records:
		if !ok {
			return nil, r.err
		}
		return m, nil
	case <-late:
		return nil, errLate
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// receive takes what comes, until the connection is lost.
func (r *reader) receive() {
	defer close(r.records)
	for {
		m, err := r.client.Next(r.connected)
		if r.connected.Err() != nil {
			err = errDisconnected
		}
		if err != nil {
			r.err = err
			return
		}
		select {
		case r.records <- m:
		case <-r.connected.Done():
		}
	}
}

// within calls f, and returns when ctx ends if that is first. What f returns then is dropped.
func within[T any](ctx context.Context, f func() (T, error), drop func(T)) (T, error) {
	type outcome struct {
		value T
		err   error
	}
	done := make(chan outcome, 1)
	go func() {
		v, err := f()
		done <- outcome{v, err}
	}()
	select {
	case o := <-done:
		return o.value, o.err
	case <-ctx.Done():
		if drop != nil {
			go func() {
				if o := <-done; o.err == nil {
					drop(o.value)
				}
			}()
		}
		var none T
		return none, context.Cause(ctx)
	}
}
