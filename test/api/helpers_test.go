package api_test

import (
	"context"
	"strings"
	"testing"
	"time"

	kerrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// A scope is a group of kinds. Each test of the parameters runs for both.
type scope struct {
	group     string
	namespace string
}

var scopes = map[string]scope{
	"Cluster":    {group: "eventstore.crossplane.io"},
	"Namespaced": {group: "eventstore.m.crossplane.io", namespace: namespace},
}

// object returns an object whose spec is written as YAML.
func (s scope) object(t *testing.T, kind, name, spec string) *unstructured.Unstructured {
	t.Helper()
	m := map[string]any{}
	if err := yaml.UnmarshalStrict([]byte(strings.ReplaceAll(spec, "\t", "  ")), &m); err != nil {
		t.Fatalf("cannot read the test's own YAML: %v\n%s", err, spec)
	}
	u := &unstructured.Unstructured{Object: map[string]any{"spec": m}}
	u.SetAPIVersion(s.group + "/v1alpha1")
	u.SetKind(kind)
	u.SetName(name)
	u.SetNamespace(s.namespace)
	return u
}

// params returns an object with spec.forProvider written as YAML.
func (s scope) params(t *testing.T, kind, name, forProvider string) *unstructured.Unstructured {
	t.Helper()
	u := s.object(t, kind, name, "{}")
	m := map[string]any{}
	if err := yaml.UnmarshalStrict([]byte(forProvider), &m); err != nil {
		t.Fatalf("cannot read the test's own YAML: %v\n%s", err, forProvider)
	}
	u.Object["spec"] = map[string]any{"forProvider": m}
	return u
}

// try creates an object without keeping it. The watch that a CRD's storage needs may still be starting, so it waits.
func try(t *testing.T, u *unstructured.Unstructured) error {
	t.Helper()
	return retry(t, func() error { return kube.Create(t.Context(), u.DeepCopy(), client.DryRunAll) })
}

// keep creates an object, and deletes it when the test ends.
func keep(t *testing.T, u client.Object) {
	t.Helper()
	if err := retry(t, func() error { return kube.Create(t.Context(), u) }); err != nil {
		t.Fatalf("cannot create %s %s: %v", u.GetObjectKind().GroupVersionKind().Kind, u.GetName(), err)
	}
	ctx := context.WithoutCancel(t.Context()) // The test's own ends before its clean-up begins.
	t.Cleanup(func() {
		if err := kube.Delete(ctx, u); err != nil && !kerrors.IsNotFound(err) {
			t.Errorf("cannot delete %s: %v", u.GetName(), err)
		}
	})
}

// retry repeats what the API server answers with 429 or 404 right after a CRD was established.
func retry(t *testing.T, f func() error) error {
	t.Helper()
	var last error
	_ = wait.PollUntilContextTimeout(t.Context(), 20*time.Millisecond, time.Minute, true, func(context.Context) (bool, error) {
		last = f()
		return !kerrors.IsTooManyRequests(last) && !kerrors.IsNotFound(last), nil
	})
	return last
}

// refused fails the test unless err refuses the object, and says so with the wanted words.
func refused(t *testing.T, reason string, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("%s\ngot refused: %v", reason, err)
	case want == "":
	case err == nil:
		t.Errorf("%s\nwas accepted, want a refusal with %q", reason, want)
	case !kerrors.IsInvalid(err):
		t.Errorf("%s\ngot another error than a refusal: %v", reason, err)
	case !strings.Contains(err.Error(), want):
		t.Errorf("%s\nwant a message with %q, got: %v", reason, want, err)
	}
}

// local takes the namespaces of Secrets out of a spec.
func local(spec string) string {
	return strings.NewReplacer("namespace: team-a, ", "", ", namespace: team-a", "").Replace(spec)
}
