package runtime

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"time"

	pkgv1 "github.com/crossplane/crossplane/apis/v2/pkg/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	kerrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/certs"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/image"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/process"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/state"
)

// rootCASecret holds the authority that Crossplane trusts when it calls functions.
const rootCASecret = "crossplane-root-ca"

// caKey is the key of the authority's certificate in Crossplane's Secrets.
const caKey = "ca.crt"

// A functionReconciler runs active FunctionRevisions.
type functionReconciler struct {
	client    client.Client
	state     *state.Folder
	namespace string
	processes *supervisor
}

// Reconcile starts or stops the process of a FunctionRevision.
func (r *functionReconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	fr := &pkgv1.FunctionRevision{}
	err := r.client.Get(ctx, req.NamespacedName, fr)
	if kerrors.IsNotFound(err) || (err == nil && !fr.DeletionTimestamp.IsZero()) {
		r.processes.remove(req.Name)
		return reconcile.Result{}, nil
	}
	if err != nil {
		return reconcile.Result{}, err
	}
	was := fr.DeepCopy()
	if fr.GetDesiredState() != pkgv1.PackageRevisionActive {
		r.processes.remove(req.Name)
		fr.SetConditions(pkgv1.RuntimeHealthy())
		return r.update(ctx, was, fr, reconcile.Result{})
	}
	res, err := r.reconcileActive(ctx, fr)
	if err != nil {
		fr.SetConditions(pkgv1.RuntimeUnhealthy().WithMessage(err.Error()))
		_, uerr := r.update(ctx, was, fr, res)
		return res, errors.Join(err, uerr)
	}
	return r.update(ctx, was, fr, res)
}

// update writes the status, all of it: Crossplane writes other conditions of the same list.
func (r *functionReconciler) update(ctx context.Context, was, fr *pkgv1.FunctionRevision, res reconcile.Result) (reconcile.Result, error) {
	if equality.Semantic.DeepEqual(was.Status, fr.Status) {
		return res, nil
	}
	err := r.client.Status().Update(ctx, fr)
	if kerrors.IsConflict(err) {
		return reconcile.Result{RequeueAfter: 10 * time.Millisecond}, nil
	}
	return res, client.IgnoreNotFound(err)
}

func (r *functionReconciler) reconcileActive(ctx context.Context, fr *pkgv1.FunctionRevision) (reconcile.Result, error) {
	// The name that Crossplane's own runtime would choose: one Secret for all revisions.
	secret := pkgv1.GetSecretNameWithSuffix(fr.GetLabels()[pkgv1.LabelParentPackage], pkgv1.TLSServerSecretNameSuffix)
	if err := r.ensureCertificate(ctx, fr, *secret); err != nil {
		return reconcile.Result{}, err
	}
	fr.SetObservedTLSServerSecretName(secret)
	if fr.GetResolvedSource() == "" {
		return reconcile.Result{}, nil
	}
	port := r.state.KnownPort(fr.Name)
	if port == 0 {
		var err error
		if port, err = r.state.Port(fr.Name); err != nil {
			return reconcile.Result{}, err
		}
	}
	c, err := r.command(ctx, fr, *secret, process.Loopback(port))
	if err != nil {
		return reconcile.Result{}, err
	}
	// The certificate is for this name. 127.0.0.1 would do as well, but not for gRPC's resolver.
	fr.Status.Endpoint = fmt.Sprintf("dns:///localhost:%d", port)
	st := r.processes.ensure(fr.Name, c)
	if !st.running {
		fr.SetConditions(pkgv1.RuntimeUnhealthy().WithMessage(st.message))
		return reconcile.Result{}, nil // We are called when that changes.
	}
	if err := answers(ctx, process.Loopback(port)); err != nil {
		fr.SetConditions(pkgv1.RuntimeUnhealthy().WithMessage("Function does not answer yet"))
		return reconcile.Result{RequeueAfter: 50 * time.Millisecond}, nil //nolint:nilerr // It is in the condition.
	}
	fr.SetConditions(pkgv1.RuntimeHealthy(), pkgv1.RuntimeActive())
	return reconcile.Result{}, nil
}

func answers(ctx context.Context, addr string) error {
	d := net.Dialer{Timeout: time.Second}
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	return conn.Close()
}

func (r *functionReconciler) command(ctx context.Context, fr *pkgv1.FunctionRevision, secret, addr string) (command, error) {
	img, err := image.Extract(ctx, fr.GetResolvedSource(), r.state.Path("images"))
	if err != nil {
		return command{}, err
	}
	dir := r.state.Path("runtime", fr.Name, "tls-server")
	args := (pod{}).arguments(img.Config, corev1.Container{}, nil)
	if len(args) == 0 {
		return command{}, fmt.Errorf("cannot run image %s: it has no entrypoint", fr.GetResolvedSource())
	}
	return command{
		program: filepath.Join(img.Root, args[0]), dir: img.Root, env: img.Config.Env,
		// The flags of function-sdk-go's CLI, which every function has.
		args:    append(args[1:], "--address="+addr, "--tls-certs-dir="+dir),
		prepare: func(ctx context.Context) error { return writeSecret(ctx, r.client, r.namespace, secret, dir) },
	}, nil
}

// ensureCertificate makes the Secret with the function's certificate, signed by Crossplane's authority.
func (r *functionReconciler) ensureCertificate(ctx context.Context, fr *pkgv1.FunctionRevision, name string) error {
	key := client.ObjectKey{Namespace: r.namespace, Name: name}
	if err := r.client.Get(ctx, key, &corev1.Secret{}); !kerrors.IsNotFound(err) {
		return err
	}
	root := &corev1.Secret{}
	if err := r.client.Get(ctx, client.ObjectKey{Namespace: r.namespace, Name: rootCASecret}, root); err != nil {
		return fmt.Errorf("cannot get Crossplane's certificate authority: %w", err)
	}
	ca, err := certs.LoadCA(certs.Pair{Cert: root.Data[corev1.TLSCertKey], Key: root.Data[corev1.TLSPrivateKeyKey]})
	if err != nil {
		return err
	}
	pair, err := ca.Issue(fr.Name, "localhost", "127.0.0.1")
	if err != nil {
		return err
	}
	s := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name},
		Data:       map[string][]byte{corev1.TLSCertKey: pair.Cert, corev1.TLSPrivateKeyKey: pair.Key, caKey: ca.Cert},
	}
	// Not its controller: the next revision of the same function shares the Secret.
	s.OwnerReferences = []metav1.OwnerReference{{
		APIVersion: pkgv1.SchemeGroupVersion.String(), Kind: pkgv1.FunctionRevisionKind, Name: fr.Name, UID: fr.UID,
	}}
	if err := r.client.Create(ctx, s); err != nil && !kerrors.IsAlreadyExists(err) {
		return fmt.Errorf("cannot create Secret of function: %w", err)
	}
	return nil
}
