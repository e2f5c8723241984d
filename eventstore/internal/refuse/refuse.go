// Package refuse says what a binding does not allow, in the same words for every driver. Its functions return nil, or an
// error that matches [eventstore.ErrUnsupported].
package refuse

import (
	"fmt"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

// Writes refuses the Secret of a subscription.
func Writes(b eventstore.Binding) error {
	if b.Subscription == "" {
		return nil
	}
	return fmt.Errorf("cannot write to store %q: the Secret of subscription %q only reads; open the Secret of the EventStore: %w",
		b.Store, b.Subscription, eventstore.ErrUnsupported)
}

// Expected refuses an expected version in a streaming store.
func Expected(b eventstore.Binding, expected eventstore.Version) error {
	if expected < 0 && expected != eventstore.Any {
		return fmt.Errorf("cannot append to store %q: %d is not a version", b.Store, expected)
	}
	if !b.Streaming || expected == eventstore.Any {
		return nil
	}
	return fmt.Errorf("cannot append to store %q with an expected version: it forgets, so nobody knows a stream's version; use eventstore.Any: %w",
		b.Store, eventstore.ErrUnsupported)
}

// Read refuses to read a stream of a streaming store.
func Read(b eventstore.Binding) error {
	if !b.Streaming {
		return nil
	}
	return fmt.Errorf("cannot read a stream of store %q: it forgets, so it has no index of streams; use Replay or Subscribe: %w",
		b.Store, eventstore.ErrUnsupported)
}

// Snapshots refuses a store without snapshots.
func Snapshots(b eventstore.Binding) error {
	if b.Snapshots {
		return nil
	}
	return fmt.Errorf("cannot use snapshots of store %q: it was made without; set spec.forProvider.snapshots.enabled: %w",
		b.Store, eventstore.ErrUnsupported)
}

// Subscribe refuses the Secret of a store.
func Subscribe(b eventstore.Binding) error {
	if b.Subscription != "" {
		return nil
	}
	return fmt.Errorf("cannot subscribe to store %q with the Secret of the EventStore: open the Secret of a Subscription: %w",
		b.Store, eventstore.ErrUnsupported)
}
