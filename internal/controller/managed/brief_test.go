package managed

import (
	"context"
	"errors"
	"testing"

	"github.com/crossplane/crossplane-runtime/v2/pkg/meta"
	runtimemanaged "github.com/crossplane/crossplane-runtime/v2/pkg/reconciler/managed"
	xpv2 "github.com/crossplane/crossplane/apis/v2/core/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/crossplane-contrib/provider-eventstore/apis/cluster/v1alpha1"
)

// statusWriter counts.
type statusWriter struct {
	client.SubResourceWriter
	writes int
}

func (s *statusWriter) Update(context.Context, client.Object, ...client.SubResourceUpdateOption) error {
	s.writes++
	return nil
}

func TestBriefStatus(t *testing.T) {
	cases := map[string]struct {
		reason  string
		created bool
		read    *xpv2.Condition // Of the resource in the beginning.
		synced  xpv2.Condition
		want    int
	}{
		"Created":  {reason: "The pass that follows at once knows more.", created: true, synced: xpv2.ReconcileSuccess(), want: 1},
		"Observed": {reason: "What was observed is told.", synced: xpv2.ReconcileSuccess(), want: 1},
		"NoNews":   {reason: "What is as it was need not be told again.", read: new(xpv2.ReconcileSuccess()), synced: xpv2.ReconcileSuccess()},
		"News":     {reason: "What is no more is.", read: new(xpv2.ReconcileSuccess()), synced: xpv2.ReconcileError(errors.New("no")), want: 1},
		"Failed":   {reason: "What went wrong after the creation is told, by both passes.", created: true, synced: xpv2.ReconcileError(errors.New("no")), want: 2},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := &statusWriter{}
			mg := &v1alpha1.EventStore{}
			var before *v1alpha1.EventStore
			if tc.read != nil {
				mg.SetConditions(*tc.read)
				before = mg.DeepCopy()
			}
			mg.SetConditions(tc.synced)
			r := passing(reconcile.Func(func(ctx context.Context, _ reconcile.Request) (reconcile.Result, error) {
				if tc.created && !passOf(ctx).again {
					Created(ctx)
				}
				if before != nil {
					passOf(ctx).read = before
				}
				return reconcile.Result{}, briefStatus{w}.Update(ctx, mg)
			}))
			if _, err := r.Reconcile(t.Context(), reconcile.Request{}); err != nil || w.writes != tc.want {
				t.Errorf("%s\nthe status was written %d times (%v), want %d", tc.reason, w.writes, err, tc.want)
			}
		})
	}
}

// objectWriter keeps what was written last.
type objectWriter struct {
	client.Client
	wrote client.Object
}

func (w *objectWriter) Update(_ context.Context, o client.Object, _ ...client.UpdateOption) error {
	w.wrote = o
	return nil
}

func TestAnnounced(t *testing.T) {
	for name, tc := range map[string]struct {
		reason  string
		creates bool
		deleted bool
		want    bool // It is written with the finalizer.
		fails   bool
	}{
		"Conflict": {reason: "The runtime has read it again, without what was not saved yet.", creates: true, want: true},
		"Deleted":  {reason: "It was deleted meanwhile: nobody would delete what is created now.", creates: true, deleted: true, fails: true},
		"Other":    {reason: "Nothing is announced."},
	} {
		w, mg := &objectWriter{}, &v1alpha1.EventStore{}
		if tc.deleted {
			mg.SetDeletionTimestamp(new(metav1.Now()))
		}
		ctx := context.WithValue(t.Context(), passKey{}, &pass{creates: tc.creates})
		err := briefClient{w}.Update(ctx, mg)
		if got := meta.FinalizerExists(mg, runtimemanaged.FinalizerName); got != tc.want || (err != nil) != tc.fails || (w.wrote == nil) != tc.fails {
			t.Errorf("%s: %s\nthe finalizer is there: %t, want %t; %v", name, tc.reason, got, tc.want, err)
		}
	}
}

// writer is a client that has written everything, or nothing.
type writer struct {
	client.Client
	all bool
}

func (w writer) Wrote(client.Object) bool { return w.all }

func TestDesiredStateChanged(t *testing.T) {
	store := func(generation int64, annotations map[string]string) *v1alpha1.EventStore {
		return &v1alpha1.EventStore{ObjectMeta: metav1.ObjectMeta{Generation: generation, Annotations: annotations}}
	}
	succeeded := map[string]string{meta.AnnotationKeyExternalCreateSucceeded: "now"}
	for name, tc := range map[string]struct {
		reason        string
		before, after *v1alpha1.EventStore
		wrote         bool
		want          bool
	}{
		"Spec":      {reason: "Somebody asks for something else.", before: store(1, nil), after: store(2, nil), want: true},
		"Confirmed": {reason: "Somebody confirms something.", before: store(1, nil), after: store(1, map[string]string{"eventstore.crossplane.io/confirm": "x"}), want: true},
		"Succeeded": {reason: "The provider has noted that it created something.", before: store(1, nil), after: store(1, succeeded)},
		"Announced": {reason: "The provider has written what it goes on from.", before: store(1, nil), after: store(2, nil), wrote: true},
		"Both":      {reason: "Somebody asks for something else at the same time.", before: store(1, nil), after: store(2, succeeded), want: true},
	} {
		if got := desiredStateChanged(writer{all: tc.wrote}).Update(event.UpdateEvent{ObjectOld: tc.before, ObjectNew: tc.after}); got != tc.want {
			t.Errorf("%s: %s\nit is let through: %t, want %t", name, tc.reason, got, tc.want)
		}
	}
}
