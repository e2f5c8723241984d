// Package binding fills the connection Secret: what an application needs to use its store, by the keys that
// [layout] documents.
package binding

import (
	"cmp"
	"context"
	"maps"
	"strconv"

	"github.com/crossplane/crossplane-runtime/v2/pkg/errors"
	"github.com/crossplane/crossplane-runtime/v2/pkg/resource"
	xpv2 "github.com/crossplane/crossplane/apis/v2/core/v2"
	"github.com/golang-jwt/jwt/v5"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
	"github.com/crossplane-contrib/provider-eventstore/internal/controller/managed"
	"github.com/crossplane-contrib/provider-eventstore/internal/layout"
	"github.com/crossplane-contrib/provider-eventstore/internal/plan"
)

// Secret returns the name of the Secret that mg writes its connection details to; ok is false if it writes none.
func Secret(mg resource.Managed) (name types.NamespacedName, ok bool) {
	switch w := mg.(type) {
	case resource.ConnectionSecretWriterTo:
		if ref := w.GetWriteConnectionSecretToReference(); ref != nil {
			return types.NamespacedName{Namespace: ref.Namespace, Name: ref.Name}, true
		}
	case resource.LocalConnectionSecretWriterTo:
		if ref := w.GetWriteConnectionSecretToReference(); ref != nil {
			return types.NamespacedName{Namespace: mg.GetNamespace(), Name: ref.Name}, true
		}
	}
	return types.NamespacedName{}, false
}

// Credentials are what applications authenticate with. The zero value means that none are handed out.
type Credentials struct {
	Managed  bool   // The provider makes the user, and bounds what it may do.
	Username string // Of a provided user.
	Password string // Never empty if Managed.

	// Of a provided user. Principal is whom the broker knows it as, where that is not Username: an API key belongs to an
	// account, a certificate to a name, a token to its subject. Certificate and PrivateKey are PEM, for mTLS.
	Principal, Certificate, PrivateKey string
}

// User is whom the broker knows a provided user as; empty if the provider makes the user.
func (c Credentials) User() string { return cmp.Or(c.Principal, c.Username) }

// Issue returns current if it is a password that the broker takes, else a new one. current is empty if there is none.
type Issue func(current string) (string, error)

// Of returns the credentials of mg, by the policy of its ProviderConfig. A managed user's password is the one in mg's
// connection Secret, which r must read uncached, because the one that was published last counts; else a new one.
//
// The new one reaches the Secret before it reaches the broker, since the runtime publishes what Observe returns before
// it calls Create or Update: a crash in between leaves a password that the next reconcile uses.
func Of(ctx context.Context, r client.Reader, mg resource.Managed, provided *xpv2.SecretReference, policy v1alpha1.PrincipalPolicy, issue Issue) (Credentials, error) {
	if policy == v1alpha1.PrincipalsProvided {
		return providedBy(ctx, r, provided)
	}
	if provided != nil {
		return Credentials{}, errors.New("spec.forProvider.principalSecretRef is refused, because the ProviderConfig says principals: Managed: remove the one, or set the other to Provided")
	}
	c, err := Published(ctx, r, mg)
	if _, ok := Secret(mg); err != nil || !ok || !managed.Allows(mg, xpv2.ManagementActionCreate) {
		return c, err
	}
	if c.Password, err = issue(c.Password); err != nil {
		return Credentials{}, err
	}
	return Credentials{Managed: true, Password: c.Password}, nil
}

// Published returns the managed credentials that mg's connection Secret has, if any.
func Published(ctx context.Context, r client.Reader, mg resource.Managed) (Credentials, error) {
	name, ok := Secret(mg)
	if !ok {
		return Credentials{}, nil
	}
	s := &corev1.Secret{}
	if err := r.Get(ctx, name, s); resource.IgnoreNotFound(err) != nil {
		return Credentials{}, errors.Wrapf(err, "cannot read the connection Secret %s", name)
	}
	if p := s.Data[layout.SecretPassword]; len(p) > 0 && ours(s, mg) {
		return Credentials{Managed: true, Password: string(p)}, nil
	}
	return Credentials{}, nil
}

func providedBy(ctx context.Context, r client.Reader, ref *xpv2.SecretReference) (Credentials, error) {
	if ref == nil {
		return Credentials{}, errors.New("the ProviderConfig says principals: Provided, so spec.forProvider.principalSecretRef must name a Secret with username and password")
	}
	s := &corev1.Secret{}
	if err := r.Get(ctx, types.NamespacedName{Namespace: ref.Namespace, Name: ref.Name}, s); err != nil {
		return Credentials{}, errors.Wrapf(err, "cannot read Secret %s/%s, which principalSecretRef names", ref.Namespace, ref.Name)
	}
	first := func(keys ...string) string {
		for _, k := range keys {
			if v := s.Data[k]; len(v) > 0 {
				return string(v)
			}
		}
		return ""
	}
	c := Credentials{
		Username:    first(layout.SecretUsername),
		Password:    first(layout.SecretPassword),
		Principal:   first(secretPrincipal),
		Certificate: first(layout.SecretCertificate, corev1.TLSCertKey),
		PrivateKey:  first(layout.SecretPrivateKey, corev1.TLSPrivateKeyKey),
	}
	if c.User() == "" {
		c.Principal = subject(c.Password)
	}
	return c, nil
}

// subject returns whom a password is for that is a JSON web token; empty if it is none. Whether it is genuine, the broker checks.
func subject(token string) string {
	var claims jwt.RegisteredClaims
	if _, _, err := jwt.NewParser().ParseUnverified(token, &claims); err != nil {
		return ""
	}
	return claims.Subject
}

// secretPrincipal is the key of a provided Secret that says whom the broker knows the user as.
const secretPrincipal = "principal"

// Details are the credentials by the keys of a connection Secret. principal is the managed user's name.
func (c Credentials) Details(principal string) map[string][]byte {
	if !c.Managed {
		principal = c.Username
	}
	d := map[string][]byte{}
	for key, value := range map[string]string{
		layout.SecretUsername:    principal,
		layout.SecretPassword:    c.Password,
		layout.SecretCertificate: c.Certificate,
		layout.SecretPrivateKey:  c.PrivateKey,
	} {
		if value != "" {
			d[key] = []byte(value)
		}
	}
	return d
}

// Observation describes the user in a status.
func (c Credentials) Observation(principal plan.Principal, limits string) *v1alpha1.PrincipalObservation {
	switch {
	case c.Managed:
		return &v1alpha1.PrincipalObservation{Name: principal.Name, Managed: ptr.To(true), Isolation: limits}
	case c.User() != "":
		return &v1alpha1.PrincipalObservation{Name: c.User(), Managed: ptr.To(false), Isolation: "The user was provided: what it may do is not bounded by this provider"}
	default:
		return &v1alpha1.PrincipalObservation{Managed: ptr.To(false), Isolation: "There is no user: spec.writeConnectionSecretToRef names no Secret to write a password to"}
	}
}

// Publish names the connection Secret in the status of kinds that have it there.
func Publish(mg resource.Managed) {
	if b, ok := mg.(interface{ SetBinding(secret string) }); ok {
		name, _ := Secret(mg)
		b.SetBinding(name.Name)
	}
}

// ours reports whether mg wrote the Secret. Somebody else's password must not become our user's.
func ours(s *corev1.Secret, mg resource.Managed) bool {
	for _, ref := range s.GetOwnerReferences() {
		if ref.UID == mg.GetUID() {
			return true
		}
	}
	return false
}

// Details merges parts of a connection Secret. Later ones win.
func Details(parts ...map[string][]byte) map[string][]byte {
	all := map[string][]byte{layout.SecretType: []byte(layout.SecretTypeEventStore)}
	for _, p := range parts {
		maps.Copy(all, p)
	}
	return all
}

// Store describes a store to the SDK.
func Store(name string, s plan.StoreSettings, kind layout.Kind) map[string][]byte {
	d := map[string][]byte{
		layout.SecretStore:            []byte(name),
		layout.SecretPartitions:       []byte(strconv.Itoa(s.Partitions)),
		layout.SecretLayout:           []byte(strconv.Itoa(layout.Version)),
		layout.SecretKind:             []byte(kind),
		layout.SecretExpectedVersions: []byte(strconv.FormatBool(kind == layout.Sourcing)),
		layout.SecretSnapshots:        []byte(strconv.FormatBool(s.Snapshots)),
	}
	if s.MaxEventBytes != 0 {
		d[layout.SecretMaxEventBytes] = []byte(strconv.FormatInt(s.MaxEventBytes, 10))
	}
	return d
}
