package managed

import (
	"context"
	"maps"
	"reflect"

	"github.com/crossplane/crossplane-runtime/v2/pkg/errors"
	"github.com/crossplane/crossplane-runtime/v2/pkg/meta"
	runtimemanaged "github.com/crossplane/crossplane-runtime/v2/pkg/reconciler/managed"
	"github.com/crossplane/crossplane-runtime/v2/pkg/resource"
	xpv2 "github.com/crossplane/crossplane/apis/v2/core/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
)

// briefly is a manager whose client leaves out a status that is no news: one that is as it was, and the one between a
// creation and the observation that follows at once, which would only say that something is being created. To write it costs
// the API server as much as to write that it is Ready.
type briefly struct{ ctrl.Manager }

func (m briefly) GetClient() client.Client { return briefClient{m.Manager.GetClient()} }

type briefClient struct{ client.Client }

// Get implements [client.Reader].
func (c briefClient) Get(ctx context.Context, name client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	err := c.Client.Get(ctx, name, o, opts...)
	if _, ok := o.(Object); ok && err == nil {
		passOf(ctx).read = o.DeepCopyObject().(client.Object) //nolint:forcetypeassert // A copy has the type of its original.
	}
	return err
}

// Update implements [client.Writer]. The API server answers with the status that it has; what was observed since is kept.
func (c briefClient) Update(ctx context.Context, o client.Object, opts ...client.UpdateOption) error {
	if _, ok := o.(Object); !ok {
		return c.Client.Update(ctx, o, opts...)
	}
	if err := announced(ctx, o); err != nil {
		return err
	}
	observed := reflect.ValueOf(o.DeepCopyObject()).Elem().FieldByName("Status")
	err := c.Client.Update(ctx, o, opts...)
	if err == nil {
		reflect.ValueOf(o).Elem().FieldByName("Status").Set(observed)
	}
	return err
}

// announced has the announcement of a creation save the finalizer. The runtime reads the resource again if somebody else has
// changed it since, and knows only of annotations then: what is created for a resource without a finalizer would stay when
// that is deleted.
func announced(ctx context.Context, o client.Object) error {
	if !passOf(ctx).creates || meta.FinalizerExists(o, runtimemanaged.FinalizerName) {
		return nil
	}
	if meta.WasDeleted(o) {
		return errors.New("cannot announce the creation: the resource is being deleted")
	}
	meta.AddFinalizer(o, runtimemanaged.FinalizerName)
	return nil
}

// Status implements [client.StatusClient].
func (c briefClient) Status() client.SubResourceWriter { return briefStatus{c.Client.Status()} }

type briefStatus struct{ client.SubResourceWriter }

// Update implements [client.SubResourceWriter].
func (s briefStatus) Update(ctx context.Context, o client.Object, opts ...client.SubResourceUpdateOption) error {
	p := passOf(ctx)
	mg, ok := o.(resource.Managed)
	if ok && p.created && !p.again && mg.GetCondition(xpv2.TypeSynced).Status == corev1.ConditionTrue {
		return nil
	}
	if p.read != nil && equality.Semantic.DeepEqual(statusOf(p.read), statusOf(o)) {
		return nil
	}
	return s.SubResourceWriter.Update(ctx, o, opts...)
}

func statusOf(o client.Object) any {
	return reflect.ValueOf(o).Elem().FieldByName("Status").Interface()
}

// desiredStateChanged lets through what somebody else may have asked for. What the provider has written itself, by c, was
// written by a reconcile that went on from there. That a creation has succeeded was noted by one, too.
func desiredStateChanged(c client.Client) predicate.Predicate {
	return predicate.And(resource.DesiredStateChanged(), predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		if w, ok := c.(interface{ Wrote(o client.Object) bool }); ok && w.Wrote(e.ObjectNew) {
			return false
		}
		return e.ObjectOld.GetGeneration() != e.ObjectNew.GetGeneration() || !maps.Equal(e.ObjectOld.GetLabels(), e.ObjectNew.GetLabels()) ||
			!maps.Equal(asked(e.ObjectOld), asked(e.ObjectNew))
	}})
}

func asked(o client.Object) map[string]string {
	a := maps.Clone(o.GetAnnotations())
	delete(a, meta.AnnotationKeyExternalCreateSucceeded)
	return a
}
