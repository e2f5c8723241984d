package api_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// TestDefaults checks what the API server fills in. It lists everything: a default that appears unnoticed is in every
// user's manifest from then on.
func TestDefaults(t *testing.T) {
	managed := func(s scope, forProvider map[string]any) map[string]any {
		spec := map[string]any{"forProvider": forProvider, "managementPolicies": []any{"*"}}
		if s.namespace == "" {
			spec["deletionPolicy"] = "Delete"
			spec["providerConfigRef"] = map[string]any{"name": "default"}
		} else {
			spec["providerConfigRef"] = map[string]any{"name": "default", "kind": "ClusterProviderConfig"}
		}
		return spec
	}
	for sn, s := range scopes {
		t.Run(sn, func(t *testing.T) {
			noSpec := s.object(t, "EventStore", "orders", "{}")
			delete(noSpec.Object, "spec")
			cases := map[string]struct {
				reason string
				object *unstructured.Unstructured
				want   map[string]any
			}{
				"EventStore": {
					reason: "Partitions have no default: late initialization writes what exists.",
					object: noSpec,
					want:   managed(s, map[string]any{"deletionProtection": "WhenNotEmpty"}),
				},
				"PulsarSchema": {
					reason: "Events are read by older and newer code for ever.",
					object: s.params(t, "EventStore", "orders", "pulsar: {nativeSchema: {type: JSON, definition: x}}"),
					want: managed(s, map[string]any{
						"deletionProtection": "WhenNotEmpty",
						"pulsar":             map[string]any{"nativeSchema": map[string]any{"type": "JSON", "definition": "x", "compatibility": "FullTransitive"}},
					}),
				},
				"Subscription": {
					reason: "A subscription reads everything, in order, and parks what fails.",
					object: s.params(t, "Subscription", "billing", "eventStore: a"),
					want: managed(s, map[string]any{
						"eventStore": "a",
						"startFrom":  map[string]any{"position": "Earliest"},
						"type":       "KeyShared",
						"retry":      map[string]any{"maxDeliveries": int64(5), "initialBackoff": "1s", "maxBackoff": "30s"},
						"deadLetter": map[string]any{"enabled": true},
					}),
				},
				"Redis": {
					reason: "One server, and users that the provider creates.",
					object: s.object(t, "ProviderConfig", "main", redis),
					want: map[string]any{
						"principals": "Managed",
						"redis":      map[string]any{"mode": "Standalone", "addresses": []any{"redis.example.org:6379"}},
					},
				},
				"Kafka": {
					reason: "Providers that share a cluster find the same registry.",
					object: s.object(t, "ProviderConfig", "main", kafka),
					want: map[string]any{
						"principals": "Managed",
						"kafka":      map[string]any{"bootstrapServers": []any{"kafka-0.example.org:9092"}, "registryTopic": "eventstore.registry"},
					},
				},
				"Pulsar": {
					reason: "Every Pulsar has the tenant public.",
					object: s.object(t, "ProviderConfig", "main", pulsar),
					want: map[string]any{
						"principals": "Managed",
						"pulsar":     map[string]any{"serviceURL": "pulsar://p.example.org:6650", "adminURL": "http://p.example.org:8080", "tenant": "public"},
					},
				},
			}
			for name, tc := range cases {
				t.Run(name, func(t *testing.T) {
					u := tc.object
					if err := retry(t, func() error { return kube.Create(t.Context(), u, client.DryRunAll) }); err != nil {
						t.Fatal(err)
					}
					if diff := cmp.Diff(tc.want, u.Object["spec"]); diff != "" {
						t.Errorf("%s\nspec: -want, +got:\n%s", tc.reason, diff)
					}
				})
			}
		})
	}
}
