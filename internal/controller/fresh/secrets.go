package fresh

import (
	"context"
	"sync"

	corev1 "k8s.io/api/core/v1"
	kerrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// Once has r read a Secret from the API server at most once in each reconcile. Secrets are not cached, and the runtime
// compares a connection Secret with what is to be published up to three times on the way to Ready; what the reconcile has
// read, or written itself, answers that as well. Nothing of a Secret outlives the reconcile.
func Once(r reconcile.Reconciler) reconcile.Reconciler {
	return reconcile.Func(func(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
		return r.Reconcile(context.WithValue(ctx, secretsKey{}, &secrets{known: map[types.NamespacedName]known{}}), req)
	})
}

// secrets are those that one reconcile has read or written.
type secrets struct {
	mu    sync.Mutex
	known map[types.NamespacedName]known
}

type secretsKey struct{}

// known is what the API server has answered: a Secret, or that there is none.
type known struct {
	secret *corev1.Secret
	absent error
}

// secretsOf returns the Secrets of the reconcile that ctx belongs to; nil outside of any, and for what is no Secret.
func secretsOf(ctx context.Context, o client.Object) (*secrets, *corev1.Secret) {
	s, ok := o.(*corev1.Secret)
	if !ok {
		return nil, nil
	}
	m, _ := ctx.Value(secretsKey{}).(*secrets)
	return m, s
}

// get reads a Secret by read unless it is known.
func (m *secrets) get(name types.NamespacedName, into *corev1.Secret, read func() error) error {
	m.mu.Lock()
	k, ok := m.known[name]
	m.mu.Unlock()
	switch {
	case ok && k.absent != nil:
		return k.absent
	case ok:
		k.secret.DeepCopyInto(into)
		return nil
	}
	err := read()
	switch {
	case err == nil:
		m.note(name, known{secret: into.DeepCopy()})
	case kerrors.IsNotFound(err):
		m.note(name, known{absent: err})
	}
	return err
}

// wrote notes what a write has left. After one that failed nothing is known any more: somebody else may have written.
func (m *secrets) wrote(s *corev1.Secret, err error) {
	name := client.ObjectKeyFromObject(s)
	if err == nil {
		m.note(name, known{secret: s.DeepCopy()})
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.known, name)
}

func (m *secrets) note(name types.NamespacedName, k known) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.known[name] = k
}
