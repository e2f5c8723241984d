package subscription

import (
	"context"

	"github.com/crossplane/crossplane-runtime/v2/pkg/meta"

	"github.com/crossplane-contrib/provider-eventstore/internal/backend"
	"github.com/crossplane-contrib/provider-eventstore/internal/controller/managed"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// Diff returns what a reconcile of mg would change on the broker, and what it would refuse. It changes nothing.
func Diff[T object](ctx context.Context, s managed.Shell, mg T) (p plan.Plan, err error) {
	e := &external[T]{connector: &connector[T]{Shell: s}, id: backend.SubscriptionID{Store: mg.EventStore(), Name: meta.GetExternalName(mg)}}
	if e.broker, err = s.Resolver.Connect(ctx, mg); err != nil {
		return p, err
	}
	if e.owner, err = s.Owners.Of(mg); err != nil {
		return p, err
	}
	if e.observed, err = e.broker.Subscription(ctx, e.id, nil); err != nil {
		return p, err
	}
	if meta.WasDeleted(mg) {
		if e.owns(mg, e.observed) && e.observed.Exists() {
			p.Refusals = plan.DeleteSubscription(desired(mg, e.id, e.owner), e.observed, deletion(mg))
		}
		return p, nil
	}
	err = e.decide(ctx, mg)
	return e.plan, err
}
