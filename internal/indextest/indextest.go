// Package indextest looks whether a driver's stores go on with an index on disk, and what they do with one that is wrong.
package indextest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

// A Driver is what is tested.
type Driver struct {
	// Store makes a store of its own.
	Store func(t *testing.T) eventstore.Secret

	// Folded says whether a store that was just opened begins with something that it has not read.
	Folded func(t *testing.T, s eventstore.Store) bool
}

const (
	streams = 20
	events  = 30
)

func stream(n int) eventstore.StreamID { return eventstore.StreamID{Type: "order", ID: fmt.Sprint(n)} }

func event(stream, version int) eventstore.EventData {
	return eventstore.EventData{ID: fmt.Sprintf("%d-%d", stream, version), Type: "Counted"}
}

func open(t *testing.T, s eventstore.Secret, folder string) eventstore.Store {
	t.Helper()
	store, err := eventstore.OpenSecret(t.Context(), s, eventstore.WithIndex(folder))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

// Run runs the tests.
func Run(t *testing.T, d Driver) {
	t.Helper()
	secret, folder := d.Store(t), t.TempDir()
	first := open(t, secret, folder)
	for n := range streams {
		for v := range events {
			if _, err := first.Append(t.Context(), stream(n), eventstore.Version(v), event(n, v)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	t.Run("Restart", func(t *testing.T) {
		store := open(t, secret, folder)
		if !d.Folded(t, store) {
			t.Error("the index that the first process left is not used")
		}
		for n := range streams {
			check(t, store, n)
		}
	})
	t.Run("WithoutIt", func(t *testing.T) { // Somebody appends meanwhile who has none.
		other, err := eventstore.OpenSecret(t.Context(), secret)
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		if _, err := other.Append(t.Context(), stream(0), events+1, event(0, events+1)); err != nil {
			t.Fatal(err)
		}
		store := open(t, secret, folder)
		_, err = store.Append(t.Context(), stream(0), events+1, event(0, 1000))
		var conflict *eventstore.ConcurrencyError
		if !errors.As(err, &conflict) || conflict.Actual != events+2 {
			t.Errorf("Append at a version that is past: %v, want a conflict with version %d", err, events+2)
		}
	})
	t.Run("Another", func(t *testing.T) {
		another, elsewhere := d.Store(t), t.TempDir()
		move(t, folder, secret, elsewhere, another)
		store := open(t, another, elsewhere)
		if d.Folded(t, store) {
			t.Error("the index of another store is used")
		}
		if v, err := store.Append(t.Context(), stream(0), 0, event(0, 0)); err != nil || v != 1 {
			t.Errorf("the first Append to a new store, with the index of another: version %d, %v", v, err)
		}
	})
}

// check looks at one stream: what is in it, a repetition, a conflict, and the next event.
func check(t *testing.T, store eventstore.Store, n int) {
	t.Helper()
	version := 0
	for e, err := range store.Read(t.Context(), stream(n), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if e.ID != event(n, version).ID {
			t.Errorf("%s: event %d is %s", stream(n), version, e.ID)
		}
		version++
	}
	if version != events {
		t.Errorf("%s has %d events, want %d", stream(n), version, events)
	}
	if v, err := store.Append(t.Context(), stream(n), 7, event(n, 7)); err != nil || v != 8 {
		t.Errorf("%s: an append that was carried out before: version %d, %v, want 8", stream(n), v, err)
	}
	if _, err := store.Append(t.Context(), stream(n), 7, event(n, 1000)); !errors.Is(err, eventstore.ErrConcurrency) {
		t.Errorf("%s: an append at a version that is past: %v, want a conflict", stream(n), err)
	}
	if v, err := store.Append(t.Context(), stream(n), events, event(n, events)); err != nil || v != events+1 {
		t.Errorf("%s: the next append: version %d, %v, want %d", stream(n), v, err, events+1)
	}
}

// move gives one store the index of another.
func move(t *testing.T, from string, of eventstore.Secret, to string, as eventstore.Secret) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(from, of.Get(layout.SecretStore)+".index"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(to, as.Get(layout.SecretStore)+".index"), b, 0o600); err != nil {
		t.Fatal(err)
	}
}
