package kafka

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// maxPartitions is how many partitions a marker may claim. More is damage.
const maxPartitions = 1024

// deleting is what a marker says once its deletion has begun: nobody can claim it any more.
const deleting = "begun"

// An owner is a [plan.Owner], as JSON.
type owner struct {
	ControlPlane string `json:"controlPlane"`
	Group        string `json:"group"`
	Kind         string `json:"kind"`
	Namespace    string `json:"namespace,omitempty"`
	Name         string `json:"name"`
	UID          string `json:"uid"`
}

// sameResource reports whether both name one resource, which may have been made anew since.
func (o owner) sameResource(other plan.Owner) bool {
	o.UID, other.UID = "", ""
	return plan.Owner(o) == other
}

// A grant is the user that a store or subscription has given rights to.
type grant struct {
	User string `json:"user,omitempty"`

	// Password is a digest of the password that a managed user was given, too short to find it by. The broker tells nothing
	// of a password but the number of iterations, and two passwords can have the same.
	Password string `json:"password,omitempty"`
}

// A common is what all markers have.
type common struct {
	Layout     int    `json:"layout"`
	Partitions int    `json:"partitions"`
	Owner      owner  `json:"owner"`
	Takeovers  int    `json:"takeovers,omitempty"`
	Created    string `json:"created,omitempty"` // By the provider's clock.
	Deletion   string `json:"deletion,omitempty"`
	Grant      grant  `json:"grant,omitzero"`
}

// A storeMarker says whose a store is, and what its resource asked for where topics cannot say it exactly: they keep
// milliseconds, and bytes of each partition.
type storeMarker struct {
	common

	Hash          string      `json:"hash"`
	Kind          layout.Kind `json:"kind"`
	Retention     duration    `json:"retention,omitempty"`
	RetainedBytes int64       `json:"retainedBytes,omitempty"`
	MaxEventBytes int64       `json:"maxEventBytes,omitempty"`
	Snapshots     bool        `json:"snapshots,omitempty"`

	// SnapshotsTopic says that the topic of snapshots is the store's: the provider has made it, or was about to, or has
	// adopted it with the store. One of that name that is not is never touched.
	SnapshotsTopic bool `json:"snapshotsTopic,omitempty"`
}

// A subscriptionMarker says whose a subscription is, and what was done to its positions.
type subscriptionMarker struct {
	common

	DeadLetterRetention duration `json:"deadLetterRetention,omitempty"`
	Positioned          bool     `json:"positioned,omitempty"`   // Every partition had a position once.
	PositionedIn        string   `json:"positionedIn,omitempty"` // When the store was created that it had them in.
	Replay              string   `json:"replay,omitempty"`       // The replay that was done last.
	Pending             *pending `json:"pending,omitempty"`
}

// position notes that every partition has its position, in the store that was created then. What was replayed in an earlier
// one of the same name was not replayed in this one.
func (m *subscriptionMarker) position(store string) {
	if m.PositionedIn != store {
		m.Replay, m.Pending = "", nil
	}
	m.Positioned, m.PositionedIn = true, store
}

// A pending replay goes to places that were noted when it began, so that "the latest record" is not a later one after a
// crash.
type pending struct {
	ID     string  `json:"id"`
	Places []int64 `json:"places"` // By partition.
}

// A duration is one as text, such as 72h0m0s.
type duration time.Duration

func (d duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

func (d *duration) UnmarshalText(b []byte) error {
	t, err := time.ParseDuration(string(b))
	if err == nil && t < 0 {
		err = errors.New("a duration is below zero")
	}
	*d = duration(t)
	return err
}

// encode returns the value of a record.
func encode(marker any) []byte {
	b, err := json.Marshal(marker)
	if err != nil {
		panic(err) // Markers hold only what always marshals.
	}
	return b
}

// A damagedError says what is wrong with a marker.
type damagedError struct{ what string }

func (e damagedError) Error() string {
	return "its marker in the registry topic is damaged (" + e.what + "): write the right one there, or delete it"
}

func decodeStore(value []byte) (*storeMarker, error) {
	m := &storeMarker{}
	if err := decode(value, m, &m.common); err != nil {
		return nil, err
	}
	if m.Layout > layout.Version { // Whatever else it says, it may say differently.
		return m, nil
	}
	switch {
	case m.Kind != layout.Sourcing && m.Kind != layout.Streaming:
		return nil, damagedError{fmt.Sprintf("kind is %.20q", m.Kind)}
	case m.Hash != layout.Hash:
		return nil, damagedError{fmt.Sprintf("hash is %.20q", m.Hash)}
	case m.RetainedBytes < 0 || m.MaxEventBytes < 0:
		return nil, damagedError{"a size is below zero"}
	}
	return m, nil
}

func decodeSubscription(value []byte) (*subscriptionMarker, error) {
	m := &subscriptionMarker{}
	return m, decode(value, m, &m.common)
}

func decode(value []byte, marker any, c *common) error {
	if err := json.Unmarshal(value, marker); err != nil && c.Layout <= layout.Version {
		return damagedError{"it is no JSON of a marker"}
	}
	if c.Layout < 1 {
		return damagedError{"it has no layout"}
	}
	if c.Partitions < 1 || c.Partitions > maxPartitions {
		return damagedError{fmt.Sprintf("partitions is %d", c.Partitions)}
	}
	return nil
}
