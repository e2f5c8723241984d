package provider_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	xpv2 "github.com/crossplane/crossplane/apis/v2/core/v2"
	corev1 "k8s.io/api/core/v1"
	kerrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
	namespacedv1alpha1 "github.com/crossplane-contrib/provider-eventstore/apis/namespaced/v1alpha1"
)

// patience is how long a test waits for what should take seconds at most on an idle machine: longer than any machine
// takes, and much shorter than the provider's poll interval, which must not be what brings it about. How long things
// take is measured by test/bench.
const patience = 5 * time.Minute

// poll asks until ok, and says what it was waiting for if that never comes.
func poll(ctx context.Context, limit time.Duration, what string, ask func() (ok bool, got string)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var got string
	for {
		var ok bool
		if ok, got = ask(); ok {
			return nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("waited %s until %s; last seen: %s", limit, what, got)
		}
	}
}

// eventually fails the test unless ask says ok in time.
func eventually(t *testing.T, what string, ask func() (ok bool, got string)) {
	t.Helper()
	if err := poll(t.Context(), patience, what, ask); err != nil {
		t.Fatal(err)
	}
}

// steady fails the test if ask ever says no for so long.
func steady(t *testing.T, d time.Duration, what string, ask func() (ok bool, got string)) {
	t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); {
		if ok, got := ask(); !ok {
			t.Fatalf("%s does not hold: %s", what, got)
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-t.Context().Done():
			return
		}
	}
}

func objectKey(o client.Object) client.ObjectKey { return client.ObjectKeyFromObject(o) }

// restartProvider ends the provider as an upgrade does, and starts it again.
func restartProvider(t *testing.T) {
	t.Helper()
	if err := world.provider.Stop(0); err != nil {
		t.Fatal(err)
	}
	if err := startProvider(); err != nil {
		t.Fatal(err)
	}
}

// conditioned is a resource or a ProviderConfig.
type conditioned interface {
	client.Object
	GetCondition(t xpv2.ConditionType) xpv2.Condition
}

// condition waits until a condition of o has the status and, if it is not empty, the reason, and all parts are in its
// message. It returns the message, which must be one that a user can read: one line, not too long, with no secret.
func condition(t *testing.T, o conditioned, c xpv2.ConditionType, status corev1.ConditionStatus, reason xpv2.ConditionReason, parts ...string) string {
	t.Helper()
	var last xpv2.Condition
	err := poll(t.Context(), patience, fmt.Sprintf("%T %s is %s=%s %s %q", o, o.GetName(), c, status, reason, parts), func() (bool, string) {
		if err := world.kube.Get(t.Context(), objectKey(o), o); err != nil {
			return false, err.Error()
		}
		last = o.GetCondition(c)
		ok := last.Status == status && (reason == "" || last.Reason == reason)
		for _, p := range parts {
			ok = ok && strings.Contains(last.Message, p)
		}
		return ok, describe(o)
	})
	if err != nil {
		t.Fatal(err)
	}
	if last.Message != "" {
		t.Logf("%s: %s", c, last.Message)
	}
	if strings.ContainsAny(last.Message, "\n\t") || strings.Contains(last.Message, "%!") || len(last.Message) > 600 {
		t.Errorf("nobody wants to read this message: %q", last.Message)
	}
	return last.Message
}

// describe lists the conditions of o.
func describe(o conditioned) string {
	var parts []string
	for _, c := range []xpv2.ConditionType{xpv2.TypeReady, xpv2.TypeSynced, v1alpha1.TypeAccepted, v1alpha1.TypeHealthy} {
		if got := o.GetCondition(c); got.Reason != "" {
			parts = append(parts, fmt.Sprintf("%s=%s %s %q", c, got.Status, got.Reason, got.Message))
		}
	}
	return strings.Join(parts, "; ")
}

// refused waits until something is refused for the reason, and returns the token that the message asks for, if any.
func refused(t *testing.T, o conditioned, reason xpv2.ConditionReason, parts ...string) (token string) {
	t.Helper()
	return tokenIn(condition(t, o, v1alpha1.TypeAccepted, corev1.ConditionFalse, reason, parts...))
}

// accepted waits until nothing is refused.
func accepted(t *testing.T, o conditioned) {
	t.Helper()
	condition(t, o, v1alpha1.TypeAccepted, corev1.ConditionTrue, v1alpha1.ReasonAccepted)
}

// fails waits until the last reconcile failed with a message that has all parts.
func fails(t *testing.T, o conditioned, parts ...string) string {
	t.Helper()
	return condition(t, o, xpv2.TypeSynced, corev1.ConditionFalse, xpv2.ReasonReconcileError, parts...)
}

// gone waits until o is deleted.
func gone(t *testing.T, o client.Object) {
	t.Helper()
	eventually(t, fmt.Sprintf("%T %s is gone", o, o.GetName()), func() (bool, string) {
		err := world.kube.Get(t.Context(), objectKey(o), o)
		if c, ok := o.(conditioned); ok && err == nil {
			return false, describe(c)
		}
		return kerrors.IsNotFound(err), fmt.Sprint(err)
	})
}

// remove asks for the deletion of o, and does not wait.
func remove(t *testing.T, o client.Object) {
	t.Helper()
	if err := world.kube.Delete(t.Context(), o); client.IgnoreNotFound(err) != nil {
		t.Fatalf("cannot delete %T %s: %v", o, o.GetName(), err)
	}
}

// allow confirms what a message asked for.
func allow(t *testing.T, o client.Object, token string) {
	t.Helper()
	if token == "" {
		t.Fatalf("there is no token to confirm %T %s with", o, o.GetName())
	}
	change(t, o, func(o client.Object) { annotate(o, v1alpha1.AnnotationConfirm, token) })
}

func annotate(o client.Object, key, value string) {
	a := o.GetAnnotations()
	if a == nil {
		a = map[string]string{}
	}
	a[key] = value
	o.SetAnnotations(a)
}

// happened waits for an event of o that has all parts.
func happened(t *testing.T, o client.Object, parts ...string) {
	t.Helper()
	eventually(t, fmt.Sprintf("an event of %s says %q", o.GetName(), parts), func() (bool, string) {
		l := &corev1.EventList{}
		if err := world.kube.List(t.Context(), l); err != nil {
			return false, err.Error()
		}
		var seen []string
		for _, e := range l.Items {
			if e.InvolvedObject.UID != o.GetUID() {
				continue
			}
			seen = append(seen, e.Message)
			ok := true
			for _, p := range parts {
				ok = ok && strings.Contains(e.Message, p)
			}
			if ok {
				t.Logf("Event: %s", e.Message)
				return true, ""
			}
		}
		return false, strings.Join(seen, " | ")
	})
}

// ready waits until mg is Ready and Synced.
func ready(t *testing.T, mg conditioned) {
	t.Helper()
	condition(t, mg, xpv2.TypeReady, corev1.ConditionTrue, "")
	condition(t, mg, xpv2.TypeSynced, corev1.ConditionTrue, "")
}

// create creates objects, and deletes them with what they made when the test ends, confirmed.
func create(t *testing.T, objects ...client.Object) {
	t.Helper()
	for _, o := range objects {
		if err := world.kube.Create(t.Context(), o); err != nil {
			t.Fatalf("cannot create %T %s: %v", o, o.GetName(), err)
		}
		t.Cleanup(func() { discard(t, o) })
	}
}

// discard deletes o for good, with whatever protects it out of the way. For a namespace it does not wait: the
// controller manager takes its time.
func discard(t *testing.T, o client.Object) {
	t.Helper()
	ctx := context.Background() //nolint:usetesting // The test's own context has ended.
	if err := world.kube.Delete(ctx, o); client.IgnoreNotFound(err) != nil {
		t.Errorf("cannot delete %T %s: %v", o, o.GetName(), err)
	}
	if _, ok := o.(*corev1.Namespace); ok {
		return
	}
	err := poll(ctx, patience, fmt.Sprintf("%T %s is gone", o, o.GetName()), func() (bool, string) {
		err := world.kube.Get(ctx, objectKey(o), o)
		if kerrors.IsNotFound(err) {
			return true, ""
		}
		c, ok := o.(conditioned)
		if err != nil || !ok {
			return false, fmt.Sprint(err)
		}
		if token := tokenIn(c.GetCondition(v1alpha1.TypeAccepted).Message); token != "" && o.GetAnnotations()[v1alpha1.AnnotationConfirm] != token {
			before := o.DeepCopyObject().(client.Object) //nolint:forcetypeassert // A copy has the type of its original.
			annotate(o, v1alpha1.AnnotationConfirm, token)
			_ = world.kube.Patch(ctx, o, client.MergeFrom(before)) // Tried again with the next poll.
		}
		return false, describe(c)
	})
	if err != nil {
		t.Error(err)
	}
}

// tokenIn returns the token that a message asks to confirm with.
func tokenIn(message string) string {
	_, after, ok := strings.Cut(message, "confirm with ")
	if !ok || len(after) < 8 {
		return ""
	}
	return after[:8]
}

// change patches o.
func change[T client.Object](t *testing.T, o T, fn func(T)) {
	t.Helper()
	if err := world.kube.Get(t.Context(), objectKey(o), o); err != nil {
		t.Fatal(err)
	}
	before := o.DeepCopyObject().(client.Object) //nolint:forcetypeassert // A copy has the type of its original.
	fn(o)
	if err := world.kube.Patch(t.Context(), o, client.MergeFrom(before)); err != nil {
		t.Fatalf("cannot change %T %s: %v", o, o.GetName(), err)
	}
}

// secretHas checks what a connection Secret has under some of its keys.
func secretHas(t *testing.T, secret map[string][]byte, wants map[string]string) {
	t.Helper()
	for key, want := range wants {
		if got := string(secret[key]); got != want {
			t.Errorf("Secret: %s is %q, want %q", key, got, want)
		}
	}
}

// counted waits until the status of a store counts records, and that of its subscription lag.
func counted(t *testing.T, s *namespacedv1alpha1.EventStore, sub *namespacedv1alpha1.Subscription) {
	t.Helper()
	eventually(t, "status counts records and lag", func() (bool, string) {
		if err := world.kube.Get(t.Context(), objectKey(s), s); err != nil {
			return false, err.Error()
		}
		if err := world.kube.Get(t.Context(), objectKey(sub), sub); err != nil {
			return false, err.Error()
		}
		got := fmt.Sprintf("%d records, lag %d", ptr.Deref(s.Status.AtProvider.Records, -1), ptr.Deref(sub.Status.AtProvider.LagRecords, -1))
		return ptr.Deref(s.Status.AtProvider.Records, 0) > 0 && ptr.Deref(sub.Status.AtProvider.LagRecords, 0) > 0, got
	})
}
