package e2e_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestEachClassOnEachBackend has the platform team mean something else by each class, until every one was on every backend:
// the claims are the same. What it means by them as installed is in TestPath.
func TestEachClassOnEachBackend(t *testing.T) {
	classes, backends := []string{"fast", "durable", "isolated"}, []string{"redis", "kafka", "pulsar"}
	for shift := 1; shift < len(backends); shift++ {
		offer := "apiVersion: eventstore.fn.crossplane.io/v1alpha1\nkind: Placement\nclasses:\n"
		for i, class := range classes {
			offer += fmt.Sprintf("  - {name: %s, backend: %s, defaultLocations: [{cloud: local, region: default}]}\n", class, backends[(i+shift)%len(backends)])
		}
		offer += "locations:\n  - {cloud: local, region: default, providerConfigs: {redis: fast, kafka: durable, pulsar: isolated}}\n"
		own := composition(t, fmt.Sprintf("shifted-%d", shift), function, offer)
		for i, class := range classes {
			at := (i + shift) % len(backends)
			for _, kind := range []string{"EventStoreClaim", "AppEventStore"} {
				t.Run(strings.Join([]string{class, backends[at], kind}, "/"), func(t *testing.T) {
					t.Parallel()
					ns := namespace(t)
					claim := claimFor(t, kind, ns, "{class: "+class+", connectionSecretName: events, subscriptions: [{name: billing}]}")
					own(claim)
					create(t, claim)
					s := accepted(t, claim)
					if len(s.Locations) != 1 || s.Locations[0].Backend != backends[at] {
						t.Errorf("the locations are %+v, want one on %s", s.Locations, backends[at])
					}
					for _, name := range []string{s.Locations[0].SecretName, s.Subscriptions[0].SecretName} {
						if provider := file(t, mount(t, ns, name), "provider"); provider != backends[at] {
							t.Errorf("Secret %s is for %s, want %s", name, provider, backends[at])
						}
					}
					deletesAll(t, claim)
					leavesNothing(t, brokers()[classes[at]], ns, ns+".orders")
				})
			}
		}
	}
}
