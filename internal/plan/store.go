package plan

import (
	"time"

	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// StoreSettings are the attributes of a store that a spec can ask for and a broker can have.
type StoreSettings struct {
	Owner         Owner
	Partitions    int
	Retention     Retention
	Snapshots     bool
	MaxEventBytes int64         // 0: the broker's limit.
	Replicas      int           // Copies of a record, where their number is fixed at creation. Desired 0: the broker's default.
	MessageTTL    time.Duration // 0: subscriptions skip nothing.
}

// Retention is how much of a log is kept. The zero value keeps everything for ever.
type Retention struct {
	Duration time.Duration // 0: no limit.
	Bytes    int64         // Over all partitions. 0: no limit.
}

// Kind returns the kind of store that follows from the retention.
func (r Retention) Kind() layout.Kind {
	if r == (Retention{}) {
		return layout.Sourcing
	}
	return layout.Streaming
}

// A Principal is a user of the broker that can do one job. The zero value means that there is none.
type Principal struct {
	Name   string
	Digest string // Of the password; how is the backend's business. Never the password itself.
	Rights string // Digest of what the user may do, as the backend spells it.
}

// DesiredStore is a store as its resource asks for it.
type DesiredStore struct {
	StoreSettings
	Name string  // The external name.
	Set  []Field // Fields that the spec sets: what the backend lacks of them is refused.

	// MinInSync is how many copies must be confirmed. 0: the broker's default.
	MinInSync int
	Tiering   Tiering
	Quota     Quota
	// Native are settings by the broker's own names, as the spec has them, and Unmanaged the names of those that are
	// somebody else's.
	Native    map[string]string
	Unmanaged []string
	Tenant    string // Empty: that of the ProviderConfig.
	Schema    Schema

	// Settings is what the backend makes of the fields above, in the broker's own terms, and Invalid what it refuses
	// of them.
	Settings Settings
	Invalid  []Refusal

	// Principal is zero if no Secret is to receive a password.
	Principal Principal
	// Protection says when the store may be deleted.
	Protection Protection
	// RequirePersistence refuses a broker that forgets at a restart what it has acknowledged.
	RequirePersistence bool
}

// Settings are what a broker has of a store or subscription beside what plan knows by a field, by the backend's own names.
// A name without a value, or that is absent, has the broker's default.
type Settings map[string]string

// Tiering moves old events to cheaper storage. The zero value moves nothing.
type Tiering struct {
	After      time.Duration
	AfterBytes int64 // Over all partitions.
}

// Quota limits what a store may hold, and how fast it may be written. The zero value limits nothing.
type Quota struct {
	Bytes            int64
	BytesPerSecond   int64
	AppendsPerSecond int64
}

// A Schema is what the broker checks events with. The zero value means that it checks nothing.
type Schema struct{ Type, Definition, Compatibility string }

// PartitionsToCreate is how many partitions the store gets if it does not exist yet.
func (d DesiredStore) PartitionsToCreate() int {
	if d.Partitions == 0 {
		return layout.DefaultPartitions
	}
	return d.Partitions
}

// Protection says when a store may be deleted.
type Protection string

// Values of spec.forProvider.deletionProtection.
const (
	ProtectWhenNotEmpty Protection = "WhenNotEmpty"
	ProtectAlways       Protection = "Always"
	ProtectNever        Protection = "Never"
)

// ObservedStore is a store as the broker has it. The zero value means that the broker has nothing of it.
type ObservedStore struct {
	StoreSettings
	Marked bool        // It has a marker; else StoreSettings says nothing but Partitions, where the broker has a number.
	Layout int         // Version of the layout, from the marker.
	Kind   layout.Kind // From the marker.
	Logs   []Log       // One for each partition that exists, in order.

	Principal Principal
	Settings  Settings

	// Unavailable says, in half a sentence, what of the store does not answer, such as a partition without a leader.
	// Logs may then be incomplete, and nothing is concluded from them.
	Unavailable string
	// Grown is how many partitions there are beyond those that the store was created with, and GrownRecords what others
	// have written there.
	Grown        int
	GrownRecords int64
	// Remains says, in half a sentence, what else there is under the name of a store without a marker, and would be taken
	// over with it: a topic of snapshots, for example.
	Remains string
	// MaxEventBytesLimit is how large the broker lets maxEventBytes be. 0: not known.
	MaxEventBytesLimit int64

	// Takeovers is how often the store has changed its owner.
	Takeovers int
	// DeadLetters is how many of them all subscriptions of the store have.
	DeadLetters int64
	// Expired is how many events subscriptions have skipped because of MessageTTL, since the broker began to count.
	Expired int64

	// Hazards are settings of the broker that endanger events.
	Hazards []Hazard
	// Persists says whether what the broker has acknowledged outlives a restart, and Persistence in a few words how.
	Persists    bool
	Persistence string
}

// A Hazard is a setting of the broker under which no store is created.
type Hazard struct {
	Reason  Reason
	Message string
}

// A Log is the events of one partition.
type Log struct {
	Partition      int
	Records        int64
	Bytes          int64
	First, Last    string    // Positions; empty without records.
	Oldest, Newest time.Time // Zero without records.
}

// Exists reports whether the broker has anything under the store's name.
func (o ObservedStore) Exists() bool { return o.Marked || len(o.Logs) > 0 || o.Remains != "" }

// Records is how many records all partitions hold.
func (o ObservedStore) Records() (n int64) {
	for _, l := range o.Logs {
		n += l.Records
	}
	return n
}

// Bytes is how much memory or disk all partitions take.
func (o ObservedStore) Bytes() (n int64) {
	for _, l := range o.Logs {
		n += l.Bytes
	}
	return n
}

func (o ObservedStore) has(partition int) bool {
	for _, l := range o.Logs {
		if l.Partition == partition {
			return true
		}
	}
	return false
}

// Context is what a plan depends on besides the two states.
type Context struct {
	Capabilities Capabilities
	UID          string // Of the resource.
	Confirm      string // Value of its confirm annotation.
	OwnerGone    bool   // The owner that the marker names does not exist in this control plane.
	ObserveOnly  bool   // The resource may change nothing on the broker, so nothing is claimed either.
	Namespace    string // Stores of other names are not this resource's to name; empty for those that may name any.

	// AppliedSettings are names of native settings that the provider has set: one that leaves the spec is reset.
	AppliedSettings []string
	// KnownRecords is how many records each partition held when that was last seen.
	KnownRecords map[int]int64
	// AcceptedLosses is how often a person has confirmed that records are gone. It is part of the next token, so that
	// a confirmation that stays in place never covers a second loss.
	AcceptedLosses int
	// KnownPositions is where a subscription was, by partition, when that was last seen; KnownStore is when the store was
	// created whose records they are of, as in an observation, if that is known.
	KnownPositions map[int]string
	KnownStore     string
	// KnownReplay is the ID of the replay that was last seen to be done. A broker that has lost its memory of it must
	// not make it again.
	KnownReplay string
}
