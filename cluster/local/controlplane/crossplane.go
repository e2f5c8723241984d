package controlplane

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	authv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/crossplane-contrib/provider-eventstore/cluster/local/apiserver"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/binaries"
	"github.com/crossplane-contrib/provider-eventstore/cluster/local/process"
)

const (
	coreAccount = "crossplane"
	rbacAccount = "rbac-manager"

	clientSecret = "crossplane-tls-client"

	metricsPort = "crossplane-metrics"
	startWait   = 60 * time.Second

	// Nothing renews the token of a process that goes on running.
	tokenValidity = 30 * 24 * time.Hour

	fieldOwner = client.FieldOwner("eventstore-local")
)

// prepareCrossplane does what Helm and the init container do before Crossplane starts.
func (cp *ControlPlane) prepareCrossplane(ctx context.Context) error {
	if err := cp.ensureNamespace(ctx, Namespace); err != nil {
		return err
	}
	objects, err := renderRBAC(filepath.Join(cp.programs[binaries.Crossplane].DataDir, "charts", "crossplane"))
	if err != nil {
		return err
	}
	for _, o := range objects {
		if err := cp.Apply(ctx, o); err != nil {
			return err
		}
	}
	for _, account := range []string{coreAccount, rbacAccount} {
		if err := cp.writeAccountKubeconfig(ctx, account); err != nil {
			return err
		}
	}
	if err := cp.initCrossplane(ctx); err != nil {
		return err
	}
	return cp.writeClientCertificate(ctx)
}

// Apply creates or updates an object by server-side apply.
func (cp *ControlPlane) Apply(ctx context.Context, o client.Object) error {
	//nolint:staticcheck // Client.Apply wants typed configurations, which unstructured objects have none of.
	if err := cp.client.Patch(ctx, o, client.Apply, fieldOwner, client.ForceOwnership); err != nil {
		return fmt.Errorf("cannot apply %s %q: %w", o.GetObjectKind().GroupVersionKind().Kind, o.GetName(), err)
	}
	return nil
}

// ApplyYAML applies each document of a YAML stream, in order.
func (cp *ControlPlane) ApplyYAML(ctx context.Context, stream []byte) error {
	objects, err := decode(stream)
	if err != nil {
		return fmt.Errorf("cannot read manifests: %w", err)
	}
	for _, o := range objects {
		if err := cp.Apply(ctx, o); err != nil {
			return err
		}
	}
	return nil
}

func (cp *ControlPlane) accountKubeconfig(account string) string {
	return cp.state.Path("crossplane", account+".kubeconfig")
}

func (cp *ControlPlane) writeAccountKubeconfig(ctx context.Context, account string) error {
	sa := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: account}}
	tr := &authv1.TokenRequest{Spec: authv1.TokenRequestSpec{ExpirationSeconds: new(int64(tokenValidity.Seconds()))}}
	if err := cp.client.SubResource("token").Create(ctx, sa, tr); err != nil {
		return fmt.Errorf("cannot get token of ServiceAccount %q: %w", account, err)
	}
	return apiserver.WriteKubeconfig(cp.accountKubeconfig(account), cp.URL(), cp.Config().CAData,
		clientcmdapi.AuthInfo{Token: tr.Status.Token})
}

func (cp *ControlPlane) crossplaneEnv() []string {
	return []string{
		"KUBECONFIG=" + cp.accountKubeconfig(coreAccount),
		"POD_NAMESPACE=" + Namespace, "POD_SERVICE_ACCOUNT=" + coreAccount,
		"CRDS_PATH=" + filepath.Join(cp.programs[binaries.Crossplane].DataDir, "crds"),
		"ENABLE_WEBHOOKS=false", // Their Service would have no address.
		"TLS_CA_SECRET_NAME=crossplane-root-ca", "TLS_SERVER_SECRET_NAME=crossplane-tls-server", "TLS_CLIENT_SECRET_NAME=" + clientSecret,
	}
}

func (cp *ControlPlane) crossplaneSpec(component string, args ...string) process.Spec {
	spec := cp.state.Spec(component, cp.programs[binaries.Crossplane].Path, args...)
	spec.Env = cp.crossplaneEnv()
	return spec
}

// initCrossplane creates Crossplane's CRDs and certificates. It can fail while the CRDs that it has just created are not
// served yet, and is meant to be run again: in a cluster kubelet does that.
func (cp *ControlPlane) initCrossplane(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startWait, fmt.Errorf("not done after %s", startWait))
	defer cancel()
	args := []string{"core", "init"}
	if cp.opts.Activation != "" {
		args = append(args, "--activation", cp.opts.Activation)
	}
	for {
		spec := cp.crossplaneSpec("crossplane-init", args...)
		spec.Detached, spec.PIDFile = false, ""
		p, err := process.Start(spec)
		if err != nil {
			return err
		}
		select {
		case <-p.Done():
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("cannot initialise Crossplane: %w", context.Cause(ctx)), p.Kill())
		}
		if p.Succeeded() {
			return nil
		}
		cp.say("Crossplane's init is run again: %s", process.Tail(p.LogFile(), 1))
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("cannot initialise Crossplane: %w: %w", context.Cause(ctx), p.Err())
		}
	}
}

// writeClientCertificate mounts the Secret with which Crossplane calls functions.
func (cp *ControlPlane) writeClientCertificate(ctx context.Context) error {
	s := &corev1.Secret{}
	if err := cp.client.Get(ctx, client.ObjectKey{Namespace: Namespace, Name: clientSecret}, s); err != nil {
		return fmt.Errorf("cannot get Crossplane's client certificate: %w", err)
	}
	dir := cp.clientCertificateDir()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("cannot write Crossplane's client certificate: %w", err)
	}
	for name, content := range s.Data {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return fmt.Errorf("cannot write Crossplane's client certificate: %w", err)
		}
	}
	return nil
}

func (cp *ControlPlane) clientCertificateDir() string {
	return cp.state.Path("crossplane", "tls-client")
}

func (cp *ControlPlane) startCrossplane(ctx context.Context) error {
	health, err := cp.state.Port(Crossplane)
	if err != nil {
		return err
	}
	metrics, err := cp.state.Port(metricsPort)
	if err != nil {
		return err
	}
	core := cp.crossplaneSpec(Crossplane, append([]string{"core", "start"}, cp.opts.CrossplaneArgs...)...)
	core.Env = append(core.Env,
		// Functions are reached by their address, which only we know; see package runtime.
		"PACKAGE_RUNTIME=Provider=Deployment;Function=External",
		"XPKG_CACHE_DIR="+cp.state.Path("crossplane", "xpkg"), "TLS_CLIENT_CERTS_DIR="+cp.clientCertificateDir(),
		fmt.Sprintf("HEALTH_PROBE_PORT=%d", health), fmt.Sprintf("METRICS_PORT=%d", metrics),
	)
	if err := os.MkdirAll(cp.state.Path("crossplane", "xpkg"), 0o755); err != nil {
		return fmt.Errorf("cannot create package cache: %w", err)
	}
	p, err := cp.run(core)
	if err != nil {
		return err
	}
	rbac := cp.crossplaneSpec(RBACManager, "rbac", "start", "--provider-clusterrole=crossplane:allowed-provider-permissions")
	rbac.Env = append(rbac.Env, "KUBECONFIG="+cp.accountKubeconfig(rbacAccount))
	if _, err := cp.run(rbac); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, startWait, fmt.Errorf("not healthy after %s", startWait))
	defer cancel()
	return p.WaitReady(ctx, func(ctx context.Context) error {
		return apiserver.Healthy(ctx, http.DefaultClient, "http://"+process.Loopback(health)+"/readyz", "")
	})
}
