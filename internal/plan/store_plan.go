package plan

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// Store plans what makes the broker's store what its resource asks for.
func Store(d DesiredStore, o ObservedStore, c Context) Plan {
	var p Plan
	p.Refusals = append(p.Refusals, refuseUnsupported(c.Capabilities, d.Set)...)
	p.Refusals = append(p.Refusals, d.Invalid...)
	p.Refusals = append(p.Refusals, refuseTooLarge(d, o)...)
	if err := layout.ValidateStore(d.Name); err != nil {
		p.Refusals = append(p.Refusals, Refusal{
			Reason: ReasonInvalidName, Field: FieldName, Blocks: true,
			Message: fmt.Sprintf("The external name is refused: %v: set the annotation crossplane.io/external-name to another", err),
		})
		return p
	}
	if r, ok := refuseName(d.Name, c); ok {
		p.Refusals = append(p.Refusals, r)
		return p
	}
	if c.ObserveOnly {
		return Plan{Unavailable: o.Unavailable}
	}
	if !o.Exists() && o.Unavailable == "" {
		return createStore(p, d, o, c)
	}
	if !o.Marked && o.Unavailable != "" { // Whose it is cannot be told.
		p.Unavailable = o.Unavailable
		return p
	}
	thing := fmt.Sprintf("Store %q", d.Name)
	if o.Remains != "" {
		thing = fmt.Sprintf("Store %q (%s)", d.Name, o.Remains)
	}
	changes, refusals := claim(thing, d.Owner, o.Owner, o.Takeovers, c)
	p.Changes, p.Refusals = append(p.Changes, changes...), append(p.Refusals, refusals...)
	if p.Blocked() {
		return p
	}
	if o.Layout > layout.Version {
		p.refuse(Refusal{
			Reason: ReasonLayoutTooNew, Field: FieldOwner, Blocks: true,
			Message: fmt.Sprintf("Store %q has layout version %d, and this provider knows %d: upgrade the provider", d.Name, o.Layout, layout.Version),
		})
		return p
	}
	if o.Unavailable != "" {
		p.Unavailable, p.Changes = o.Unavailable, nil
		return p
	}
	p = refuseVolatile(p, d, o)
	p = diffFields(p, d, o, c)
	p.Changes = append(p.Changes, diffSettings(d, o, c)...)
	p = diffLogs(p, d, o, c)
	if p.Blocked() {
		p.Changes = nil
		return p
	}
	p.Changes = append(p.Changes, diffPrincipal(d.Principal, o.Principal)...)
	p.leaveOutRefused()
	return p
}

// refuseName keeps a namespace to stores of its own: whoever may create resources in one must not get at the data of
// another by naming it.
func refuseName(store string, c Context) (Refusal, bool) {
	if c.Namespace == "" || strings.HasPrefix(store, c.Namespace+".") {
		return Refusal{}, false
	}
	return Refusal{
		Reason: ReasonNamePrefix, Field: FieldName, Blocks: true,
		Message: fmt.Sprintf("Store %q is outside of namespace %s: use an external name that begins with %q, or have the namespace listed under spec.externalNames of a ClusterProviderConfig", store, c.Namespace, c.Namespace+"."),
	}, true
}

// createStore plans a store of which the broker has nothing. Whatever is refused now would have to be undone later, so
// any refusal stops everything.
func createStore(p Plan, d DesiredStore, o ObservedStore, c Context) Plan {
	for _, h := range o.Hazards {
		p.Refusals = append(p.Refusals, Refusal{Reason: h.Reason, Field: FieldEvents, Message: h.Message})
	}
	p = refuseVolatile(p, d, o)
	if n := sum(c.KnownRecords); n > 0 {
		p = refuseLost(p, d, c, true, "Store %q is gone from the broker, and held records", d.Name)
	}
	if len(p.Refusals) > 0 {
		for i := range p.Refusals {
			p.Refusals[i].Blocks = true
		}
		return p
	}
	p.Changes = append(p.Changes, Change{Field: FieldOwner, To: d.Owner.String()})
	for i := range PartitionCount(d, o) {
		p.Changes = append(p.Changes, Change{Field: FieldEvents, Partition: i, To: "create"})
	}
	p.Changes = append(p.Changes, diffSettings(d, o, c)...)
	p.Changes = append(p.Changes, diffPrincipal(d.Principal, o.Principal)...)
	return p
}

func refuseVolatile(p Plan, d DesiredStore, o ObservedStore) Plan {
	if d.RequirePersistence && !o.Persists {
		p.Refusals = append(p.Refusals, Refusal{
			Reason: ReasonNotPersistent, Field: FieldRedisPersistence,
			Message: fmt.Sprintf("redis.requirePersistence is set, and the broker would lose events at a restart (%s): turn its append-only file on, or unset requirePersistence", o.Persistence),
		})
	}
	return p
}

func diffFields(p Plan, d DesiredStore, o ObservedStore, c Context) Plan {
	if d.Partitions != 0 && o.Partitions != 0 && d.Partitions != o.Partitions {
		p.Refusals = append(p.Refusals, Refusal{
			Reason: ReasonPartitionsChanged, Field: FieldPartitions,
			Message: fmt.Sprintf("Store %q has %d partitions and the spec %d, but another number would reorder aggregates: set partitions to %d, or create a new store and migrate", d.Name, o.Partitions, d.Partitions, o.Partitions),
		})
	}
	if o.Grown > 0 {
		p.Refusals = append(p.Refusals, Refusal{
			Reason: ReasonPartitionsGrown, Field: FieldPartitions,
			Message: fmt.Sprintf("Somebody has added %d partitions to the %d of store %q on the broker, and they stay unused, because aggregates would be reordered: create a new store with more of them and migrate", o.Grown, o.Partitions, d.Name),
		})
	}
	if d.Replicas != 0 && o.Replicas != 0 && d.Replicas != o.Replicas {
		p.Refusals = append(p.Refusals, Refusal{
			Reason: ReasonReplicasChanged, Field: FieldReplicas,
			Message: fmt.Sprintf("Store %q has %d copies of every event and the spec asks for %d, and only the broker's own tools can change that: reassign its partitions with them, or set durability.replicas to %d", d.Name, o.Replicas, d.Replicas, o.Replicas),
		})
	}
	p = diffLimits(p, d, o, c)
	if d.Snapshots != o.Snapshots {
		p.Changes = append(p.Changes, Change{Field: FieldSnapshots, From: strconv.FormatBool(o.Snapshots), To: strconv.FormatBool(d.Snapshots)})
	}
	if d.MaxEventBytes != o.MaxEventBytes {
		p.Changes = append(p.Changes, Change{Field: FieldMaxEventBytes, From: limit(o.MaxEventBytes), To: limit(d.MaxEventBytes)})
	}
	return p
}

// diffLimits plans how long events are kept and delivered. A tighter limit discards or skips events and needs a
// confirmation; a wider one does not. Tightening the retention from "for ever" also makes a sourcing store a streaming one.
func diffLimits(p Plan, d DesiredStore, o ObservedStore, c Context) Plan {
	limits := []struct {
		field            Field
		desired, current int64
		show             func(int64) string
		reason           Reason
		effect           string
	}{
		{FieldRetentionDuration, int64(d.Retention.Duration), int64(o.Retention.Duration), duration, ReasonRetentionShrink, "delete events"},
		{FieldRetentionBytes, d.Retention.Bytes, o.Retention.Bytes, limit, ReasonRetentionShrink, "delete events"},
		{FieldMessageTTL, int64(d.MessageTTL), int64(o.MessageTTL), duration, ReasonTTLShortened, "make subscriptions skip events"},
	}
	for _, l := range limits {
		if l.desired == l.current || p.refuses(l.field) { // What the backend does not have, nobody can confirm.
			continue
		}
		shrinks := l.desired != 0 && (l.current == 0 || l.desired < l.current)
		token := Token(c.UID, l.field, fmt.Sprintf("%d -> %d", l.current, l.desired))
		if shrinks && !Confirmed(c.Confirm, token) {
			p.Refusals = append(p.Refusals, Refusal{
				Reason: l.reason, Field: l.field, Token: token,
				Message: fmt.Sprintf("%s of store %q is %s on the broker and %s in the spec, which would %s: confirm with %s, or raise %s", l.field, d.Name, l.show(l.current), l.show(l.desired), l.effect, token, l.field),
			})
			continue
		}
		p.Changes = append(p.Changes, Change{Field: l.field, From: l.show(l.current), To: l.show(l.desired)})
	}
	return p
}

// refuseTooLarge refuses a limit for events that the broker's own would cut short.
func refuseTooLarge(d DesiredStore, o ObservedStore) []Refusal {
	if o.MaxEventBytesLimit == 0 || d.MaxEventBytes <= o.MaxEventBytesLimit {
		return nil
	}
	return []Refusal{{
		Reason: ReasonBrokerLimit, Field: FieldMaxEventBytes,
		Message: fmt.Sprintf("maxEventBytes is %d, and the broker takes no more than %d: lower it, or raise the broker's limit", d.MaxEventBytes, o.MaxEventBytesLimit),
	}}
}

// diffLogs plans partitions that the broker has lost. An empty one is made again; one that held records is not, because
// an empty log in its place would look as if nothing had ever been written. A sourcing store forgets nothing, so fewer
// records than were known are a loss too.
func diffLogs(p Plan, d DesiredStore, o ObservedStore, c Context) Plan {
	for i := range PartitionCount(d, o) {
		switch {
		case o.has(i):
			switch l := o.Logs[indexOf(o.Logs, i)]; {
			case o.Kind == layout.Streaming || l.Records >= c.KnownRecords[i]:
			case l.Records == 0:
				p = refuseLost(p, d, c, true, "Partition %d of store %q is empty on the broker, and held records", i, d.Name)
			default: // What is left is looked after: a failover that costs a record must not cost the users as well.
				p = refuseLost(p, d, c, false, "Partition %d of store %q has fewer records on the broker than it had", i, d.Name)
			}
		case c.KnownRecords[i] > 0:
			p = refuseLost(p, d, c, true, "Partition %d of store %q is gone from the broker, and held records", i, d.Name)
			if !p.Blocked() {
				p.Changes = append(p.Changes, Change{Field: FieldEvents, Partition: i, From: "lost", To: "create"})
			}
		default:
			p.Changes = append(p.Changes, Change{Field: FieldEvents, Partition: i, From: "missing", To: "create"})
		}
	}
	return p
}

// refuseLost refuses to go on without records, unless a person has said so.
func refuseLost(p Plan, d DesiredStore, c Context, blocks bool, format string, args ...any) Plan {
	token := Token(c.UID, FieldEvents, fmt.Sprintf("%s#%d", d.Name, c.AcceptedLosses))
	if Confirmed(c.Confirm, token) {
		p.LossAccepted = true
		return p
	}
	p.Refusals = append(p.Refusals, Refusal{
		Reason: ReasonDataLost, Field: FieldEvents, Token: token, Blocks: blocks,
		Message: fmt.Sprintf(format, args...) + fmt.Sprintf(": restore them, or confirm with %s to go on without", token),
	})
	return p
}

// diffPrincipal plans the user. It says what differs, and never what the digests are.
func diffPrincipal(d, o Principal) []Change {
	none := Principal{}
	switch {
	case d == o:
		return nil
	case o == none:
		return []Change{{Field: FieldPrincipal, To: "create " + d.Name}}
	case d == none:
		return []Change{{Field: FieldPrincipal, From: o.Name, To: "none, because no Secret is to receive its password"}}
	case d.Digest != o.Digest:
		return []Change{{Field: FieldPrincipal, From: "another password", To: "the Secret's"}}
	default:
		return []Change{{Field: FieldPrincipal, From: "other rights", To: "those of " + d.Name}}
	}
}

func sum(m map[int]int64) (n int64) {
	for _, v := range m {
		n += v
	}
	return n
}

func indexOf(logs []Log, partition int) int {
	for i, l := range logs {
		if l.Partition == partition {
			return i
		}
	}
	return -1
}

func limit(n int64) string {
	if n == 0 {
		return "unlimited"
	}
	return strconv.FormatInt(n, 10)
}

func duration(n int64) string {
	if n == 0 {
		return "unlimited"
	}
	return time.Duration(n).String()
}
