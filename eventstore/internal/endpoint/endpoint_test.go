package endpoint

import (
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/crossplane-contrib/provider-eventstore/eventstore"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect"
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

func TestOAuth(t *testing.T) {
	at := map[string]string{layout.SecretTokenURL: "https://id.example.org/token"}
	cases := map[string]struct {
		reason string
		secret map[string]string
		want   *connect.OAuth
	}{
		"Client": {
			reason: "A client's id and secret are for the endpoint.",
			secret: map[string]string{layout.SecretUsername: "shop", layout.SecretPassword: "a.b.c", layout.SecretTokenScopes: "x, y", layout.SecretTokenAudience: "kafka"},
			want: &connect.OAuth{
				TokenURL: at[layout.SecretTokenURL], ClientID: "shop", ClientSecret: "a.b.c", Scopes: []string{"x", "y"}, Audience: "kafka",
			},
		},
		"Token":  {reason: "A token is for the brokers.", secret: map[string]string{layout.SecretUsername: "shop", layout.SecretPassword: "eyJhbGciOiJub25lIn0.e30."}},
		"NoUser": {reason: "A client has an id: this is a token that is none of JSON.", secret: map[string]string{layout.SecretPassword: "opaque"}},
		"None":   {reason: "A certificate, perhaps.", secret: map[string]string{layout.SecretUsername: "shop"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			secret := eventstore.Secret{}
			maps.Copy(tc.secret, at)
			for k, v := range tc.secret {
				secret[k] = []byte(v)
			}
			if diff := cmp.Diff(tc.want, OAuth(secret)); diff != "" {
				t.Errorf("%s\n-want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}
