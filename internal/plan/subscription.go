package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// SubscriptionSettings are the attributes of a subscription that a spec can ask for and a broker can have.
type SubscriptionSettings struct {
	Owner               Owner
	DeadLetterRetention time.Duration // 0: for ever.
}

// DesiredSubscription is a subscription as its resource asks for it.
type DesiredSubscription struct {
	SubscriptionSettings
	Store, Name string  // External names.
	Set         []Field // Fields that the spec sets.
	StartFrom   Start
	Replay      *Replay
	Principal   Principal

	DeadLetter bool // Events that it gives up on are kept.
	// Settings is what the backend makes of the subscription, in the broker's own terms.
	Settings Settings
}

// String names the subscription as people know it.
func (d DesiredSubscription) String() string { return d.Store + "/" + d.Name }

// Start says where reading begins. Exactly one of its fields is set.
type Start struct {
	Earliest  bool
	Latest    bool
	Time      time.Time
	Positions map[int]string // The first record to read, by partition; others begin with their first record.
}

func (s Start) String() string {
	switch {
	case s.Latest:
		return "Latest"
	case !s.Time.IsZero():
		return s.Time.UTC().Format(time.RFC3339Nano)
	case len(s.Positions) > 0:
		parts := make([]string, 0, len(s.Positions))
		for p, at := range s.Positions {
			parts = append(parts, fmt.Sprintf("%d@%s", p, at))
		}
		slices.Sort(parts)
		return strings.Join(parts, " ")
	default:
		return "Earliest"
	}
}

// A Replay moves the position once: when its ID is new.
type Replay struct {
	ID   string
	From Start
}

// ObservedSubscription is a subscription as the broker has it. The zero value means that the broker has nothing of it.
type ObservedSubscription struct {
	SubscriptionSettings
	Marked    bool
	Created   bool // Positions of all partitions were set once, from StartFrom. Missing ones are restored since.
	Takeovers int  // How often the subscription has changed its owner.
	StoreGone bool // The store has no marker.
	// StoreHasLogs means that the store, though it has no marker, has logs: it is damaged, and not gone.
	StoreHasLogs bool
	StoreCreated string // When the store got its marker: another store of the same name has another.
	PositionedIn string // StoreCreated of the store that Created is about; empty: nobody noted it.
	Partitions   int    // Of the store.
	Groups       []Group
	DeadLetters  int64
	LastReplay   string   // ID of the replay that was done last.
	Consumers    []string // Names of those that read now.
	Principal    Principal
	Settings     Settings

	// Unavailable says, in half a sentence, what of the subscription or its store does not answer. Groups may then be
	// incomplete, and nothing is concluded from them.
	Unavailable string
}

// A Group is where a subscription is in one partition.
type Group struct {
	Partition int
	Position  string // Of the first record that is not acknowledged.
	Lag       int64  // Records that are not acknowledged.
	// OldestUnread is when the record at Position was appended; zero without lag.
	OldestUnread time.Time
}

// Exists reports whether the broker has a subscription that somebody owns. Groups without a marker are nobody's.
func (o ObservedSubscription) Exists() bool { return o.Marked }

// Lag is how many records are not acknowledged, over all partitions.
func (o ObservedSubscription) Lag() (records int64) {
	for _, g := range o.Groups {
		records += g.Lag
	}
	return records
}

func (o ObservedSubscription) has(partition int) bool {
	return slices.ContainsFunc(o.Groups, func(g Group) bool { return g.Partition == partition })
}

// Subscription plans what makes the broker's subscription what its resource asks for.
func Subscription(d DesiredSubscription, o ObservedSubscription, c Context) Plan {
	var p Plan
	p.Refusals = append(p.Refusals, refuseUnsupported(c.Capabilities, d.Set)...)
	if err := layout.ValidateSubscription(d.Name); err != nil {
		p.Refusals = append(p.Refusals, Refusal{
			Reason: ReasonInvalidName, Field: FieldName,
			Message: fmt.Sprintf("The external name is refused: %v: set the annotation crossplane.io/external-name to another", err),
		})
	}
	if r, ok := refuseName(d.Store, c); ok {
		p.Refusals = append(p.Refusals, r)
		return p
	}
	if c.ObserveOnly {
		return Plan{Unavailable: o.Unavailable}
	}
	if err := layout.ValidateStore(d.Store); err != nil {
		p.refuse(Refusal{
			Reason: ReasonInvalidName, Field: FieldStore, Blocks: true,
			Message: fmt.Sprintf("No store can have this name: %v: correct eventStore or eventStoreRef", err),
		})
		return p
	}
	if o.StoreGone {
		p.Refusals = append(p.Refusals, Refusal{
			Reason: ReasonStoreNotFound, Field: FieldStore, Blocks: true,
			Message: fmt.Sprintf("Store %q does not exist on the broker yet: create its EventStore, or correct eventStore or eventStoreRef", d.Store),
		})
		return p
	}
	if o.Unavailable != "" {
		p.Unavailable = o.Unavailable
		return p
	}
	if known := cmp.Or(c.KnownStore, o.PositionedIn); known != "" && known != o.StoreCreated && len(o.Groups) == 0 {
		o.Created, o.LastReplay, c.KnownPositions = false, "", nil // They were positions in a store that is gone.
	}
	if !o.Exists() && len(o.Groups) == 0 {
		return createSubscription(p, d, o, c)
	}
	if !o.Exists() && len(c.KnownPositions) > 0 { // It was ours, and has lost its marker alone.
		o.Owner = d.Owner
		p.Changes = append(p.Changes, Change{Field: FieldOwner, From: "lost", To: d.Owner.String()})
	}
	changes, refusals := claim(fmt.Sprintf("Subscription %q", d), d.Owner, o.Owner, o.Takeovers, c)
	p.Changes, p.Refusals = append(p.Changes, changes...), append(p.Refusals, refusals...)
	if p.Blocked() {
		return p
	}
	if d.DeadLetterRetention != o.DeadLetterRetention && !p.refuses(FieldDeadLetterRetention) {
		p = diffDeadLetters(p, d, o, c)
	}
	p.Changes = append(p.Changes, d.Settings.diff(o.Settings)...)
	p = diffGroups(p, d, o, c)
	if !o.Created {
		p.Changes = append(p.Changes, positioned())
	}
	p = diffReplay(p, d, o, c)
	p.Changes = append(p.Changes, diffPrincipal(d.Principal, o.Principal)...)
	p.leaveOutRefused()
	return p
}

func createSubscription(p Plan, d DesiredSubscription, o ObservedSubscription, c Context) Plan {
	if len(p.Refusals) > 0 {
		for i := range p.Refusals {
			p.Refusals[i].Blocks = true
		}
		return p
	}
	p.Changes = append(p.Changes, Change{Field: FieldOwner, To: d.Owner.String()})
	p.Changes = append(p.Changes, d.Settings.diff(o.Settings)...)
	for i := range o.Partitions {
		if at, ok := c.KnownPositions[i]; ok { // The marker is gone too, and status still knows: nothing jumps.
			p.Changes = append(p.Changes, Change{Field: FieldGroup, Partition: i, From: "missing", To: at})
			continue
		}
		p.Changes = append(p.Changes, Change{Field: FieldGroup, Partition: i, To: d.StartFrom.String()})
	}
	p.Changes = append(p.Changes, positioned())
	p.Changes = append(p.Changes, diffPrincipal(d.Principal, o.Principal)...)
	return p
}

// positioned notes that every partition has its position. It is a change of its own, so that whoever crashes before it
// finds it planned again.
func positioned() Change { return Change{Field: FieldPositioned, To: "set in every partition"} }

// diffGroups plans positions that the broker has lost. StartFrom was for the beginning: afterwards a position comes back
// as it was last seen, and never silently at either end.
func diffGroups(p Plan, d DesiredSubscription, o ObservedSubscription, c Context) Plan {
	for i := range o.Partitions {
		if o.has(i) {
			continue
		}
		at, known := c.KnownPositions[i]
		token := Token(c.UID, FieldGroup, fmt.Sprintf("%s#%d", d.StartFrom, c.AcceptedLosses))
		switch {
		case known:
			p.Changes = append(p.Changes, Change{Field: FieldGroup, Partition: i, From: "missing", To: at})
		case !o.Created || Confirmed(c.Confirm, token):
			p.LossAccepted = p.LossAccepted || o.Created
			p.Changes = append(p.Changes, Change{Field: FieldGroup, Partition: i, To: d.StartFrom.String()})
		default:
			p.Refusals = append(p.Refusals, Refusal{
				Reason: ReasonPositionUnknown, Field: FieldGroup, Token: token,
				Message: fmt.Sprintf("Subscription %q lost its position in partition %d, and status does not know it: confirm with %s to begin at startFrom (%s), or set replay", d, i, token, d.StartFrom),
			})
		}
	}
	return p
}

// diffReplay plans a replay whose ID is new, unless consumers read: they would go on where they were, and acknowledge
// what the replay has just put back.
func diffReplay(p Plan, d DesiredSubscription, o ObservedSubscription, c Context) Plan {
	if d.Replay == nil || d.Replay.ID == o.LastReplay || o.LastReplay == "" && d.Replay.ID == c.KnownReplay {
		return p
	}
	token := Token(c.UID, FieldReplay, o.LastReplay+" -> "+d.Replay.ID)
	if len(o.Consumers) > 0 && c.Capabilities.ReplayNeedsIdle {
		p.Refusals = append(p.Refusals, Refusal{
			Reason: ReasonReplayBusy, Field: FieldReplay,
			Message: fmt.Sprintf("Replay %q waits while consumers read (%s): stop them, and it is done", d.Replay.ID, strings.Join(o.Consumers, ", ")),
		})
		return p
	}
	if len(o.Consumers) > 0 && !Confirmed(c.Confirm, token) {
		p.Refusals = append(p.Refusals, Refusal{
			Reason: ReasonReplayBusy, Field: FieldReplay, Token: token,
			Message: fmt.Sprintf("Replay %q waits while consumers read (%s): stop them, or confirm with %s", d.Replay.ID, strings.Join(o.Consumers, ", "), token),
		})
		return p
	}
	p.Changes = append(p.Changes, Change{Field: FieldReplay, From: o.LastReplay, To: fmt.Sprintf("%s from %s", d.Replay.ID, d.Replay.From)})
	return p
}

// diffDeadLetters plans how long dead letters are kept. A shorter time drops some.
func diffDeadLetters(p Plan, d DesiredSubscription, o ObservedSubscription, c Context) Plan {
	from, to := duration(int64(o.DeadLetterRetention)), duration(int64(d.DeadLetterRetention))
	shrinks := d.DeadLetterRetention != 0 && (o.DeadLetterRetention == 0 || d.DeadLetterRetention < o.DeadLetterRetention)
	token := Token(c.UID, FieldDeadLetterRetention, from+" -> "+to)
	if shrinks && o.DeadLetters > 0 && !Confirmed(c.Confirm, token) {
		p.Refusals = append(p.Refusals, Refusal{
			Reason: ReasonDeadLettersNotEmpty, Field: FieldDeadLetterRetention, Token: token,
			Message: fmt.Sprintf("deadLetter.retention is %s on the broker and %s in the spec, which would drop dead letters: handle them, or confirm with %s", from, to, token),
		})
		return p
	}
	p.Changes = append(p.Changes, Change{Field: FieldDeadLetterRetention, From: from, To: to})
	return p
}
