package providerconfig

import (
	"context"

	"github.com/crossplane/crossplane-runtime/v2/pkg/errors"
	"github.com/crossplane/crossplane-runtime/v2/pkg/meta"
	"github.com/crossplane/crossplane-runtime/v2/pkg/resource"
	corev1 "k8s.io/api/core/v1"
	kerrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	clusterv1alpha1 "github.com/crossplane-contrib/provider-eventstore/apis/cluster/v1alpha1"
	namespacedv1alpha1 "github.com/crossplane-contrib/provider-eventstore/apis/namespaced/v1alpha1"
)

// A Tracker records which resources use which ProviderConfig, so that none is deleted while it is used.
type Tracker struct {
	legacy *resource.LegacyProviderConfigUsageTracker
	modern *resource.ProviderConfigUsageTracker
}

// NewTracker returns a tracker that writes with c.
func NewTracker(c client.Client) *Tracker {
	return &Tracker{
		legacy: resource.NewLegacyProviderConfigUsageTracker(c, &clusterv1alpha1.ProviderConfigUsage{}),
		modern: resource.NewProviderConfigUsageTracker(c, &namespacedv1alpha1.ProviderConfigUsage{}),
	}
}

// Track records that mg uses its ProviderConfig. Nothing can be created in a namespace that is being deleted; a resource
// in it that is being deleted as well must not get stuck on that.
func (t *Tracker) Track(ctx context.Context, mg resource.Managed) error {
	var err error
	switch mg := mg.(type) {
	case resource.LegacyManaged: //nolint:staticcheck // Claims need cluster-scoped kinds.
		err = t.legacy.Track(ctx, mg)
	case resource.ModernManaged:
		err = t.modern.Track(ctx, mg)
	}
	if meta.WasDeleted(mg) && (kerrors.HasStatusCause(errors.Cause(err), corev1.NamespaceTerminatingCause) || kerrors.IsForbidden(errors.Cause(err)) || kerrors.IsNotFound(errors.Cause(err))) {
		return nil
	}
	if kerrors.IsAlreadyExists(errors.Cause(err)) { // By an earlier reconcile, which the cache has not seen yet: it has the resource's UID.
		return nil
	}
	return errors.Wrap(err, "cannot record the use of the ProviderConfig")
}
