package subscription

import (
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
	"github.com/crossplane-contrib/provider-eventstore/internal/controller/binding"
	"github.com/crossplane-contrib/provider-eventstore/internal/controller/managed"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// sharedGroups is what a user reads where the backend cannot keep subscriptions apart.
const sharedGroups = "The backend cannot keep the subscriptions of one store apart: this user could move another's position"

// setStatus writes what was observed. What moves by itself is written at the pace of the poll interval.
func (e *external[T]) setStatus(mg T) {
	s, o := mg.Observation(), e.observed
	s.Backend = e.broker.Backend
	s.EventStore = e.id.Store
	if !o.Exists() || e.plan.Blocked() || e.plan.Unavailable != "" || (!e.context.ObserveOnly && !plan.Owned(e.owner, o.Owner)) {
		return // Of another's subscription nothing is told; of a lost one what was known stays, to be restored.
	}
	if o.Created && s.InitializedTime == nil {
		s.InitializedTime = ptr.To(metav1.Now())
	}
	limits := ""
	if e.broker.Capabilities().SharedGroups {
		limits = sharedGroups
	}
	s.Principal = e.credentials.Observation(o.Principal, limits)
	binding.Publish(mg)
	s.Consumers = ptr.To(int32(len(o.Consumers))) //nolint:gosec // A small number.
	if o.LastReplay != "" && (s.LastReplay == nil || s.LastReplay.ID != o.LastReplay) {
		s.LastReplay = replayed(mg.Parameters(), o)
	}
	if due := e.pacer.Due(mg.GetUID()); due || s.Positions == nil || s.EventStoreCreated != o.StoreCreated || (ptr.Deref(s.LagRecords, 0) == 0) != (o.Lag() == 0) || (ptr.Deref(s.DeadLetters, 0) == 0) != (o.DeadLetters == 0) {
		setCounts(s, o)
	}
}

func setCounts(s *v1alpha1.SubscriptionObservation, o plan.ObservedSubscription) {
	s.LagRecords = ptr.To(managed.Rounded(o.Lag()))
	s.DeadLetters = ptr.To(managed.Rounded(o.DeadLetters))
	s.LagSeconds = ptr.To(managed.Rounded(lagSeconds(o)))
	if len(o.Groups) == o.Partitions { // Of a lost position what was known stays, to be restored.
		s.Positions, s.EventStoreCreated = positionsOf(o.Groups), o.StoreCreated
	}
}

// lagSeconds is how long ago the oldest record that is not acknowledged was appended.
func lagSeconds(o plan.ObservedSubscription) int64 {
	var seconds int64
	for _, g := range o.Groups {
		if !g.OldestUnread.IsZero() {
			seconds = max(seconds, int64(time.Since(g.OldestUnread).Seconds()))
		}
	}
	return seconds
}

func positionsOf(groups []plan.Group) []v1alpha1.PartitionPosition {
	list := make([]v1alpha1.PartitionPosition, 0, len(groups))
	for _, g := range groups {
		list = append(list, v1alpha1.PartitionPosition{Partition: int32(g.Partition), Position: g.Position}) //nolint:gosec // At most 1024.
	}
	return list
}

// recordReplay notes where a replay took the subscription from, while that is known: it can be undone by it.
func recordReplay[T object](mg T, changes []plan.Change, before []plan.Group) {
	for _, c := range changes {
		if c.Field == plan.FieldReplay {
			r := mg.Parameters().Replay
			mg.Observation().Positions = nil // Where it was before is not where it would be restored.
			mg.Observation().LastReplay = &v1alpha1.ReplayObservation{ID: r.ID, From: r.From.DeepCopy(), Time: ptr.To(metav1.Now()), Before: positionsOf(before)}
		}
	}
}

// replayed describes a replay of which the broker knows and status does not, as after a crash in between.
func replayed(p *v1alpha1.SubscriptionParameters, o plan.ObservedSubscription) *v1alpha1.ReplayObservation {
	r := &v1alpha1.ReplayObservation{ID: o.LastReplay}
	if p.Replay != nil && p.Replay.ID == o.LastReplay {
		r.From = p.Replay.From.DeepCopy()
	}
	return r
}

// details are the connection Secret: the broker's part, the store's, the user's and the subscription's.
func (e *external[T]) details(mg T) map[string][]byte {
	p := mg.Parameters()
	d := map[string][]byte{
		layout.SecretSubscription:     []byte(e.id.Name),
		layout.SecretSubscriptionType: []byte(p.Type),
		layout.SecretDeadLetter:       []byte(strconv.FormatBool(p.DeadLetter == nil || ptr.Deref(p.DeadLetter.Enabled, true))),
	}
	if r := p.Retry; r != nil {
		d[layout.SecretMaxDeliveries] = []byte(strconv.Itoa(int(r.MaxDeliveries)))
		if r.InitialBackoff != nil {
			d[layout.SecretInitialBackoff] = []byte(r.InitialBackoff.Duration.String())
		}
		if r.MaxBackoff != nil {
			d[layout.SecretMaxBackoff] = []byte(r.MaxBackoff.Duration.String())
		}
	}
	if p.Filter != nil {
		d[layout.SecretEventTypes] = []byte(strings.Join(p.Filter.EventTypes, ","))
	}
	return binding.Details(e.broker.Mirror.Connection(), binding.Store(e.id.Store, e.store.StoreSettings, e.store.Kind), e.credentials.Details(e.desired.Principal.Name), d)
}
