package binding

import (
	"cmp"
	"context"
	"testing"

	xpv2 "github.com/crossplane/crossplane/apis/v2/core/v2"
	"github.com/golang-jwt/jwt/v5"
	corev1 "k8s.io/api/core/v1"
	kerrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
	namespacedv1alpha1 "github.com/crossplane-contrib/provider-eventstore/apis/namespaced/v1alpha1"
)

// secret is a reader that has one Secret, whatever it is asked for; nil: none.
type secret struct{ s *corev1.Secret }

func (r secret) Get(_ context.Context, name client.ObjectKey, o client.Object, _ ...client.GetOption) error {
	if r.s == nil {
		return kerrors.NewNotFound(schema.GroupResource{Resource: "secrets"}, name.Name)
	}
	r.s.DeepCopyInto(o.(*corev1.Secret)) //nolint:forcetypeassert // Nothing else is read.
	return nil
}

func (r secret) List(context.Context, client.ObjectList, ...client.ListOption) error { return nil }

func TestOf(t *testing.T) {
	store := func(policies ...xpv2.ManagementAction) *namespacedv1alpha1.EventStore {
		s := &namespacedv1alpha1.EventStore{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "orders", UID: "us"}}
		s.Spec.WriteConnectionSecretToReference = &xpv2.LocalSecretReference{Name: "orders"}
		s.Spec.ManagementPolicies = policies
		return s
	}
	of := func(owner types.UID, data map[string]string) *corev1.Secret {
		s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{OwnerReferences: []metav1.OwnerReference{{UID: owner}}}, Data: map[string][]byte{}}
		for k, v := range data {
			s.Data[k] = []byte(v)
		}
		return s
	}
	silent := store()
	silent.Spec.WriteConnectionSecretToReference = nil
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.RegisteredClaims{Subject: "team-shop"}).SignedString([]byte("a key that nobody here has"))
	if err != nil {
		t.Fatal(err)
	}
	type want struct {
		managed, minted, failed  bool
		username, user, password string
		certificate              bool
	}
	cases := map[string]struct {
		reason   string
		mg       *namespacedv1alpha1.EventStore
		secret   *corev1.Secret
		provided *xpv2.SecretReference
		policy   v1alpha1.PrincipalPolicy
		want     want
	}{
		"Published": {reason: "The password that applications have counts.", mg: store(), secret: of("us", map[string]string{"password": "p"}), want: want{managed: true, password: "p"}},
		"First":     {reason: "Without one, a new one is made.", mg: store(), want: want{managed: true, minted: true}},
		"Foreign":   {reason: "Somebody else's password must not become our user's.", mg: store(), secret: of("them", map[string]string{"password": "p"}), want: want{managed: true, minted: true}},
		"NoSecret":  {reason: "Nobody is to receive a password, so there is no user.", mg: silent},
		"Observe":   {reason: "Who may only observe gives nobody a user.", mg: store(xpv2.ManagementActionObserve)},
		"Provided": {
			reason: "Somebody else looks after the users.", mg: store(), policy: v1alpha1.PrincipalsProvided, provided: &xpv2.SecretReference{Name: "x"},
			secret: of("them", map[string]string{"username": "u", "password": "p"}), want: want{username: "u", password: "p"},
		},
		"ProvidedAccount": {
			reason: "Who logs in with an API key is known to the broker by another name.", mg: store(), policy: v1alpha1.PrincipalsProvided, provided: &xpv2.SecretReference{Name: "x"},
			secret: of("them", map[string]string{"username": "key", "password": "p", "principal": "sa-1"}), want: want{username: "key", user: "sa-1", password: "p"},
		},
		"ProvidedToken": {
			reason: "A token says whose it is.", mg: store(), policy: v1alpha1.PrincipalsProvided, provided: &xpv2.SecretReference{Name: "x"},
			secret: of("them", map[string]string{"password": token}), want: want{user: "team-shop", password: token},
		},
		"ProvidedPassword": {
			reason: "A password alone says nothing.", mg: store(), policy: v1alpha1.PrincipalsProvided, provided: &xpv2.SecretReference{Name: "x"},
			secret: of("them", map[string]string{"password": "a.b.c"}), want: want{password: "a.b.c"},
		},
		"ProvidedCertificate": {
			reason: "A certificate is all that a user may have.", mg: store(), policy: v1alpha1.PrincipalsProvided, provided: &xpv2.SecretReference{Name: "x"},
			secret: of("them", map[string]string{"username": "CN=orders", "tls.crt": "c", "tls.key": "k"}), want: want{username: "CN=orders", certificate: true},
		},
		"ProvidedMissing": {reason: "The user has to name a Secret.", mg: store(), policy: v1alpha1.PrincipalsProvided, want: want{failed: true}},
		"ProvidedRefused": {reason: "Naming one where it is not used is a mistake that is said.", mg: store(), provided: &xpv2.SecretReference{Name: "x"}, want: want{failed: true}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := Of(t.Context(), secret{tc.secret}, tc.mg, tc.provided, tc.policy, func(current string) (string, error) {
				return cmp.Or(current, "a new one"), nil
			})
			if (err != nil) != tc.want.failed {
				t.Fatalf("%s\nOf(...): error %v", tc.reason, err)
			}
			minted := tc.want.minted && got.Password == "a new one"
			if tc.want.user == "" {
				tc.want.user = tc.want.username
			}
			if got.User() != tc.want.user || (got.Certificate == "c" && got.PrivateKey == "k") != tc.want.certificate {
				t.Errorf("%s\nOf(...): user %q, certificate %t", tc.reason, got.User(), got.Certificate != "")
			}
			if got.Managed != tc.want.managed || got.Username != tc.want.username || !minted && got.Password != tc.want.password {
				t.Errorf("%s\nOf(...): managed %t, user %q, password of %d characters", tc.reason, got.Managed, got.Username, len(got.Password))
			}
		})
	}
}
