// Package trigger has a resource reconciled because of something outside of the API server: what a broker holds has
// changed, or the credentials to reach it.
package trigger

import (
	"context"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// A Trigger is a source of reconcile requests for one controller. The zero value is ready to be watched; what is
// enqueued before the controller starts is forgotten, because starting reconciles everything.
type Trigger struct {
	mu    sync.Mutex
	queue workqueue.TypedRateLimitingInterface[reconcile.Request]
}

// Source returns what the controller watches.
func (t *Trigger) Source() source.Source {
	return source.Func(func(_ context.Context, q workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.queue = q
		return nil
	})
}

// Enqueue has a resource reconciled now, whatever it failed at before: there is news, so that it need not wait until its
// backoff is over. The queue holds a resource once however often it is enqueued, so it is bounded by the number of
// resources.
func (t *Trigger) Enqueue(name types.NamespacedName) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.queue == nil {
		return
	}
	r := reconcile.Request{NamespacedName: name}
	t.queue.Forget(r)
	t.queue.Add(r)
}
