package subscription

import (
	"context"
	"fmt"
	"slices"

	"github.com/crossplane/crossplane-runtime/v2/pkg/event"
	"github.com/crossplane/crossplane-runtime/v2/pkg/meta"
	runtimemanaged "github.com/crossplane/crossplane-runtime/v2/pkg/reconciler/managed"
	"k8s.io/utils/ptr"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/controller/binding"
	"github.com/crossplane-contrib/provider-eventstore/internal/controller/condition"
	"github.com/crossplane-contrib/provider-eventstore/internal/controller/managed"
	"github.com/crossplane-contrib/provider-eventstore/internal/controller/providerconfig"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/mirror"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

const reasonChanged event.Reason = "ChangedSubscription"

// external is the external client of one reconcile. What Observe found and planned, Create and Update carry out.
type external[T object] struct {
	*connector[T]
	broker  *providerconfig.Connection
	owner   plan.Owner
	watcher *mirror.Watcher
	id      backend.SubscriptionID

	credentials binding.Credentials
	desired     plan.DesiredSubscription
	observed    plan.ObservedSubscription
	store       plan.ObservedStore
	context     plan.Context
	plan        plan.Plan
}

// Observe reports what plan finds. A subscription of which something is refused, or that waits for its store, is up to
// date: there is nothing to do until the spec, the confirmation, the store or the broker changes, each of which
// reconciles it again.
func (e *external[T]) Observe(ctx context.Context, mg T) (runtimemanaged.ExternalObservation, error) {
	observed, err := e.broker.Subscription(ctx, e.id, e.watcher)
	if err != nil {
		return e.unreadable(mg, err)
	}
	e.observed = observed
	if meta.WasDeleted(mg) {
		return e.observeDeleted(mg)
	}
	if err := e.decide(ctx, mg); err != nil {
		return runtimemanaged.ExternalObservation{}, err
	}

	e.setStatus(mg)
	mg.SetConditions(condition.Of(e.plan, observed.Exists(), nil)...)
	if e.context.ObserveOnly && !observed.Exists() {
		mg.SetConditions(managed.NothingToObserve(fmt.Sprintf("Subscription %q", e.id)))
	}
	o := runtimemanaged.ExternalObservation{
		ResourceExists:   observed.Exists() || e.plan.Blocked() || e.plan.Unavailable != "", // Nothing is made then.
		ResourceUpToDate: len(e.plan.Changes) == 0,
		Diff:             condition.Changes(e.plan.Changes),
	}
	managed.Announce(ctx, mg, o.ResourceExists)
	if !e.plan.Blocked() {
		o.ConnectionDetails = e.details(mg)
	}
	return o, nil
}

// decide plans what to change of what was observed.
func (e *external[T]) decide(ctx context.Context, mg T) error {
	var err error
	if e.store, err = e.broker.Store(ctx, e.id.Store, e.watcher); err != nil {
		return err
	}
	if e.credentials, err = binding.Of(ctx, e.Client, mg, mg.PrincipalSecretRef(), e.broker.Principals, e.issue); err != nil {
		return err
	}
	e.desired = desired(mg, e.id, e.owner)
	e.desired.Settings = e.broker.SubscriptionSettings(e.desired)
	if e.credentials != (binding.Credentials{}) {
		e.desired.Principal = e.broker.SubscriptionPrincipal(e.id, e.credentials.User(), e.credentials.Password)
	}
	if err := e.setContext(ctx, mg); err != nil {
		return err
	}
	e.plan = plan.Subscription(e.desired, e.observed, e.context)
	return nil
}

// issue makes the password of the subscription's user, or keeps the current one.
func (e *external[T]) issue(current string) (string, error) {
	return e.broker.Issue(layout.SubscriptionPrincipal(e.id.Store, e.id.Name), current)
}

// unreadable reports that the broker does not answer. What is deleted before it was ever made has nothing there, and need
// not wait for that.
func (e *external[T]) unreadable(mg T, err error) (runtimemanaged.ExternalObservation, error) {
	if meta.WasDeleted(mg) && untouched(mg) {
		return runtimemanaged.ExternalObservation{}, nil
	}
	return runtimemanaged.ExternalObservation{}, err
}

// untouched reports whether nothing was ever done on the broker for a resource.
func untouched[T object](mg T) bool {
	return managed.NeverCreated(mg) && mg.Observation().InitializedTime == nil && mg.Observation().Principal == nil
}

// observeDeleted says whether there is anything to delete: only what this resource owns. Why it cannot be deleted yet is
// said here too, since the runtime's own condition has room for one error only.
func (e *external[T]) observeDeleted(mg T) (runtimemanaged.ExternalObservation, error) {
	if !e.owns(mg, e.observed) {
		e.broker.ForgetSubscription(e.id, e.watcher)
		e.broker.ForgetStore(e.id.Store, e.watcher)
		e.pacer.Forget(mg.GetUID())
		e.repeats.Forget(mg.GetUID())
		mg.SetConditions(condition.Deleting(nil)...)
		return runtimemanaged.ExternalObservation{}, nil
	}
	e.desired = desired(mg, e.id, e.owner)
	if e.observed.Exists() {
		mg.SetConditions(condition.Deleting(plan.DeleteSubscription(e.desired, e.observed, deletion(mg)))...)
	} else {
		mg.SetConditions(condition.Deleting(nil)...)
	}
	return runtimemanaged.ExternalObservation{ResourceExists: true}, nil
}

// owns reports whether there is something of this resource's to delete: its subscription, or the user of one that has lost
// its marker.
func (e *external[T]) owns(mg T, o plan.ObservedSubscription) bool {
	if o.Owner == (plan.Owner{}) {
		return o.Principal != (plan.Principal{}) && !untouched(mg)
	}
	return plan.Owned(e.owner, o.Owner)
}

// Create makes the subscription as planned. It may be called again after a crash at any point.
func (e *external[T]) Create(ctx context.Context, mg T) (runtimemanaged.ExternalCreation, error) {
	err := e.apply(ctx)
	if err == nil {
		managed.Created(ctx)
	}
	// The same details as Observe's: the runtime would else patch the Secret with nothing.
	return runtimemanaged.ExternalCreation{ConnectionDetails: e.details(mg)}, err
}

// Update makes the changes that were planned, and says in an event what they were.
func (e *external[T]) Update(ctx context.Context, mg T) (runtimemanaged.ExternalUpdate, error) {
	if err := e.lookAgain(ctx, mg); err != nil || len(e.plan.Changes) == 0 {
		return runtimemanaged.ExternalUpdate{}, err
	}
	before := e.observed.Groups
	if err := e.apply(ctx); err != nil {
		return runtimemanaged.ExternalUpdate{}, err
	}
	if e.plan.LossAccepted {
		mg.Observation().AcceptedLosses = ptr.To(ptr.Deref(mg.Observation().AcceptedLosses, 0) + 1)
	}
	recordReplay(mg, e.plan.Changes, before)
	e.Metrics.Applied("Subscription", e.plan.Changes)
	e.Recorder.Event(mg, event.Normal(reasonChanged, condition.Changes(e.plan.Changes)))
	if err := e.repeats.Check(mg.GetUID(), condition.Changes(e.plan.Changes)); err != nil {
		return runtimemanaged.ExternalUpdate{}, err
	}
	e.watcher.Notify() // Observed again at once: it is Ready when the broker says so.
	return runtimemanaged.ExternalUpdate{ConnectionDetails: e.details(mg), AdditionalDetails: condition.Details(e.plan.Changes)}, nil
}

// lookAgain plans a replay anew from what the broker has now: consumers may have come since it was observed.
func (e *external[T]) lookAgain(ctx context.Context, mg T) error {
	if !slices.ContainsFunc(e.plan.Changes, func(c plan.Change) bool { return c.Field == plan.FieldReplay }) {
		return nil
	}
	observed, err := e.broker.FreshSubscription(ctx, e.id)
	if err != nil {
		return err
	}
	e.observed = observed
	e.plan = plan.Subscription(e.desired, observed, e.context)
	mg.SetConditions(condition.Of(e.plan, observed.Exists(), nil)...)
	return nil
}

func (e *external[T]) apply(ctx context.Context) error {
	return e.broker.ApplySubscription(ctx, backend.SubscriptionChange{
		Desired: e.desired, Observed: e.observed, Changes: e.plan.Changes,
		Restore: e.context.KnownPositions, Password: e.credentials.Password,
	})
}

// Delete deletes the subscription if nothing speaks against it now.
func (e *external[T]) Delete(ctx context.Context, mg T) (runtimemanaged.ExternalDelete, error) {
	mg.SetConditions(condition.Deleting(nil)...)
	observed, err := e.broker.FreshSubscription(ctx, e.id)
	if err != nil {
		return runtimemanaged.ExternalDelete{}, err
	}
	if !e.owns(mg, observed) {
		return runtimemanaged.ExternalDelete{}, nil // It has got another owner since it was observed.
	}
	if refusals := plan.DeleteSubscription(e.desired, observed, deletion(mg)); len(refusals) > 0 && observed.Exists() {
		mg.SetConditions(condition.Deleting(refusals)...)
		return runtimemanaged.ExternalDelete{}, condition.Error(refusals)
	}
	err = e.broker.DeleteSubscription(ctx, e.id, e.owner)
	e.watcher.Notify() // Observed again at once: it is gone when the broker says so.
	return runtimemanaged.ExternalDelete{}, err
}

// Disconnect does nothing: the mirror is shared.
func (e *external[T]) Disconnect(context.Context) error { return nil }

// setContext gathers what a plan depends on besides the two states.
func (e *external[T]) setContext(ctx context.Context, mg T) error {
	c := deletion(mg)
	c.Capabilities = e.broker.Capabilities()
	c.Namespace = e.broker.Namespace
	c.ObserveOnly = managed.ObserveOnly(mg)
	c.AcceptedLosses = int(ptr.Deref(mg.Observation().AcceptedLosses, 0))
	store := e.observed.StoreCreated
	c.KnownStore = mg.Observation().EventStoreCreated
	c.KnownPositions = knownPositions(mg.Observation(), store, e.broker.LastPositions(e.id, e.owner.UID, store))
	if r := mg.Observation().LastReplay; r != nil {
		c.KnownReplay = r.ID
	}
	if e.observed.Owner != (plan.Owner{}) && e.observed.Owner != e.owner {
		var err error
		if c.OwnerGone, err = e.Owners.Gone(ctx, e.observed.Owner); err != nil {
			return err
		}
	}
	e.context = c
	return nil
}
