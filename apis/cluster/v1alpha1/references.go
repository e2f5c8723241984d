package v1alpha1

import (
	"context"

	"github.com/crossplane/crossplane-runtime/v2/pkg/errors"
	"github.com/crossplane/crossplane-runtime/v2/pkg/meta"
	"github.com/crossplane/crossplane-runtime/v2/pkg/reference"
	"github.com/crossplane/crossplane-runtime/v2/pkg/resource"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// ResolveReferences finds the store that the subscription reads, and writes its external name to eventStore. The store
// need not be Ready, or have been reconciled at all.
func (mg *Subscription) ResolveReferences(ctx context.Context, c client.Reader) error {
	p := &mg.Spec.ForProvider
	rsp, err := reference.NewAPIResolver(c, mg).Resolve(ctx, reference.ResolutionRequest{
		CurrentValue: p.EventStore,
		Reference:    p.EventStoreRef,
		Selector:     p.EventStoreSelector,
		To:           reference.To{Managed: &EventStore{}, List: &EventStoreList{}},
		Extract:      storeName,
	})
	if err != nil {
		return errors.Wrap(err, "cannot find the EventStore that spec.forProvider names")
	}
	p.EventStore = rsp.ResolvedValue
	p.EventStoreRef = rsp.ResolvedReference
	return nil
}

// storeName is the external name that a store has, or will have.
func storeName(mg resource.Managed) string {
	if n := meta.GetExternalName(mg); n != "" {
		return n
	}
	if es, ok := mg.(*EventStore); ok {
		return es.DefaultExternalName()
	}
	return ""
}
