// Package backend is the contract between the provider and one kind of broker: what must be true of an implementation,
// whatever it administers. Implementations are in packages below, and decide nothing: [plan] does.
//
// Every method may be called concurrently, honours its context, and takes many resources at once, because a broker that
// is asked once for a thousand stores answers much sooner than one that is asked a thousand times. The i-th result
// belongs to the i-th request, and one that fails fails alone.
package backend

import (
	"context"
	"errors"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// A Backend administers the stores and subscriptions of one broker.
type Backend interface { //nolint:interfacebloat // Two kinds of resource, each read, applied, deleted and described.
	// Capabilities returns what the backend can do. It never changes.
	Capabilities() plan.Capabilities

	// Health asks the broker for its version. An error says in one sentence why it cannot be used; it is
	// [ErrUnauthorized] if the broker answers, and refuses the credentials or what they may do.
	Health(ctx context.Context) (Health, error)

	// ReadStores observes stores. A store that does not exist is a zero observation, not an error.
	// The number of round trips does not depend on the number of stores, where the broker's protocol lets one ask for many.
	ReadStores(ctx context.Context, names []string) []Result[plan.ObservedStore]

	// ReadSubscriptions observes subscriptions, in the way of ReadStores. A store whose deletion has begun is gone for them.
	ReadSubscriptions(ctx context.Context, ids []SubscriptionID) []Result[plan.ObservedSubscription]

	// ApplyStores makes changes that were planned. Each is idempotent, and made in the order of the plan, so that a
	// crash after any of them leaves what the next plan completes. The owner's change is conditional: it fails with
	// [ErrConflict] if the marker is not as it was observed.
	ApplyStores(ctx context.Context, changes []StoreChange) []error

	// ApplySubscriptions makes changes that were planned, in the way of ApplyStores.
	ApplySubscriptions(ctx context.Context, changes []SubscriptionChange) []error

	// FenceStores takes the right to write from the stores' principals, and cuts their connections. A store without a
	// principal cannot be fenced, and is no error.
	FenceStores(ctx context.Context, names []string) []error

	// UnfenceStores gives back what FenceStores took, with the password that the principal had. It is idempotent.
	UnfenceStores(ctx context.Context, names []string) []error

	// DeleteStores deletes stores with everything that they hold, and their principals; the marker goes last.
	// What is already gone is no error. A store that has another owner than the one that deletes it fails with
	// [ErrConflict], and nobody can take over one whose deletion has begun.
	DeleteStores(ctx context.Context, deletions []StoreDeletion) []error

	// DeleteSubscriptions deletes subscriptions, their dead letters and their principals, in the way of DeleteStores. It
	// works for subscriptions whose store is gone.
	DeleteSubscriptions(ctx context.Context, deletions []SubscriptionDeletion) []error

	// StoreSettings and SubscriptionSettings say in the broker's own terms what a resource asks for, in those of an
	// observation, and refuse what the broker would not take. Both do no I/O.
	StoreSettings(d plan.DesiredStore) (plan.Settings, []plan.Refusal)
	SubscriptionSettings(d plan.DesiredSubscription) plan.Settings

	// StorePrincipal and SubscriptionPrincipal describe the user that ApplyStores and ApplySubscriptions make for the
	// password, in the terms of an observation. If user is not empty, it is one that exists already, and is only given
	// its rights; a backend that cannot do so returns none.
	StorePrincipal(name, user, password string) plan.Principal
	SubscriptionPrincipal(id SubscriptionID, user, password string) plan.Principal

	// Connection returns what a client needs to reach the broker, by the keys of a connection Secret (see
	// [layout]): everything but what belongs to one store, and no user.
	Connection() map[string][]byte

	// Close releases the connections. Calls under way fail.
	Close() error
}

// A Maintainer does regularly what other brokers do by themselves, such as dropping events past their retention.
type Maintainer interface {
	// Maintain does one small step for each of the stores, and returns promptly.
	Maintain(ctx context.Context, names []string) error
}

// An Issuer makes the passwords of principals itself, such as tokens that the broker checks by their signature. Others
// take any password.
type Issuer interface {
	// Issue returns current if it is still good for principal, else a new password.
	Issue(principal, current string) (password string, err error)
}

// ErrConflict means that a store or subscription changed its owner since it was observed.
var ErrConflict = errors.New("somebody else has claimed it meanwhile")

// ErrUnauthorized means that the broker refuses the credentials, or what they may do.
var ErrUnauthorized = errors.New("the broker refuses the credentials")

// A SubscriptionID names a subscription on a broker.
type SubscriptionID struct{ Store, Name string }

func (id SubscriptionID) String() string { return id.Store + "/" + id.Name }

// A Result is one answer out of a batch.
type Result[T any] struct {
	Value T
	Err   error
}

// A StoreChange makes one store what it should be.
type StoreChange struct {
	Desired  plan.DesiredStore
	Observed plan.ObservedStore
	Changes  []plan.Change
	Password string // For a change of the principal.
}

// A SubscriptionChange makes one subscription what it should be.
type SubscriptionChange struct {
	Desired  plan.DesiredSubscription
	Observed plan.ObservedSubscription
	Changes  []plan.Change
	Restore  map[int]string // Positions to restore, by partition, for changes of FieldGroup; others begin at StartFrom.
	Password string         // For a change of the principal.
}

// ID returns the name of the subscription that changes.
func (c SubscriptionChange) ID() SubscriptionID {
	return SubscriptionID{Store: c.Desired.Store, Name: c.Desired.Name}
}

// A StoreDeletion deletes one store, on behalf of its owner.
type StoreDeletion struct {
	Name  string
	Owner plan.Owner
}

// A SubscriptionDeletion deletes one subscription, on behalf of its owner.
type SubscriptionDeletion struct {
	ID    SubscriptionID
	Owner plan.Owner
}

// Health is what a broker says of itself.
type Health struct {
	Version   string
	Endpoint  string // host:port
	RoundTrip time.Duration
	Warnings  []string // What may hurt soon, one sentence each.
}
