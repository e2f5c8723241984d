package providerconfig

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/crossplane/crossplane-runtime/v2/pkg/errors"
	"github.com/crossplane/crossplane-runtime/v2/pkg/logging"
	xpv2 "github.com/crossplane/crossplane/apis/v2/core/v2"
	corev1 "k8s.io/api/core/v1"
	kerrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
)

// secrets is a reader that has these Secrets.
type secrets map[types.NamespacedName]map[string][]byte

func (s secrets) Get(_ context.Context, name client.ObjectKey, o client.Object, _ ...client.GetOption) error {
	data, ok := s[name]
	if !ok {
		return kerrors.NewNotFound(schema.GroupResource{Resource: "secrets"}, name.Name)
	}
	o.(*corev1.Secret).Data = data //nolint:forcetypeassert // Nothing else is read.
	return nil
}

func (s secrets) List(context.Context, client.ObjectList, ...client.ListOption) error { return nil }

func TestValue(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("from a file\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("A_PASSWORD", "from the environment")
	fromSecret := func(name, key string) *v1alpha1.Credentials {
		return &v1alpha1.Credentials{Source: xpv2.CredentialsSourceSecret, SecretRef: &xpv2.SecretKeySelector{
			SecretReference: xpv2.SecretReference{Namespace: "ns", Name: name}, Key: key,
		}}
	}
	cases := map[string]struct {
		reason      string
		credentials *v1alpha1.Credentials
		want        string
		missing     string // Part of the message.
	}{
		"None":        {reason: "A broker without authentication needs no credentials."},
		"SourceNone":  {reason: "That can also be said.", credentials: &v1alpha1.Credentials{Source: xpv2.CredentialsSourceNone}},
		"Secret":      {reason: "A newline at the end is an editor's, and not part of the password.", credentials: fromSecret("redis", "password"), want: " pass\nword "},
		"NoSecret":    {reason: "The user has to create it.", credentials: fromSecret("other", "password"), missing: "Secret ns/other, which the ProviderConfig names, does not exist: create it"},
		"NoKey":       {reason: "The user has to add it.", credentials: fromSecret("redis", "token"), missing: `has no key "token"`},
		"Environment": {reason: "The provider's own environment counts.", credentials: &v1alpha1.Credentials{Env: &xpv2.EnvSelector{Name: "A_PASSWORD"}}, want: "from the environment"},
		"NoVariable":  {reason: "An empty password would be refused by the broker, which says less.", credentials: &v1alpha1.Credentials{Env: &xpv2.EnvSelector{Name: "NOT_SET_AT_ALL"}}, missing: "NOT_SET_AT_ALL"},
		"Filesystem":  {reason: "Windows ends lines in two characters.", credentials: &v1alpha1.Credentials{Fs: &xpv2.FsSelector{Path: file}}, want: "from a file"},
		"NoFile":      {reason: "The message names the file.", credentials: &v1alpha1.Credentials{Fs: &xpv2.FsSelector{Path: file + "-not"}}, missing: file + "-not"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			r := &credentialReader{
				ctx: t.Context(), log: logging.NewNopLogger(), versions: map[types.NamespacedName]string{},
				secrets: secrets{{Namespace: "ns", Name: "redis"}: {"password": []byte(" pass\nword \n")}},
			}
			got, err := r.value(tc.credentials)
			if string(got) != tc.want {
				t.Errorf("%s\nvalue(...): %q, want %q", tc.reason, got, tc.want)
			}
			missing := missingError{}
			if is := errors.As(err, &missing); is != (tc.missing != "") || is && !strings.Contains(err.Error(), tc.missing) {
				t.Errorf("%s\nvalue(...): error %v, want one with %q", tc.reason, err, tc.missing)
			}
		})
	}
}
