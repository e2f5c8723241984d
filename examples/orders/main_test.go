package main

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/redistest"
)

// mount writes a Secret the way the kubelet does: files in ..data, and links to them.
func mount(t *testing.T, s eventstore.Secret) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "..data"), 0o755); err != nil {
		t.Fatal(err)
	}
	for key, value := range s {
		if err := os.WriteFile(filepath.Join(dir, "..data", key), value, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Join("..data", key), filepath.Join(dir, key)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func memorySecret() eventstore.Secret {
	return eventstore.Secret{
		layout.SecretType: []byte(layout.SecretTypeEventStore), layout.SecretProvider: []byte("memory"),
		layout.SecretStore: []byte("orders"), layout.SecretPartitions: []byte("6"),
	}
}

func TestRun(t *testing.T) {
	cases := map[string]struct {
		reason  string
		secrets func(*testing.T) (store, subscription eventstore.Secret)
	}{
		"Memory": {
			reason: "Without a broker.",
			secrets: func(*testing.T) (eventstore.Secret, eventstore.Secret) {
				sub := maps.Clone(memorySecret())
				sub[layout.SecretSubscription] = []byte("view")
				return memorySecret(), sub
			},
		},
		"Redis": {
			reason: "On a real Redis, as the principals that the provider makes.",
			secrets: func(t *testing.T) (eventstore.Secret, eventstore.Secret) {
				server := redistest.Start(t)
				store := server.Store(t, layout.Sourcing, nil)
				return store, server.Subscription(t, store, "view")
			},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			store, sub := tc.secrets(t)
			for range 2 { // The second time the store holds the first order.
				var out strings.Builder
				if err := run(t.Context(), &out, mount(t, store), mount(t, sub)); err != nil {
					t.Fatalf("%s\nrun: %v\n%s", tc.reason, err, out.String())
				}
				for _, want := range []string{"conflict  a cancellation expected version 1", "from a snapshot at version 2", "everything matched"} {
					if !strings.Contains(out.String(), want) {
						t.Errorf("%s\noutput lacks %q:\n%s", tc.reason, want, out.String())
					}
				}
			}
		})
	}
}
