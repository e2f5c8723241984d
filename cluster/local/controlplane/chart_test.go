package controlplane

import (
	"path/filepath"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/binaries"
)

func TestRenderRBAC(t *testing.T) {
	programs, err := binaries.Build(t.Context(), t.Output(), binaries.Crossplane)
	if err != nil {
		t.Fatal(err)
	}
	objects, err := renderRBAC(filepath.Join(programs[binaries.Crossplane].DataDir, "charts", "crossplane"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]*unstructured.Unstructured{}
	for _, o := range objects {
		found[o.GetKind()+"/"+o.GetName()] = o
	}
	for _, want := range []string{
		"ServiceAccount/crossplane", "ServiceAccount/rbac-manager", "ClusterRole/crossplane", "ClusterRoleBinding/crossplane",
		"ClusterRole/crossplane-rbac-manager", "ClusterRoleBinding/crossplane-rbac-manager",
		"ClusterRole/crossplane:allowed-provider-permissions", "ClusterRole/crossplane-edit",
	} {
		if found[want] == nil {
			t.Errorf("%s is missing", want)
		}
	}
	rules, _, _ := unstructured.NestedSlice(found["ClusterRole/crossplane:system:aggregate-to-crossplane"].Object, "rules")
	if len(rules) == 0 {
		t.Error("Crossplane has no rights")
	}
	if got := found["ServiceAccount/crossplane"].GetNamespace(); got != Namespace {
		t.Errorf("its ServiceAccount is in namespace %q, want %q", got, Namespace)
	}
}
