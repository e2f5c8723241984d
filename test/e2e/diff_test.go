package e2e_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// TestDiff shows what the provider would do with stores that it is told to leave alone for now.
func TestDiff(t *testing.T) {
	ns := namespace(t)
	for _, text := range []string{diffReader, diffReaders} {
		manifest(t, text)
	}
	for backend, config := range map[string]string{"redis": "fast", "kafka": "durable", "pulsar": "isolated"} {
		t.Run(backend, func(t *testing.T) { testDiff(t, ns, backend, config) })
	}
}

func testDiff(t *testing.T, ns, backend, config string) {
	u := manifest(t, fmt.Sprintf(`
apiVersion: eventstore.m.crossplane.io/v1alpha1
kind: EventStore
metadata: {namespace: %s, name: %s}
spec:
  forProvider: {partitions: 2, retention: {duration: 48h}}
  providerConfigRef: {kind: ClusterProviderConfig, name: %s}
  writeConnectionSecretToRef: {name: %s}
`, ns, backend, config, backend))
	sub := manifest(t, fmt.Sprintf(`
apiVersion: eventstore.m.crossplane.io/v1alpha1
kind: Subscription
metadata: {namespace: %s, name: %s-billing, annotations: {crossplane.io/external-name: billing}}
spec:
  forProvider: {eventStoreRef: {name: %s}}
  providerConfigRef: {kind: ClusterProviderConfig, name: %s}
  writeConnectionSecretToRef: {name: %s-billing}
`, ns, backend, backend, config, backend))
	ready(t, u)
	ready(t, sub)
	for _, of := range []string{"eventstore.eventstore.m.crossplane.io/" + backend, "subscription/" + backend + "-billing"} {
		if out, code := esctl(t.Context(), "diff", of, "-n", ns); code != 0 || !strings.Contains(out, "is on the broker as it says") {
			t.Fatalf("%s is ready, and diff says (exit code %d)\n%s", of, code, out)
		}
	}
	retains(t, u, "72h", true)
	want := "~ retention.duration"
	for range 2 { // The second time because the first changed nothing.
		if out, code := esctl(t.Context(), "diff", "es", backend, "-n", ns); code != 1 || !strings.Contains(out, want) {
			t.Errorf("with a longer retention diff says (exit code %d), want %s\n%s", code, want, out)
		}
	}
	retains(t, u, "24h", true)
	out, code := esctl(t.Context(), "diff", "es", backend, "-n", ns)
	if code != 1 || !strings.Contains(out, "refused (RetentionShrink)") || !strings.Contains(out, "confirm with ") {
		t.Errorf("with a shorter retention diff says (exit code %d)\n%s", code, out)
	}
	retains(t, u, "48h", false)
	out, code = esctl(t.Context(), "diff", "es", backend, "-n", ns, "--as", "explain-reader")
	if code != 2 || !strings.Contains(out, "you may not read what it takes") {
		t.Errorf("without the right to read Secrets diff says (exit code %d)\n%s", code, out)
	}
}

// retains changes the retention of a store, of which the provider takes no notice while it is paused.
func retains(t *testing.T, u *unstructured.Unstructured, duration string, paused bool) {
	t.Helper()
	eventually(t, u.GetName()+" asks for a retention of "+duration, func(ctx context.Context) (bool, string) {
		if err := world.kube.Get(ctx, client.ObjectKeyFromObject(u), u); err != nil {
			return false, err.Error()
		}
		a := u.GetAnnotations()
		if a == nil {
			a = map[string]string{}
		}
		a["crossplane.io/paused"] = fmt.Sprint(paused)
		u.SetAnnotations(a) // With the spec, so that the provider sees neither without the other.
		_ = unstructured.SetNestedField(u.Object, duration, "spec", "forProvider", "retention", "duration")
		err := world.kube.Update(ctx, u)
		return err == nil, fmt.Sprint(err)
	})
}

// diffReader may read stores, and no Secrets.
const diffReader = `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: explain-reader}
rules:
  - {apiGroups: [eventstore.crossplane.io, eventstore.m.crossplane.io], resources: ["*"], verbs: [get, list]}
  - {apiGroups: [""], resources: [configmaps], verbs: [get]}
`

const diffReaders = `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: explain-reader}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: explain-reader}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: explain-reader}]
`
