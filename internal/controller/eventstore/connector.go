package eventstore

import (
	"context"

	"github.com/crossplane/crossplane-runtime/v2/pkg/meta"
	runtimemanaged "github.com/crossplane/crossplane-runtime/v2/pkg/reconciler/managed"
	xpv2 "github.com/crossplane/crossplane/apis/v2/core/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
	"github.com/crossplane-contrib/provider-eventstore/internal/controller/managed"
	"github.com/crossplane-contrib/provider-eventstore/internal/mirror"
)

// object is an EventStore of either scope.
type object interface {
	managed.Object
	Parameters() *v1alpha1.EventStoreParameters
	Observation() *v1alpha1.EventStoreObservation
	PrincipalSecretRef() *xpv2.SecretReference
}

// connector makes an external client for each reconcile.
type connector[T object] struct {
	managed.Shell
	pacer   *managed.Pacer
	repeats managed.Repeats
}

func newConnector[T object](s managed.Shell) *connector[T] {
	return &connector[T]{Shell: s, pacer: &managed.Pacer{Interval: s.PollInterval}}
}

// Connect records the use of the ProviderConfig, and finds the mirror of its broker. It does not wait for the broker.
func (c *connector[T]) Connect(ctx context.Context, mg T) (runtimemanaged.TypedExternalClient[T], error) {
	if err := c.Tracker.Track(ctx, mg); err != nil {
		return nil, err
	}
	conn, err := c.Resolver.Connect(ctx, mg)
	if err != nil {
		if meta.WasDeleted(mg) && untouched(mg) {
			return managed.Nothing[T]{}, nil
		}
		return nil, err
	}
	owner, err := c.Owners.Of(mg)
	if err != nil {
		return nil, err
	}
	key := client.ObjectKeyFromObject(mg)
	return &external[T]{connector: c, broker: conn, owner: owner, watcher: &mirror.Watcher{ID: owner.UID, Notify: func() { c.Trigger.Enqueue(key) }}}, nil
}
