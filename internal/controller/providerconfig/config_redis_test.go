package providerconfig

import (
	"testing"

	"github.com/crossplane/crossplane-runtime/v2/pkg/logging"
	xpv2 "github.com/crossplane/crossplane/apis/v2/core/v2"
	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect/redisclient"
)

func TestRedisConfig(t *testing.T) {
	from := func(key string) *v1alpha1.Credentials {
		return &v1alpha1.Credentials{Source: xpv2.CredentialsSourceSecret, SecretRef: &xpv2.SecretKeySelector{
			SecretReference: xpv2.SecretReference{Namespace: "ns", Name: "redis"}, Key: key,
		}}
	}
	cases := map[string]struct {
		reason   string
		redis    v1alpha1.RedisSettings
		sentinel *v1alpha1.Credentials
		want     redisclient.Config
	}{
		"Standalone": {
			reason: "One server is what no mode means.",
			redis:  v1alpha1.RedisSettings{Mode: v1alpha1.RedisStandalone, Addresses: []string{"a:1"}, Username: "crossplane"},
			want:   redisclient.Config{Addresses: []string{"a:1"}, Username: "crossplane", Password: "secret"},
		},
		"Sentinel": {
			reason: "The addresses are those of the Sentinels, which may have a password of their own.",
			redis: v1alpha1.RedisSettings{
				Mode: v1alpha1.RedisSentinel, Addresses: []string{"a:1", "b:2", "c:3"},
				Sentinel: &v1alpha1.RedisSentinelSettings{MasterName: "events", Username: "watcher"},
			},
			sentinel: from("sentinel"),
			want: redisclient.Config{
				Mode: redisclient.ModeSentinel, Addresses: []string{"a:1", "b:2", "c:3"}, Password: "secret",
				Sentinel: redisclient.Sentinel{Master: "events", Username: "watcher", Password: "another"},
			},
		},
		"Cluster": {
			reason: "Some servers are enough to find the others.",
			redis:  v1alpha1.RedisSettings{Mode: v1alpha1.RedisCluster, Addresses: []string{"a:1", "b:2"}},
			want:   redisclient.Config{Mode: redisclient.ModeCluster, Addresses: []string{"a:1", "b:2"}, Password: "secret"},
		},
	}
	digests := map[string]string{}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			r := &credentialReader{
				ctx: t.Context(), log: logging.NewNopLogger(), versions: map[types.NamespacedName]string{},
				secrets: secrets{{Namespace: "ns", Name: "redis"}: {"password": []byte("secret"), "sentinel": []byte("another")}},
			}
			spec := v1alpha1.ProviderConfigSpec{Credentials: from("password"), SentinelCredentials: tc.sentinel}
			spec.Redis = &tc.redis
			got, err := r.config(spec)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&tc.want, got.Redis); diff != "" {
				t.Errorf("%s\nconfig(...): -want, +got:\n%s", tc.reason, diff)
			}
			if other, ok := digests[got.Digest()]; ok {
				t.Errorf("%s has the same digest as %s", name, other)
			}
			digests[got.Digest()] = name
		})
	}
}
