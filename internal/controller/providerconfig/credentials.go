package providerconfig

import (
	"bytes"
	"context"
	"os"

	"github.com/crossplane/crossplane-runtime/v2/pkg/errors"
	"github.com/crossplane/crossplane-runtime/v2/pkg/logging"
	"github.com/crossplane/crossplane-runtime/v2/pkg/resource"
	xpv2 "github.com/crossplane/crossplane/apis/v2/core/v2"
	corev1 "k8s.io/api/core/v1"
	kerrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/crossplane-contrib/provider-eventstore/apis/common/v1alpha1"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect"
)

// missingError says that credentials are not where the spec says.
type missingError struct{ error }

// credentialReader reads what one ProviderConfig names, and notes the versions of the Secrets that it read.
type credentialReader struct {
	ctx      context.Context //nolint:containedctx // It lives for one call of resolve.
	secrets  client.Reader
	log      logging.Logger
	versions map[types.NamespacedName]string

	unversioned bool // A file or a variable was read, of which only reading it again tells whether it has changed.
}

// value reads a credential. A newline at the end, as editors and echo leave it, is not part of it.
func (r *credentialReader) value(c *v1alpha1.Credentials) ([]byte, error) {
	value, err := r.bytes(c)
	return bytes.TrimRight(value, "\r\n"), err
}

// bytes reads a credential as it is: the last byte of a key may look like a newline.
func (r *credentialReader) bytes(c *v1alpha1.Credentials) (value []byte, err error) {
	if c == nil {
		return nil, nil
	}
	switch {
	case c.SecretRef != nil:
		value, err = r.key(c.SecretRef.SecretReference, c.SecretRef.Key)
	case c.Env != nil:
		r.unversioned = true
		v, ok := os.LookupEnv(c.Env.Name)
		if !ok {
			return nil, missingError{errors.Errorf("environment variable %s of the provider, which credentials.env names, is not set", c.Env.Name)}
		}
		value = []byte(v)
	case c.Fs != nil:
		r.unversioned = true
		value, err = os.ReadFile(c.Fs.Path)
		if err != nil {
			return nil, missingError{errors.Wrap(err, "cannot read the file that credentials.fs names")}
		}
	}
	return value, err
}

// key reads a key of a Secret, and leaves a line in the audit log: who read which key.
func (r *credentialReader) key(ref xpv2.SecretReference, key string) ([]byte, error) {
	name := types.NamespacedName{Namespace: ref.Namespace, Name: ref.Name}
	s := &corev1.Secret{}
	if err := r.secrets.Get(r.ctx, name, s); err != nil {
		if kerrors.IsNotFound(err) {
			return nil, missingError{errors.Errorf("Secret %s, which the ProviderConfig names, does not exist: create it", name)}
		}
		return nil, errors.Wrapf(err, "cannot read Secret %s", name)
	}
	v, ok := s.Data[key]
	if !ok {
		return nil, missingError{errors.Errorf("Secret %s has no key %q, which the ProviderConfig names: add it", name, key)}
	}
	r.versions[name] = s.GetResourceVersion()
	r.log.Info("Used a credential Secret", "secret", name.String(), "key", key, "resourceVersion", s.GetResourceVersion())
	return v, nil
}

func (r *credentialReader) tls(t *v1alpha1.TLS) (*connect.TLS, error) {
	if t == nil {
		return nil, nil //nolint:nilnil // No TLS is a value here.
	}
	out := &connect.TLS{ServerName: t.ServerName}
	var err error
	if t.CASecretRef != nil {
		if out.CA, err = r.key(t.CASecretRef.SecretReference, t.CASecretRef.Key); err != nil {
			return nil, err
		}
	}
	if t.ClientCertificateSecretRef != nil {
		if out.Certificate, err = r.key(*t.ClientCertificateSecretRef, corev1.TLSCertKey); err != nil {
			return nil, err
		}
		if out.PrivateKey, err = r.key(*t.ClientCertificateSecretRef, corev1.TLSPrivateKeyKey); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// secretVersion returns the version of a Secret; empty if it does not exist. Only its metadata is cached.
func secretVersion(ctx context.Context, c client.Reader, name types.NamespacedName) (string, error) {
	s := &metav1.PartialObjectMetadata{}
	s.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	if err := c.Get(ctx, name, s); resource.IgnoreNotFound(err) != nil {
		return "", errors.Wrapf(err, "cannot look for Secret %s", name)
	}
	return s.GetResourceVersion(), nil
}
