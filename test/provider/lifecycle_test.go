package provider_test

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

func TestStoreAndSubscriptionBecomeReady(t *testing.T) {
	ns := namespace(t)
	s, sub := store(ns, "orders"), subscription(ns, "orders", "billing")
	create(t, s, sub)
	ready(t, s)
	ready(t, sub)

	secret := &corev1.Secret{}
	if err := world.kube.Get(t.Context(), types.NamespacedName{Namespace: ns, Name: "billing"}, secret); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		layout.SecretStore:        ns + ".orders",
		layout.SecretSubscription: "billing",
		layout.SecretPartitions:   "1",
		layout.SecretUsername:     layout.SubscriptionPrincipal(ns+".orders", "billing"),
	} {
		if got := string(secret.Data[key]); got != want {
			t.Errorf("the Secret's %s is %q, want %q", key, got, want)
		}
	}
	if n := len(secret.Data[layout.SecretPassword]); n < 32 {
		t.Errorf("the Secret's password has %d characters, want at least 32", n)
	}
}

func TestTimeToReady(t *testing.T) {
	ns := namespace(t)
	for i := range 10 {
		s := store(ns, fmt.Sprintf("s%d", i))
		began := time.Now()
		create(t, s)
		ready(t, s)
		t.Logf("%s", time.Since(began))
	}
}
