package e2e_test

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	kerrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	namespacedv1alpha1 "github.com/crossplane-contrib/provider-eventstore/apis/namespaced/v1alpha1"
)

// awaitCollector waits until Kubernetes' garbage collector knows our kinds. It looks for new ones every half minute. Until
// then, who deletes an owner in the foreground sees it go before what it owns. The store here is paused: nobody makes it.
func awaitCollector(ctx context.Context, kube client.Client) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	owner := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", GenerateName: "collected-"}}
	if err := kube.Create(ctx, owner); err != nil {
		return err
	}
	owned := &unstructured.Unstructured{}
	owned.SetGroupVersionKind(namespacedv1alpha1.EventStoreGroupVersionKind)
	owned.SetNamespace("default")
	owned.SetName(owner.GetName())
	owned.SetAnnotations(map[string]string{"crossplane.io/paused": "true"})
	owned.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: owner.GetName(), UID: owner.GetUID()}})
	if err := kube.Create(ctx, owned); err != nil {
		return err
	}
	if err := kube.Delete(ctx, owner); err != nil {
		return err
	}
	for {
		switch err := kube.Get(ctx, client.ObjectKeyFromObject(owned), owned); {
		case kerrors.IsNotFound(err):
			return nil
		case err != nil:
			return err
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("waited %s for Kubernetes to collect a store whose owner is gone: %w", patience, context.Cause(ctx))
		}
	}
}
