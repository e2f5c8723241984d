package managed

import (
	"context"
	"slices"

	"github.com/crossplane/crossplane-runtime/v2/pkg/errors"
	"github.com/crossplane/crossplane-runtime/v2/pkg/meta"
	runtimemanaged "github.com/crossplane/crossplane-runtime/v2/pkg/reconciler/managed"
	"github.com/crossplane/crossplane-runtime/v2/pkg/resource"
	xpv2 "github.com/crossplane/crossplane/apis/v2/core/v2"
	"k8s.io/apimachinery/pkg/api/equality"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// metadata gives a resource its external name, its finalizer and what its references mean. All are there for Observe, and are
// saved before anything is created: by the update with which the runtime announces a creation, or, where nothing is to be
// created, by one of their own. The runtime would write once more for each of them, and wipe what is not saved yet, and the
// status that Observe has just set.
type metadata struct {
	resource.Finalizer // That removes it.
	client             client.Client
}

func newMetadata(c client.Client) metadata {
	return metadata{Finalizer: resource.NewAPIFinalizer(c, runtimemanaged.FinalizerName), client: c}
}

// Initialize implements [runtimemanaged.Initializer].
func (m metadata) Initialize(ctx context.Context, mg resource.Managed) error {
	o, ok := mg.(Object)
	if !ok || meta.WasDeleted(mg) || (meta.GetExternalName(mg) != "" && meta.FinalizerExists(mg, runtimemanaged.FinalizerName)) {
		return nil
	}
	if meta.GetExternalName(mg) == "" {
		meta.SetExternalName(mg, o.DefaultExternalName())
	}
	meta.AddFinalizer(mg, runtimemanaged.FinalizerName)
	passOf(ctx).unsaved = true
	return nil
}

// ResolveReferences implements [runtimemanaged.ReferenceResolver].
func (m metadata) ResolveReferences(ctx context.Context, mg resource.Managed) error {
	r, ok := mg.(interface {
		ResolveReferences(ctx context.Context, c client.Reader) error
	})
	if !ok {
		return nil
	}
	before := mg.DeepCopyObject()
	if err := r.ResolveReferences(ctx, m.client); err != nil {
		return errors.Wrap(err, "cannot resolve references")
	}
	if !equality.Semantic.DeepEqual(before, mg) {
		passOf(ctx).unsaved = true
	}
	return nil
}

// AddFinalizer implements [resource.Finalizer]. The runtime calls it between Observe and Create.
func (m metadata) AddFinalizer(ctx context.Context, o resource.Object) error {
	p := passOf(ctx)
	if !p.unsaved || p.creates {
		return nil
	}
	saved := o.DeepCopyObject().(resource.Object) //nolint:forcetypeassert // A copy has the type of its original.
	if err := m.client.Update(ctx, saved); err != nil {
		return errors.Wrap(err, "cannot save the external name, the finalizer and the references")
	}
	o.SetResourceVersion(saved.GetResourceVersion()) // The rest is as it was, status included.
	return nil
}

// pass is what one reconcile knows of itself.
type pass struct {
	unsaved bool          // The metadata, or what a reference means, is new.
	creates bool          // A creation is about to be announced.
	created bool          // It has succeeded.
	again   bool          // It has succeeded just before.
	read    client.Object // The resource, as it was in the beginning.
}

type passKey struct{}

// passing gives each reconcile its pass. What was created is observed at once, by a second pass: it is Ready when the broker
// says so. The runtime would ask for another reconcile instead.
func passing(r reconcile.Reconciler) reconcile.Reconciler {
	return reconcile.Func(func(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
		p := &pass{}
		result, err := r.Reconcile(context.WithValue(ctx, passKey{}, p), req)
		if p.created && err == nil {
			return r.Reconcile(context.WithValue(ctx, passKey{}, &pass{again: true}), req)
		}
		return result, err
	})
}

func passOf(ctx context.Context) *pass {
	if p, ok := ctx.Value(passKey{}).(*pass); ok {
		return p
	}
	return &pass{}
}

// Announce notes whether Observe has found anything. It reports whether a creation follows, whose
// announcement saves what is changed in mg until then.
func Announce(ctx context.Context, mg resource.Managed, exists bool) (creates bool) {
	creates = !exists && !meta.WasDeleted(mg) && Allows(mg, xpv2.ManagementActionCreate)
	passOf(ctx).creates = creates
	return creates
}

// Created notes that a creation has succeeded.
func Created(ctx context.Context) { passOf(ctx).created = true }

// Allows reports whether the policies of a resource allow an action.
func Allows(mg resource.Managed, action xpv2.ManagementAction) bool {
	p := mg.GetManagementPolicies()
	return len(p) == 0 || slices.Contains(p, xpv2.ManagementActionAll) || slices.Contains(p, action)
}
