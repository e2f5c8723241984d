// Package apis adds every kind of the provider to a scheme. The kinds are in the packages below it: cluster/v1alpha1 and
// namespaced/v1alpha1, and what they share in common/v1alpha1.
package apis

import (
	"k8s.io/apimachinery/pkg/runtime"

	cluster "github.com/crossplane-contrib/provider-eventstore/apis/cluster/v1alpha1"
	namespaced "github.com/crossplane-contrib/provider-eventstore/apis/namespaced/v1alpha1"
)

// AddToScheme adds every kind of the provider, of both scopes, to a scheme.
func AddToScheme(s *runtime.Scheme) error {
	if err := cluster.AddToScheme(s); err != nil {
		return err
	}
	return namespaced.AddToScheme(s)
}
