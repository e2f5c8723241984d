package managed

import (
	"context"
	"errors"
	"testing"

	xpv2 "github.com/crossplane/crossplane/apis/v2/core/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"
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
		synced  xpv2.Condition
		want    int
	}{
		"Created":  {reason: "The next reconcile follows at once, and knows more.", created: true, synced: xpv2.ReconcileSuccess()},
		"Observed": {reason: "What was observed is told.", synced: xpv2.ReconcileSuccess(), want: 1},
		"Failed":   {reason: "What went wrong after the creation is told.", created: true, synced: xpv2.ReconcileError(errors.New("no")), want: 1},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := &statusWriter{}
			mg := &v1alpha1.EventStore{}
			mg.SetConditions(tc.synced)
			r := passing(reconcile.Func(func(ctx context.Context, _ reconcile.Request) (reconcile.Result, error) {
				if tc.created {
					Created(ctx)
				}
				return reconcile.Result{}, briefStatus{w}.Update(ctx, mg)
			}))
			if _, err := r.Reconcile(t.Context(), reconcile.Request{}); err != nil || w.writes != tc.want {
				t.Errorf("%s\nthe status was written %d times (%v), want %d", tc.reason, w.writes, err, tc.want)
			}
		})
	}
}
