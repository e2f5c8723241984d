package eventstore

import (
	"errors"
	"time"
)

// Delivery says how [Subscriber.Subscribe] delivers. Its defaults come from the subscription's Secret, and so from the
// Subscription resource; a [SubscribeOption] changes one for this consumer. Drivers get it from [Binding].
type Delivery struct {
	MaxDeliveries  int           // Deliveries of an event until it becomes a dead letter. Default: 5.
	InitialBackoff time.Duration // Pause after the first failure; it doubles with each. Default: 1s.
	MaxBackoff     time.Duration // Longest pause. Default: 30s.
	DeadLetter     bool          // Whether there are dead letters. Only the resource can say so.
	EventTypes     []string      // Types to deliver; others are acknowledged unseen. Empty: all.
	Unordered      bool          // Whether events of one stream may be delivered side by side (type Shared).
	Concurrency    int           // Handlers that run at a time in this consumer. Default: 16.
	Grace          time.Duration // How long handlers may go on when Subscribe stops. Default: 10s.
}

// DefaultDelivery is what holds where the Secret says nothing.
func DefaultDelivery() Delivery {
	return Delivery{
		MaxDeliveries: 5, InitialBackoff: time.Second, MaxBackoff: 30 * time.Second, DeadLetter: true,
		Concurrency: 16, Grace: 10 * time.Second,
	}
}

// A SubscribeOption changes how one consumer is served.
type SubscribeOption func(*Delivery)

// WithMaxDeliveries says how often an event is delivered until it becomes a dead letter.
func WithMaxDeliveries(n int) SubscribeOption { return func(d *Delivery) { d.MaxDeliveries = n } }

// WithBackoff sets the pause after the first failure of an event, which doubles with each further one, and its longest.
func WithBackoff(initial, longest time.Duration) SubscribeOption {
	return func(d *Delivery) { d.InitialBackoff, d.MaxBackoff = initial, longest }
}

// WithConcurrency says how many handlers may run at a time in this consumer. With 1 they run one after another.
func WithConcurrency(n int) SubscribeOption { return func(d *Delivery) { d.Concurrency = n } }

// WithGrace says how long running handlers may go on when Subscribe stops; then their context ends.
func WithGrace(t time.Duration) SubscribeOption { return func(d *Delivery) { d.Grace = t } }

// With returns d with opts applied, or says what contradicts.
func (d Delivery) With(opts ...SubscribeOption) (Delivery, error) {
	for _, o := range opts {
		o(&d)
	}
	switch {
	case d.MaxDeliveries < 1:
		return d, errors.New("cannot subscribe: max deliveries must be at least 1")
	case d.Concurrency < 1:
		return d, errors.New("cannot subscribe: concurrency must be at least 1")
	case d.InitialBackoff < 0 || d.MaxBackoff < d.InitialBackoff:
		return d, errors.New("cannot subscribe: the longest backoff must not be shorter than the initial one")
	case d.Grace < 0:
		return d, errors.New("cannot subscribe: grace must not be negative")
	}
	return d, nil
}

// Backoff is the pause after the n-th failure, counted from 1.
func (d Delivery) Backoff(n int) time.Duration {
	pause := d.InitialBackoff
	for ; n > 1 && pause < d.MaxBackoff; n-- {
		pause *= 2
	}
	return min(pause, d.MaxBackoff)
}
