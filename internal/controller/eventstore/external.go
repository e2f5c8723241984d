package eventstore

import (
	"context"
	"fmt"

	"github.com/crossplane/crossplane-runtime/v2/pkg/errors"
	"github.com/crossplane/crossplane-runtime/v2/pkg/event"
	"github.com/crossplane/crossplane-runtime/v2/pkg/meta"
	runtimemanaged "github.com/crossplane/crossplane-runtime/v2/pkg/reconciler/managed"
	xpv2 "github.com/crossplane/crossplane/apis/v2/core/v2"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/controller/binding"
	"github.com/crossplane-contrib/provider-eventstore/internal/controller/condition"
	"github.com/crossplane-contrib/provider-eventstore/internal/controller/managed"
	"github.com/crossplane-contrib/provider-eventstore/internal/controller/providerconfig"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/mirror"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

const reasonChanged event.Reason = "ChangedEventStore"

// external is the external client of one reconcile. What Observe found and planned, Create and Update carry out.
type external[T object] struct {
	*connector[T]
	broker  *providerconfig.Connection
	owner   plan.Owner
	watcher *mirror.Watcher

	credentials binding.Credentials
	desired     plan.DesiredStore
	observed    plan.ObservedStore
	plan        plan.Plan
}

// Observe reports what plan finds. A store of which something is refused is up to date: there is nothing to do until the
// spec, the confirmation or the broker changes, each of which reconciles it again.
func (e *external[T]) Observe(ctx context.Context, mg T) (runtimemanaged.ExternalObservation, error) {
	name := meta.GetExternalName(mg)
	observed, err := e.broker.Store(ctx, name, e.watcher)
	if err != nil {
		return e.unreadable(mg, err)
	}
	e.observed = observed
	if meta.WasDeleted(mg) {
		return e.observeDeleted(mg)
	}
	settleLosses(mg)
	c, err := e.decide(ctx, mg)
	if err != nil {
		return runtimemanaged.ExternalObservation{}, err
	}
	observed = e.observed // It may have been read again.
	ours := c.ObserveOnly || plan.Owned(e.owner, observed.Owner)

	e.setStatus(mg, ours)
	var deletion []plan.Refusal
	if !c.ObserveOnly {
		deletion = plan.DeleteStore(e.desired, observed, c)
	}
	mg.SetConditions(condition.Of(e.plan, observed.Exists(), deletion)...)
	if c.ObserveOnly && !observed.Exists() {
		mg.SetConditions(managed.NothingToObserve(fmt.Sprintf("Store %q", name)))
	}
	o := runtimemanaged.ExternalObservation{
		ResourceExists:   observed.Exists() || e.plan.Blocked() || e.plan.Unavailable != "", // Nothing is made then.
		ResourceUpToDate: len(e.plan.Changes) == 0,
		Diff:             condition.Changes(e.plan.Changes),
	}
	creates := managed.Announce(ctx, mg, o.ResourceExists)
	if !e.plan.Blocked() {
		o.ConnectionDetails = e.details()
		o.ResourceLateInitialized = lateInitialize(mg.Parameters(), e.partitions(mg, creates))
	}
	return o, nil
}

// decide plans what to change of what was observed.
func (e *external[T]) decide(ctx context.Context, mg T) (plan.Context, error) {
	name := meta.GetExternalName(mg)
	var err error
	if e.credentials, err = binding.Of(ctx, e.Client, mg, mg.PrincipalSecretRef(), e.broker.Principals, e.issue(name)); err != nil {
		return plan.Context{}, err
	}
	e.desired = desired(mg, e.owner, e.broker.Capabilities())
	e.desired.Settings, e.desired.Invalid = e.broker.StoreSettings(e.desired)
	if e.credentials != (binding.Credentials{}) {
		e.desired.Principal = e.broker.StorePrincipal(name, e.credentials.User(), e.credentials.Password)
	}
	c, err := e.context(ctx, mg)
	if err != nil {
		return plan.Context{}, err
	}
	e.plan = plan.Store(e.desired, e.observed, c)
	if e.plan.Has(plan.ReasonDataLost) { // Of two reads at a time, one may have remembered what the other was too early to see.
		if e.observed, err = e.broker.FreshStore(ctx, name); err != nil {
			return c, err
		}
		e.plan = plan.Store(e.desired, e.observed, c)
	}
	return c, nil
}

// partitions is how many partitions the store has, or is about to get; 0 if that is not known, or not to be written.
func (e *external[T]) partitions(mg T, creates bool) int {
	if creates && managed.Allows(mg, xpv2.ManagementActionLateInitialize) {
		return e.desired.PartitionsToCreate()
	}
	return e.observed.Partitions
}

// issue makes the password of the store's user, or keeps the current one.
func (e *external[T]) issue(name string) binding.Issue {
	return func(current string) (string, error) { return e.broker.Issue(layout.StorePrincipal(name), current) }
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
	return managed.NeverCreated(mg) && mg.Observation().LayoutVersion == nil
}

// observeDeleted says whether there is anything to delete: only what this resource owns. Why it cannot be deleted yet is
// said here too, since the runtime's own condition has room for one error only.
func (e *external[T]) observeDeleted(mg T) (runtimemanaged.ExternalObservation, error) {
	if !e.owns(mg, e.observed) {
		e.broker.ForgetStore(meta.GetExternalName(mg), e.watcher)
		e.pacer.Forget(mg.GetUID())
		e.repeats.Forget(mg.GetUID())
		mg.SetConditions(condition.Deleting(nil)...)
		return runtimemanaged.ExternalObservation{}, nil
	}
	e.desired = desired(mg, e.owner, e.broker.Capabilities())
	if e.observed.Marked {
		mg.SetConditions(condition.Deleting(plan.DeleteStore(e.desired, e.observed, e.deletion(mg)))...)
	} else {
		mg.SetConditions(condition.Deleting(nil)...)
	}
	return runtimemanaged.ExternalObservation{ResourceExists: true}, nil
}

// owns reports whether there is something of this resource's to delete: its store, or the user of one that has lost its
// marker. The events of that are nobody's, and stay.
func (e *external[T]) owns(mg T, o plan.ObservedStore) bool {
	if o.Owner == (plan.Owner{}) {
		return o.Principal != (plan.Principal{}) && !untouched(mg)
	}
	return plan.Owned(e.owner, o.Owner)
}

// Create makes the store as planned. It may be called again after a crash at any point.
func (e *external[T]) Create(ctx context.Context, mg T) (runtimemanaged.ExternalCreation, error) {
	mg.SetConditions(condition.Of(e.plan, false, nil)...)
	err := e.apply(ctx)
	if err == nil {
		if e.plan.LossAccepted {
			e.noteLoss(mg)
		}
		managed.Created(ctx)
	}
	// The same details as Observe's: the runtime would else patch the Secret with nothing.
	return runtimemanaged.ExternalCreation{ConnectionDetails: e.details()}, err
}

// Update makes the changes that were planned, and says in an event what they were.
func (e *external[T]) Update(ctx context.Context, mg T) (runtimemanaged.ExternalUpdate, error) {
	if err := e.apply(ctx); err != nil {
		return runtimemanaged.ExternalUpdate{}, err
	}
	if e.plan.LossAccepted {
		e.countLoss(mg)
	}
	e.Metrics.Applied("EventStore", e.plan.Changes)
	e.Recorder.Event(mg, event.Normal(reasonChanged, condition.Changes(e.plan.Changes)))
	if err := e.repeats.Check(mg.GetUID(), condition.Changes(e.plan.Changes)); err != nil {
		return runtimemanaged.ExternalUpdate{}, err
	}
	e.watcher.Notify() // Observed again at once: it is Ready when the broker says so.
	return runtimemanaged.ExternalUpdate{ConnectionDetails: e.details(), AdditionalDetails: condition.Details(e.plan.Changes)}, nil
}

func (e *external[T]) apply(ctx context.Context) error {
	return e.broker.ApplyStore(ctx, backend.StoreChange{
		Desired: e.desired, Observed: e.observed, Changes: e.plan.Changes, Password: e.credentials.Password,
	})
}

// Delete deletes the store if nothing speaks against it: not when it was last seen, and not now that nobody can write to
// it any more. A store that turns out not to be empty gets its writers back.
func (e *external[T]) Delete(ctx context.Context, mg T) (runtimemanaged.ExternalDelete, error) {
	mg.SetConditions(condition.Deleting(nil)...)
	name := e.desired.Name
	observed, err := e.broker.FreshStore(ctx, name)
	if err != nil {
		return runtimemanaged.ExternalDelete{}, err
	}
	if !e.owns(mg, observed) {
		return runtimemanaged.ExternalDelete{}, nil // It has got another owner since it was observed.
	}
	if !observed.Marked { // Only the user goes.
		err = e.broker.DeleteStore(ctx, name, e.owner)
		e.watcher.Notify()
		return runtimemanaged.ExternalDelete{}, err
	}
	if err := e.refuse(mg, plan.DeleteStore(e.desired, observed, e.deletion(mg))); err != nil {
		return runtimemanaged.ExternalDelete{}, errors.Join(err, e.restoreWriters(ctx, mg, observed))
	}
	if err := e.broker.FenceStore(ctx, name); err != nil {
		return runtimemanaged.ExternalDelete{}, err
	}
	if observed, err = e.broker.FreshStore(ctx, name); err != nil {
		return runtimemanaged.ExternalDelete{}, errors.Join(err, e.broker.UnfenceStore(ctx, name))
	}
	if err := e.refuse(mg, plan.DeleteStore(e.desired, observed, e.deletion(mg))); err != nil {
		return runtimemanaged.ExternalDelete{}, errors.Join(err, e.restoreWriters(ctx, mg, observed))
	}
	err = e.broker.DeleteStore(ctx, name, e.owner)
	e.watcher.Notify() // Observed again at once: it is gone when the broker says so.
	return runtimemanaged.ExternalDelete{}, err
}

// refuse returns refusals as an error, after they have become conditions.
func (e *external[T]) refuse(mg T, refusals []plan.Refusal) error {
	if len(refusals) > 0 {
		mg.SetConditions(condition.Deleting(refusals)...)
	}
	return condition.Error(refusals)
}

// restoreWriters gives the right to write back to a store that stays: it was fenced, by this deletion or by one that did
// not end, or its user is gone, which the runtime would not have repaired any more. No password is made here: if the
// Secret is gone, the user keeps the one that it has.
func (e *external[T]) restoreWriters(ctx context.Context, mg T, observed plan.ObservedStore) error {
	credentials, err := binding.Published(ctx, e.Client, mg)
	if err != nil {
		return err
	}
	if !credentials.Managed {
		return e.broker.UnfenceStore(ctx, e.desired.Name)
	}
	d := e.desired
	if d.Principal = e.broker.StorePrincipal(d.Name, credentials.User(), credentials.Password); d.Principal == observed.Principal {
		return nil
	}
	return e.broker.ApplyStore(ctx, backend.StoreChange{
		Desired: d, Observed: observed, Password: credentials.Password,
		Changes: []plan.Change{{Field: plan.FieldPrincipal, From: "fenced", To: "may write"}},
	})
}

// Disconnect does nothing: the mirror is shared.
func (e *external[T]) Disconnect(context.Context) error { return nil }
