package managed

import (
	"context"

	"github.com/crossplane/crossplane-runtime/v2/pkg/meta"
	runtimemanaged "github.com/crossplane/crossplane-runtime/v2/pkg/reconciler/managed"
	"github.com/crossplane/crossplane-runtime/v2/pkg/resource"
	xpv2 "github.com/crossplane/crossplane/apis/v2/core/v2"

	"github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
)

// NeverCreated reports whether nothing was ever created for a resource: the runtime notes that it will before it does.
func NeverCreated(mg resource.Managed) bool {
	return meta.GetExternalCreatePending(mg).IsZero() && meta.GetExternalCreateSucceeded(mg).IsZero()
}

// NothingToObserve is the condition of a resource that may only observe what does not exist.
func NothingToObserve(what string) xpv2.Condition {
	return v1alpha1.NotReady(xpv2.ReasonUnavailable, what+" does not exist on the broker, and spec.managementPolicies allow to observe it only: correct the external name, or allow to create it")
}

// Nothing is the external client of a resource that is deleted before anything was done for it: there is nothing to find
// on the broker, so that its credentials are not needed, which may be what it waited for.
type Nothing[T resource.Managed] struct{}

// Observe finds nothing.
func (Nothing[T]) Observe(context.Context, T) (runtimemanaged.ExternalObservation, error) {
	return runtimemanaged.ExternalObservation{}, nil
}

// Create is not called for what is deleted.
func (Nothing[T]) Create(context.Context, T) (runtimemanaged.ExternalCreation, error) {
	return runtimemanaged.ExternalCreation{}, nil
}

// Update is not called for what is deleted.
func (Nothing[T]) Update(context.Context, T) (runtimemanaged.ExternalUpdate, error) {
	return runtimemanaged.ExternalUpdate{}, nil
}

// Delete is not called for what does not exist.
func (Nothing[T]) Delete(context.Context, T) (runtimemanaged.ExternalDelete, error) {
	return runtimemanaged.ExternalDelete{}, nil
}

// Disconnect does nothing.
func (Nothing[T]) Disconnect(context.Context) error { return nil }
