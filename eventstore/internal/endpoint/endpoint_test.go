package endpoint

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
)

func TestAddresses(t *testing.T) {
	cases := map[string]struct {
		reason string
		secret map[string]string
		want   []string
	}{
		"List": {
			reason: "White space and empty places are no addresses.",
			secret: map[string]string{layout.SecretEndpoints: " a:1, b:2,,"}, want: []string{"a:1", "b:2"},
		},
		"First": {
			reason: "The first key that has any counts.",
			secret: map[string]string{layout.SecretBootstrap: "a:1", layout.SecretEndpoints: "b:2", layout.SecretHost: "c"}, want: []string{"a:1"},
		},
		"Host": {
			reason: "A host alone is at the usual port.",
			secret: map[string]string{layout.SecretEndpoints: ",", layout.SecretHost: "c"}, want: []string{"c:9092"},
		},
		"HostAndPort": {
			reason: "An IPv6 address needs brackets.",
			secret: map[string]string{layout.SecretHost: "::1", layout.SecretPort: "7"}, want: []string{"[::1]:7"},
		},
		"None": {reason: "The client says that there are none."},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			secret := eventstore.Secret{}
			for k, v := range tc.secret {
				secret[k] = []byte(v)
			}
			got := Addresses(secret, "9092", layout.SecretBootstrap, layout.SecretEndpoints)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s\n-want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}
