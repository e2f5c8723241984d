package providerconfig

import (
	"context"
	"strings"
	"time"

	"github.com/crossplane/crossplane-runtime/v2/pkg/errors"
	"github.com/crossplane/crossplane-runtime/v2/pkg/meta"
	"github.com/crossplane/crossplane-runtime/v2/pkg/resource"
	xpv2 "github.com/crossplane/crossplane/apis/v2/core/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
)

// healthInterval is how often a broker is asked how it is, and files and variables are read again.
const healthInterval = 10 * time.Second

// healthTimeout is how long a broker may take to answer.
const healthTimeout = 5 * time.Second

// health reconciles the condition Healthy of one kind of ProviderConfig, and finds rotated credentials.
type health struct {
	kind     Kind
	client   client.Client
	resolver *Resolver
}

// Reconcile asks the broker, and writes what it said if that is news.
func (h *health) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	key := Key{Kind: h.kind, NamespacedName: req.NamespacedName}
	pc := h.kind.object()
	if err := h.client.Get(ctx, req.NamespacedName, pc); err != nil {
		return h.gone(key), errors.Wrapf(resource.IgnoreNotFound(err), "cannot read %s", key)
	}
	if meta.WasDeleted(pc) {
		return reconcile.Result{}, nil // What is known stays known for those who still use it.
	}
	before := pc.DeepCopyObject().(object) //nolint:forcetypeassert // A copy has the type of its original.
	condition := h.check(ctx, key, pc)
	pc.SetConditions(condition)
	if pc.GetCondition(v1alpha1.TypeHealthy).Equal(before.GetCondition(v1alpha1.TypeHealthy)) && sameBroker(before.Observation().Broker, pc.Observation().Broker) {
		return reconcile.Result{RequeueAfter: healthInterval}, nil
	}
	if err := h.client.Status().Patch(ctx, pc, client.MergeFrom(before)); resource.IgnoreNotFound(err) != nil {
		return reconcile.Result{}, errors.Wrapf(err, "cannot write the status of %s", key)
	}
	return reconcile.Result{RequeueAfter: healthInterval}, nil
}

// gone forgets a ProviderConfig once nobody uses it any more. Where a whole namespace is deleted, it goes before those who
// still have something to delete on its broker.
func (h *health) gone(key Key) reconcile.Result {
	if h.resolver.last(key) != nil && h.resolver.used(key) {
		return reconcile.Result{RequeueAfter: healthInterval}
	}
	h.resolver.forget(key)
	return reconcile.Result{}
}

// check resolves the ProviderConfig anew if its credentials have changed, and asks the broker.
func (h *health) check(ctx context.Context, key Key, pc object) xpv2.Condition {
	if err := h.resolver.refresh(ctx, key, pc); err != nil {
		reason := v1alpha1.ReasonInvalidConfig
		if missing := (missingError{}); errors.As(err, &missing) {
			reason = v1alpha1.ReasonCredentialsMissing
		}
		return v1alpha1.Unhealthy(reason, err.Error())
	}
	m, err := h.resolver.pool.Get(h.resolver.last(key).config)
	if err != nil {
		return v1alpha1.Unhealthy(v1alpha1.ReasonInvalidConfig, err.Error())
	}
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	b, err := m.Health(ctx)
	switch {
	case errors.Is(err, backend.ErrUnauthorized):
		return v1alpha1.Unhealthy(v1alpha1.ReasonUnauthorized, err.Error())
	case err != nil:
		return v1alpha1.Unhealthy(v1alpha1.ReasonUnreachable, err.Error())
	}
	spec := pc.Connection()
	pc.Observation().Broker = &v1alpha1.BrokerObservation{
		Backend:   spec.Backend(),
		Version:   b.Version,
		Endpoint:  b.Endpoint,
		RoundTrip: roundTrip(b.RoundTrip),
	}
	if len(b.Warnings) > 0 {
		return v1alpha1.Healthy(v1alpha1.ReasonWarning, strings.Join(b.Warnings, "; "))
	}
	return v1alpha1.Healthy(v1alpha1.ReasonHealthy, "")
}

// refresh resolves pc if what is known of it is out of date.
func (r *Resolver) refresh(ctx context.Context, key Key, pc object) error {
	if last := r.last(key); last != nil && last.uid == pc.GetUID() && last.generation == pc.GetGeneration() {
		if stale, err := r.stale(ctx, last); !stale || err != nil {
			return err
		}
	}
	_, err := r.resolve(ctx, key, pc)
	return err
}

// roundTrip rounds up to whole milliseconds, the smallest unit that the API takes.
func roundTrip(d time.Duration) *v1alpha1.Duration {
	return v1alpha1.DurationOf((d + time.Millisecond - 1).Truncate(time.Millisecond))
}

// sameBroker reports whether status need not be written: a round trip that is a little longer is no news.
func sameBroker(a, b *v1alpha1.BrokerObservation) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Backend == b.Backend && a.Version == b.Version && a.Endpoint == b.Endpoint
}
