package provider_test

import (
	"context"
	"errors"
	"testing"

	xpv2 "github.com/crossplane/crossplane/apis/v2/core/v2"
	corev1 "k8s.io/api/core/v1"

	"github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
	"github.com/crossplane-contrib/provider-eventstore/test/bench/backdoor"
)

// TestStoreMadeAgain: a subscription that outlives its store begins at startFrom in the one that is made under the same name:
// where it was says nothing there, and must not make it skip anything.
func TestStoreMadeAgain(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, backend v1alpha1.Backend) {
		b, ns := shared(t, backend), namespace(t)
		s, sub := on(b, store(ns, "orders")), on(b, subscription(ns, "orders", "billing"))
		create(t, s, sub)
		ready(t, s)
		ready(t, sub)
		write(t, b.application(t, ns, "orders"), "a", "b", "c")
		consume(t, b.application(t, ns, "billing"), 3)
		seen(t, s, 3, 0)

		remove(t, s)
		allow(t, s, refused(t, s, v1alpha1.ReasonNotEmpty))
		gone(t, s)
		condition(t, sub, xpv2.TypeReady, corev1.ConditionFalse, v1alpha1.ReasonStoreNotReady)

		s = on(b, store(ns, "orders"))
		create(t, s)
		ready(t, s)
		write(t, b.application(t, ns, "orders"), "d", "e")
		ready(t, sub)
		accepted(t, sub)
		seen(t, s, 2, 2)
		consume(t, b.application(t, ns, "billing"), 2)
	})
}

// consume reads n records of a subscription, and acknowledges them.
func consume(t *testing.T, a backdoor.Application, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	got := map[string]bool{}
	for len(got) < n && ctx.Err() == nil {
		err := a.Consume(ctx, func(id string) {
			if got[id] = true; len(got) == n {
				cancel()
			}
		})
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Logf("consuming: %v", err)
		}
	}
	if len(got) < n {
		t.Fatalf("%d of %d records were consumed: %v", len(got), n, got)
	}
}
