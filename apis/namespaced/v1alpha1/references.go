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
// is in the subscription's own namespace; it need not be Ready, or have been reconciled at all.
func (mg *Subscription) ResolveReferences(ctx context.Context, c client.Reader) error {
	p := &mg.Spec.ForProvider
	// The API server refuses another namespace. It is looked at again, because the provider may read every one.
	if r := p.EventStoreRef; r != nil && r.Namespace != "" && r.Namespace != mg.GetNamespace() {
		return errors.Errorf("cannot read a store of namespace %q: a Subscription reads a store of its own namespace", r.Namespace)
	}
	if s := p.EventStoreSelector; s != nil && s.Namespace != "" && s.Namespace != mg.GetNamespace() {
		return errors.Errorf("cannot select a store of namespace %q: a Subscription reads a store of its own namespace", s.Namespace)
	}

	rsp, err := reference.NewAPINamespacedResolver(c, mg).Resolve(ctx, reference.NamespacedResolutionRequest{
		CurrentValue: p.EventStore,
		Reference:    p.EventStoreRef,
		Selector:     p.EventStoreSelector,
		To:           reference.To{Managed: &EventStore{}, List: &EventStoreList{}},
		Extract:      storeName,
		Namespace:    mg.GetNamespace(),
	})
	if err != nil {
		return errors.Wrap(err, "cannot find the EventStore that spec.forProvider names")
	}
	p.EventStore = rsp.ResolvedValue
	p.EventStoreRef = rsp.ResolvedReference
	if p.EventStoreRef != nil {
		p.EventStoreRef.Namespace = "" // The resolver adds it, and the API server refuses it.
	}
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
