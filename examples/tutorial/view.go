package main

import (
	"context"
	"sync"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
)

// Wealth is a view: what each owner has, over all accounts. It is in memory, so it begins anew with the process; in a
// database, Apply is one transaction, and the view goes on from its checkpoint.
type Wealth struct {
	mu     sync.Mutex
	cents  map[string]int    // By owner.
	owners map[string]string // By account.
	at     eventstore.Checkpoint
}

// Checkpoint implements [eventstore.View].
func (w *Wealth) Checkpoint(context.Context) (eventstore.Checkpoint, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.at, nil
}

// Apply implements [eventstore.View].
func (w *Wealth) Apply(_ context.Context, b eventstore.Batch) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range b.Events {
		account := Account{Owner: w.owners[e.Stream.ID]}
		account, err := evolve(account, e)
		if err != nil {
			return err
		}
		w.owners[e.Stream.ID] = account.Owner
		w.cents[account.Owner] += account.Balance // What this event has changed.
	}
	w.at = b.To
	return nil
}

// Reset implements [eventstore.View].
func (w *Wealth) Reset(context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cents, w.owners, w.at = map[string]int{}, map[string]string{}, nil
	return nil
}
