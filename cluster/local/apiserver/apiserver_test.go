package apiserver

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// progress shows on the test's log what is being built: a cold start takes minutes.
type progress struct{ t *testing.T }

func (p progress) Write(b []byte) (int, error) { p.t.Logf("%s", b); return len(b), nil }

func TestServer(t *testing.T) {
	dir := t.TempDir()
	s := startServer(t, dir)
	c, err := kubernetes.NewForConfig(s.Config())
	if err != nil {
		t.Fatal(err)
	}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "a"}}
	if _, err := c.CoreV1().Namespaces().Create(t.Context(), ns, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}

	t.Run("OwnedObjectsAreCollected", func(t *testing.T) { collected(t, c) })
	t.Run("AnonymousIsRefused", func(t *testing.T) {
		anonymous, err := kubernetes.NewForConfig(rest.AnonymousClientConfig(s.Config()))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := anonymous.CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{}); err == nil {
			t.Error("namespaces were listed without credentials")
		}
	})
	t.Run("ANamespaceGoesAway", func(t *testing.T) {
		if err := c.CoreV1().Namespaces().Delete(t.Context(), "a", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		poll(t, "namespace to go away", func(ctx context.Context) error {
			if _, err := c.CoreV1().Namespaces().Get(ctx, "a", metav1.GetOptions{}); err == nil {
				return errors.New("it is still there")
			}
			return nil
		})
	})
	t.Run("ObjectsSurviveARestart", func(t *testing.T) {
		if _, err := c.CoreV1().ConfigMaps("default").Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "kept"}}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := s.Stop(); err != nil {
			t.Fatal(err)
		}
		again, err := kubernetes.NewForConfig(startServer(t, dir).Config())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := again.CoreV1().ConfigMaps("default").Get(t.Context(), "kept", metav1.GetOptions{}); err != nil {
			t.Error(err)
		}
	})
}

func startServer(t *testing.T, dir string) *Server {
	t.Helper()
	start := time.Now()
	s, err := Start(t.Context(), Options{Dir: dir, Controllers: true, Progress: progress{t}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	t.Logf("ready after %s", time.Since(start).Round(time.Millisecond))
	return s
}

// collected deletes an owner and waits until what it owned is gone.
func collected(t *testing.T, c kubernetes.Interface) {
	t.Helper()
	maps := c.CoreV1().ConfigMaps("a")
	owner, err := maps.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "owner"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	owned := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
		Name:            "owned",
		OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: owner.Name, UID: owner.UID}},
	}}
	if _, err := maps.Create(t.Context(), owned, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := maps.Delete(t.Context(), owner.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	poll(t, "owned object to be collected", func(ctx context.Context) error {
		if _, err := maps.Get(ctx, owned.Name, metav1.GetOptions{}); err == nil {
			return errors.New("it is still there")
		}
		return nil
	})
}

func poll(t *testing.T, what string, done func(context.Context) error) {
	t.Helper()
	var last error
	err := wait.PollUntilContextTimeout(t.Context(), 20*time.Millisecond, 30*time.Second, true, func(ctx context.Context) (bool, error) {
		last = done(ctx)
		return last == nil, nil
	})
	if err != nil {
		t.Fatal(fmt.Errorf("waiting for %s: %w: %w", what, err, last))
	}
}
