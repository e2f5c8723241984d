// Package owner identifies the resources that stores and subscriptions belong to, in the terms of their markers.
package owner

import (
	"context"

	"github.com/crossplane/crossplane-runtime/v2/pkg/errors"
	"github.com/crossplane/crossplane-runtime/v2/pkg/resource"
	corev1 "k8s.io/api/core/v1"
	kerrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// A Registry knows this control plane and the resources in it.
type Registry struct {
	reader       client.Reader // Not cached: an owner is looked for rarely, and must not be missed.
	scheme       *runtime.Scheme
	controlPlane string
}

// identity is the object whose UID identifies a control plane. Every cluster has it from its beginning to its end, no
// restore brings it along, and the rights that Crossplane gives a provider suffice to read it: they do for ConfigMaps, and
// not for the namespace kube-system itself. See docs/decisions.
var identity = types.NamespacedName{Namespace: metav1.NamespaceSystem, Name: "kube-root-ca.crt"}

// NewRegistry returns the registry of the control plane that r reads, uncached.
func NewRegistry(ctx context.Context, r client.Reader, s *runtime.Scheme) (*Registry, error) {
	cm := &corev1.ConfigMap{}
	if err := r.Get(ctx, identity, cm); err != nil {
		return nil, errors.Wrapf(err, "cannot identify the control plane by its ConfigMap %s", identity)
	}
	return &Registry{reader: r, scheme: s, controlPlane: string(cm.GetUID())}, nil
}

// Of returns the owner that mg is.
func (r *Registry) Of(mg resource.Managed) (plan.Owner, error) {
	gvk, err := apiutil.GVKForObject(mg, r.scheme)
	if err != nil {
		return plan.Owner{}, errors.Wrap(err, "cannot tell the kind of the resource")
	}
	return plan.Owner{
		ControlPlane: r.controlPlane,
		Group:        gvk.Group,
		Kind:         gvk.Kind,
		Namespace:    mg.GetNamespace(),
		Name:         mg.GetName(),
		UID:          string(mg.GetUID()),
	}, nil
}

// Gone reports whether the owner does not exist in this control plane. Of other control planes nothing is known, so
// theirs are never gone.
func (r *Registry) Gone(ctx context.Context, o plan.Owner) (bool, error) {
	if o.ControlPlane != r.controlPlane {
		return false, nil
	}
	versions := r.scheme.VersionsForGroupKind(schema.GroupKind{Group: o.Group, Kind: o.Kind})
	if len(versions) == 0 {
		return false, nil // A kind that this provider does not know may well exist.
	}
	obj := &metav1.PartialObjectMetadata{}
	obj.SetGroupVersionKind(versions[0].WithKind(o.Kind))
	err := r.reader.Get(ctx, types.NamespacedName{Namespace: o.Namespace, Name: o.Name}, obj)
	if kerrors.IsNotFound(err) {
		return true, nil
	}
	if meta.IsNoMatchError(err) {
		return false, nil // Its kind may be served again, and the owner with it: better ask a person.
	}
	return false, errors.Wrapf(err, "cannot look for the owner %s", o)
}
