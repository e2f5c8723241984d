package pulsar

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// A marker is kept in properties of the namespace, two for each round. A round begins when somebody claims a store or
// subscription, or begins to delete it; only that of the highest number counts. See claim.go for how it is won.
//
//	es.store.<round>                         a claim, as JSON; it never changes
//	es.store.<round>.settings                what the winner of the round has set, as JSON
//	es.subscription.<sub>.<round>            the same for a subscription
//	es.subscription.<sub>.<round>.settings
//
// What a former owner writes late is in the properties of its own round, and so has no effect.
const (
	storePrefix        = "es.store."
	subscriptionPrefix = "es.subscription."
	settingsSuffix     = ".settings"
)

// subscriptionKeys is how the properties of a subscription begin.
func subscriptionKeys(subscription string) string { return subscriptionPrefix + subscription + "." }

// A claim says whose a store or subscription is.
type claim struct {
	Layout     int       `json:"layout"`
	Partitions int       `json:"partitions"`
	Hash       string    `json:"hash,omitempty"`
	Owner      ownerJSON `json:"owner"`
	Takeovers  int       `json:"takeovers,omitempty"`
	Deleting   bool      `json:"deleting,omitempty"` // The owner is deleting it, and nobody else can claim it.
	Created    string    `json:"created,omitempty"`  // When, by the clock of who created it.
}

type ownerJSON struct {
	ControlPlane string `json:"controlPlane"`
	Group        string `json:"group"`
	Kind         string `json:"kind"`
	Namespace    string `json:"namespace,omitempty"`
	Name         string `json:"name"`
	UID          string `json:"uid"`
}

func (c claim) owner() plan.Owner { return plan.Owner(c.Owner) }

// same reports whether the claim is by the resource, which may have been made anew since.
func (c claim) same(o plan.Owner) bool {
	o.UID = c.Owner.UID
	return c.owner() == o
}

// A principalNote says who was given rights.
type principalNote struct {
	Name   string `json:"name"`
	Digest string `json:"digest"`

	Granted []grant `json:"granted,omitempty"` // What a provided one got here, and could not do before.
}

// storeSettings are what a store has beside what Pulsar itself knows, or knows less exactly: retention in whole minutes and
// for each partition, for example.
type storeSettings struct {
	Kind           layout.Kind    `json:"kind"`
	Retention      duration       `json:"retention,omitempty"`
	RetentionBytes int64          `json:"retentionBytes,omitempty"`
	MessageTTL     duration       `json:"messageTTL,omitempty"`
	MaxEventBytes  int64          `json:"maxEventBytes,omitempty"`
	Snapshots      bool           `json:"snapshots,omitempty"`
	Schema         bool           `json:"schema,omitempty"` // The events topic has a schema of ours.
	Principal      *principalNote `json:"principal,omitempty"`
}

// subscriptionSettings are the same for a subscription, with what was done to its position.
type subscriptionSettings struct {
	DeadLetterRetention duration       `json:"deadLetterRetention,omitempty"`
	Positioned          bool           `json:"positioned,omitempty"` // Every partition has had a position.
	Placing             map[int]string `json:"placing,omitempty"`    // Positions that are being set, and may not be yet.
	Kept                []int          `json:"kept,omitempty"`       // Partitions that had a position before the marker: it stays.
	Replay              string         `json:"replay,omitempty"`     // The replay that was done last.
	Pending             string         `json:"pending,omitempty"`    // The replay that has begun.
	Places              []string       `json:"places,omitempty"`     // Where the pending one goes, by partition.
	Principal           *principalNote `json:"principal,omitempty"`
}

// A duration is spelled as Go does.
type duration time.Duration

func (d duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

func (d *duration) UnmarshalText(b []byte) error {
	t, err := time.ParseDuration(string(b))
	*d = duration(t)
	return err
}

// A marker is what the properties of a namespace say of one store or subscription. The zero value means that there is none.
type marker[S any] struct {
	round    int // 0: none.
	claim    claim
	settings S
}

func (m marker[S]) marked() bool { return m.round > 0 }

// decodeMarker reads the marker whose properties begin with prefix.
func decodeMarker[S any](properties map[string]string, prefix string) (marker[S], error) {
	var m marker[S]
	for key, value := range properties {
		rest, ok := strings.CutPrefix(key, prefix)
		if !ok {
			continue
		}
		round, err := strconv.Atoi(rest) // Fails for settings, and for what is another subscription's.
		if err != nil || round <= m.round {
			continue
		}
		m.round, m.claim = round, claim{}
		if err := json.Unmarshal([]byte(value), &m.claim); err != nil {
			return m, damaged(key)
		}
	}
	// A winner that has not come to write its settings has those of its predecessor.
	for round := m.round; round > 0; round-- {
		key := prefix + strconv.Itoa(round) + settingsSuffix
		value, ok := properties[key]
		if !ok {
			continue
		}
		if err := json.Unmarshal([]byte(value), &m.settings); err != nil {
			return m, damaged(key)
		}
		break
	}
	return m, nil
}

func damaged(property string) error {
	return dataError{fmt.Errorf("its marker is damaged: the namespace's property %q cannot be read: put the right value there, or remove it", property)}
}

// properties returns the properties of one round.
func (m marker[S]) properties(prefix string) map[string]string {
	key := prefix + strconv.Itoa(m.round)
	return map[string]string{key: encode(m.claim), key + settingsSuffix: encode(m.settings)}
}

func encode(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // Markers hold only what always marshals.
	}
	return string(b)
}

// decodeStore reads a store's marker.
func decodeStore(properties map[string]string) (marker[storeSettings], error) {
	m, err := decodeMarker[storeSettings](properties, storePrefix)
	if err != nil || !m.marked() || m.claim.Layout > layout.Version { // Whatever else it says, it may say differently.
		return m, err
	}
	key := storePrefix + strconv.Itoa(m.round)
	if m.claim.Layout < 1 || m.claim.Partitions < 1 || m.claim.Partitions > maxPartitions || m.claim.Hash != layout.Hash {
		return m, damaged(key)
	}
	if m.settings.Kind != layout.Sourcing && m.settings.Kind != layout.Streaming {
		return m, damaged(key + settingsSuffix)
	}
	return m, nil
}

// decodeSubscription reads a subscription's marker.
func decodeSubscription(properties map[string]string, name string) (marker[subscriptionSettings], error) {
	m, err := decodeMarker[subscriptionSettings](properties, subscriptionKeys(name))
	if err == nil && m.claim.Partitions > maxPartitions {
		err = damaged(subscriptionKeys(name) + strconv.Itoa(m.round))
	}
	return m, err
}

// newSettings are the settings that a store begins with.
func newSettings(d plan.DesiredStore) storeSettings {
	return storeSettings{
		Kind: d.Retention.Kind(), Retention: duration(d.Retention.Duration), RetentionBytes: d.Retention.Bytes,
		MessageTTL: duration(d.MessageTTL), MaxEventBytes: d.MaxEventBytes, Snapshots: d.Snapshots,
	}
}
