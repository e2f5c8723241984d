// Package backdoor goes to brokers past the provider: it changes there what the provider must put right, writes and reads
// as applications do with their connection Secrets, and looks what is left of a store. One file knows one broker; what
// uses the package knows none.
package backdoor

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/stack"
	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

// A Broker is one broker, with all rights. It may be used concurrently.
type Broker interface {
	// Changes are the kinds of change that somebody can make behind the provider's back, and that it must put right.
	Changes() []Change

	// Connect is an application with a connection Secret: of a store, which writes and reads back, or of a subscription,
	// which consumes.
	Connect(ctx context.Context, s eventstore.Secret) (Application, error)

	// Traces names what the broker has of stores whose names begin with prefix, and of their subscriptions and users.
	Traces(ctx context.Context, prefix string) ([]string, error)

	// Commands is how many commands the broker has carried out for whomever since it started; ok is false if it does not
	// count them.
	Commands(ctx context.Context) (n float64, ok bool, err error)

	Close() error
}

// Open returns those of the brokers of a stack that are named, in that order.
func Open(s *stack.Stack, names []string) ([]Broker, error) {
	var brokers []Broker
	for _, name := range names {
		var b Broker
		var err error
		switch {
		case name == stack.Redis && s.Redis != nil:
			b = Redis(s.Redis)
		case name == stack.Kafka && s.Kafka != nil:
			b, err = Kafka(s.Kafka)
		case name == stack.Pulsar && s.Pulsar != nil:
			b, err = Pulsar(s.Pulsar)
		default:
			err = fmt.Errorf("broker %q does not run: start it with go run ./cluster/local up --brokers %s", name, strings.Join(names, ","))
		}
		if err != nil {
			return nil, err
		}
		brokers = append(brokers, b)
	}
	return brokers, nil
}

// A Target is what is changed: a store, or one of its subscriptions.
type Target struct {
	Store        string
	Subscription string // Empty: the store.
}

func (t Target) String() string {
	if t.Subscription == "" {
		return t.Store
	}
	return t.Store + "/" + t.Subscription
}

// A Change is one kind of change.
type Change struct {
	Name         string // What happened, such as "user deleted".
	Subscription bool   // It happens to subscriptions; else to stores.

	// Destroys: a store that holds records would lose them, and the provider rightly leaves that to a person.
	Destroys bool

	// Idle: it can only be made while nobody consumes.
	Idle bool

	// Make makes the change.
	Make func(ctx context.Context, t Target) error

	// See tells what is there of what the change concerns: the same once it is repaired, and something else until then.
	See func(ctx context.Context, t Target) (string, error)
}

// An Application is a client with the rights of one connection Secret. Write may be called concurrently.
type Application interface {
	// Write appends one record that carries the id, and returns when the broker has acknowledged it. After an error it is
	// unknown whether the record is there.
	Write(ctx context.Context, id string) error

	// Records returns how often each id is in the store.
	Records(ctx context.Context) (map[string]int, error)

	// Consume calls handle for each record of the subscription, and commits its position now and then, until ctx ends. It
	// returns early if the broker fails it: call it again.
	Consume(ctx context.Context, handle func(id string)) error

	Close() error
}

// Repair makes a change, and returns how long it took until what is there is as it was before. The time counts from when
// the change was made.
func Repair(ctx context.Context, c Change, t Target, before string, patience time.Duration) (time.Duration, error) {
	var made time.Time
	for attempt := 1; ; attempt++ {
		if err := c.Make(ctx, t); err != nil {
			return 0, fmt.Errorf("cannot make the change %q to %s: %w", c.Name, t, err)
		}
		made = time.Now() // Not before: it may have waited until nobody consumes.
		seen, err := changed(ctx, c, t, before)
		if err != nil {
			return 0, err
		}
		if seen {
			break
		}
		// Either the provider was faster than we look, or the change did nothing. Who is never seen to be wrong was not.
		if attempt == 3 {
			return 0, fmt.Errorf("the change %q to %s has no effect that anybody could see: there is %q", c.Name, t, before)
		}
	}
	if err := Await(ctx, c, t, before, patience); err != nil {
		return 0, fmt.Errorf("the change %q to %s is not repaired: %w", c.Name, t, err)
	}
	return time.Since(made), nil
}

// Await waits until what a change concerns is as it should be.
func Await(ctx context.Context, c Change, t Target, want string, patience time.Duration) error {
	for end := time.Now().Add(patience); ; {
		now, err := c.See(ctx, t)
		switch {
		case err == nil && now == want:
			return nil
		case time.Now().After(end) && err != nil:
			return fmt.Errorf("it cannot be seen after %s: %w", patience, err)
		case time.Now().After(end):
			return fmt.Errorf("after %s there is %q, and there should be %q", patience, now, want)
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}

// changed waits until the change can be seen: a broker of several parts may show it a moment later.
func changed(ctx context.Context, c Change, t Target, before string) (bool, error) {
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); {
		now, err := c.See(ctx, t)
		if err == nil && now != before {
			return true, nil
		}
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return false, err
		}
	}
	return false, nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
