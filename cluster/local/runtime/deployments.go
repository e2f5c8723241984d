package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	pkgv1 "github.com/crossplane/crossplane/apis/v2/pkg/v1"
	appsv1 "k8s.io/api/apps/v1"
	authv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	kerrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/apiserver"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/image"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/state"
)

// containerName is what Crossplane calls the container of a package.
const containerName = "package-runtime"

// tokenValidity outlives the local control plane: nothing renews the token of a process that goes on running.
const tokenValidity = 30 * 24 * time.Hour

// A deploymentReconciler runs the Deployments that belong to ProviderRevisions.
type deploymentReconciler struct {
	client    client.Client
	config    *rest.Config
	state     *state.Folder
	namespace string
	processes *supervisor
}

// Reconcile starts, replaces or stops the one process of a Deployment.
func (r *deploymentReconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	d := &appsv1.Deployment{}
	err := r.client.Get(ctx, req.NamespacedName, d)
	if kerrors.IsNotFound(err) || (err == nil && !d.DeletionTimestamp.IsZero()) {
		r.processes.remove(req.Name)
		return reconcile.Result{}, nil
	}
	if err != nil || !ownedByRevision(d) {
		return reconcile.Result{}, err
	}
	if d.Spec.Replicas != nil && *d.Spec.Replicas == 0 {
		r.processes.remove(req.Name)
		return reconcile.Result{}, r.report(ctx, d, 0, status{running: true})
	}
	c, err := r.command(ctx, d)
	if err != nil {
		return reconcile.Result{}, errors.Join(err, r.report(ctx, d, 1, status{message: err.Error()}))
	}
	st := r.processes.ensure(d.Name, c)
	if !st.running {
		return reconcile.Result{}, r.report(ctx, d, 1, st) // We are called when that changes.
	}
	p := probeOf(d.Spec.Template.Spec)
	again := p.period
	if err := p.ask(ctx); err != nil {
		st, again = status{message: "readiness probe failed: " + err.Error()}, notReadyPeriod
	}
	return reconcile.Result{RequeueAfter: again}, r.report(ctx, d, 1, st)
}

func ownedByRevision(d *appsv1.Deployment) bool {
	owner := metav1.GetControllerOf(d)
	return owner != nil && owner.Kind == pkgv1.ProviderRevisionKind
}

func (r *deploymentReconciler) command(ctx context.Context, d *appsv1.Deployment) (command, error) {
	spec := d.Spec.Template.Spec
	container, err := packageContainer(spec)
	if err != nil {
		return command{}, err
	}
	img, err := image.Extract(ctx, container.Image, r.state.Path("images"))
	if err != nil {
		return command{}, err
	}
	home := r.state.Path("runtime", d.Name)
	p := pod{namespace: d.Namespace, labels: d.Spec.Template.Labels, mounts: map[string]string{}}
	secrets := map[string]string{} // Name -> folder.
	for _, m := range container.VolumeMounts {
		for _, v := range spec.Volumes {
			if v.Name == m.Name && v.Secret != nil {
				p.mounts[m.MountPath] = filepath.Join(home, v.Name)
				secrets[v.Secret.SecretName] = filepath.Join(home, v.Name)
			}
		}
	}
	env, err := p.environment(img.Config, container)
	if err != nil {
		return command{}, err
	}
	args := p.arguments(img.Config, container, env)
	if len(args) == 0 {
		return command{}, fmt.Errorf("cannot run image %s: it has no entrypoint", container.Image)
	}
	kubeconfig := filepath.Join(home, "kubeconfig")
	namespace, account := d.Namespace, spec.ServiceAccountName // Not d: whoever reports its status reads it anew.
	return command{
		program: filepath.Join(img.Root, args[0]), args: args[1:], dir: img.Root,
		// In a pod the client finds the API server and its token in well-known places. A kubeconfig stands in for both.
		env: append(env, "KUBECONFIG="+kubeconfig),
		prepare: func(ctx context.Context) error {
			for name, dir := range secrets {
				if err := writeSecret(ctx, r.client, namespace, name, dir); err != nil {
					return err
				}
			}
			return r.writeKubeconfig(ctx, namespace, account, kubeconfig)
		},
	}, nil
}

func packageContainer(spec corev1.PodSpec) (corev1.Container, error) {
	for _, c := range spec.Containers {
		if c.Name == containerName {
			return c, nil
		}
	}
	return corev1.Container{}, fmt.Errorf("cannot find container %q", containerName)
}

// writeSecret does what mounting the Secret would.
func writeSecret(ctx context.Context, c client.Reader, namespace, name, dir string) error {
	s := &corev1.Secret{}
	if err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, s); err != nil {
		return fmt.Errorf("cannot mount Secret: %w", err)
	}
	return writeFiles(dir, s.Data)
}

func writeFiles(dir string, files map[string][]byte) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("cannot make folder: %w", err)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return fmt.Errorf("cannot write %s: %w", name, err)
		}
	}
	return nil
}

// writeKubeconfig makes the process that reads it this ServiceAccount, and nobody else.
func (r *deploymentReconciler) writeKubeconfig(ctx context.Context, namespace, account, path string) error {
	sa := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: account}}
	tr := &authv1.TokenRequest{Spec: authv1.TokenRequestSpec{ExpirationSeconds: new(int64(tokenValidity.Seconds()))}}
	if err := r.client.SubResource("token").Create(ctx, sa, tr); err != nil {
		return fmt.Errorf("cannot get token of ServiceAccount %q: %w", account, err)
	}
	return apiserver.WriteKubeconfig(path, r.config.Host, r.config.CAData, clientcmdapi.AuthInfo{Token: tr.Status.Token})
}

// report writes what the deployment controller would write.
func (r *deploymentReconciler) report(ctx context.Context, d *appsv1.Deployment, replicas int32, s status) error {
	available := appsv1.DeploymentCondition{
		Type: appsv1.DeploymentAvailable, Status: corev1.ConditionTrue, Reason: "MinimumReplicasAvailable",
		Message: "Deployment has minimum availability.",
	}
	ready := replicas
	if !s.running {
		available.Status, available.Reason, available.Message = corev1.ConditionFalse, "MinimumReplicasUnavailable", s.message
		ready = 0
	}
	available.LastTransitionTime, available.LastUpdateTime = metav1.Now(), metav1.Now()
	for _, c := range d.Status.Conditions {
		if c.Type == available.Type && c.Status == available.Status && c.Message == available.Message {
			available.LastTransitionTime, available.LastUpdateTime = c.LastTransitionTime, c.LastUpdateTime
		}
	}
	was := d.DeepCopy()
	d.Status = appsv1.DeploymentStatus{
		ObservedGeneration: d.Generation, Replicas: replicas, UpdatedReplicas: replicas, ReadyReplicas: ready,
		AvailableReplicas: ready, UnavailableReplicas: replicas - ready, Conditions: []appsv1.DeploymentCondition{available},
	}
	if equality.Semantic.DeepEqual(was.Status, d.Status) {
		return nil
	}
	return client.IgnoreNotFound(r.client.Status().Patch(ctx, d, client.MergeFrom(was)))
}
